"""Receptive fields of a finished trial: of its own weights, and of those that it began with."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from datamodules import open_data
from experiments.costs.field_radius import Floats, radius
from experiments.costs.receptive_field import image_fields
from experiments.training.scored_images import evenly_spaced, scored_images
from experiments.training.trial_field import described, main, measure_field, measure_field_isolated
from experiments.trials.field_record import read_fields
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import FIELD, read_result
from lightning_modules.normalisation import Normalisation
from models import build_model
from tests.experiments import here

MODEL, SEED, STEPS = "unet:width=4", 7, 3


def _trial(out: Path, *changes: str) -> Path:
    """The result file of a trial of the smoke recipe."""
    given = [part for change in (f"steps={STEPS}", "val_every=3", *changes) for part in
             ("--set", change)]  # fmt: skip
    arguments = ["--model", MODEL, "--recipe", "smoke", "--seed", SEED, "--out", out, *given]
    status, text = here.trial(*arguments, "--wandb", "off")
    assert status == 0, text
    return next(out.glob("*/*/seed*/result.json"))


def _read(path: Path) -> FinishedTrial:
    result = read_result(path)
    assert isinstance(result, FinishedTrial)
    return result


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trial(tmp_path_factory.mktemp("runs")).parent


@pytest.fixture
def result(ended: Path, tmp_path: Path) -> FinishedTrial:
    return _read(shutil.copytree(ended, tmp_path / "unet-width=4" / "seed7") / "result.json")


def _by_hand(
    network: nn.Module, result: FinishedTrial, indices: Sequence[int]
) -> list[Floats | None]:
    data = open_data(result.data.name, "test", None)
    images = torch.from_numpy(np.stack([data[index][0] for index in indices]))
    return [*image_fields(network, Normalisation()(images))]


def test_both_fields_are_those_of_the_trials_own_networks(result: FinishedTrial) -> None:
    fields = measure_field(result, num_images=3)
    at = (0, 2, 5)  # of six; 2.5 is rounded to an even number
    torch.manual_seed(SEED)
    network = build_model(MODEL, len(result.data.classes))
    assert fields.untrained == described(_by_hand(network, result, at), 0)
    path = result.path.parent / "checkpoints" / fields.checkpoint.file
    state = torch.load(path, weights_only=True)["state_dict"]
    network.load_state_dict({name.removeprefix("model."): state[name] for name in state})
    assert fields.trained == described(_by_hand(network, result, at), STEPS)
    assert fields.untrained is not None
    assert fields.trained.radius_50 != fields.untrained.radius_50
    assert (fields.trial, fields.seed, fields.num_images) == (result.id, SEED, 3)
    assert fields.size == (48, 64) and fields.code == result.hashes.code
    assert fields.data == result.data.fingerprints["test"]
    assert len(fields.trained.cells) == 24 and len(fields.trained.cells[0].split()) == 32


def test_the_untrained_network_is_the_one_before_the_first_step(tmp_path: Path) -> None:
    """Steps that move no bit end where they began."""
    still = _read(_trial(tmp_path, "lr=1e-30", "bn_momentum=1e-30"))
    fields = measure_field(still, num_images=2)
    assert fields.untrained is not None
    assert fields.trained == fields.untrained.model_copy(update={"steps": STEPS})


def test_a_measurement_is_left_beside_the_result_and_changes_nothing_in_it(
    result: FinishedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: Sequence[str], **_: object) -> "subprocess.CompletedProcess[str]":
        assert command[:3] == [sys.executable, "-m", "experiments.training.trial_field"]
        return subprocess.CompletedProcess(command, main(command[3:]), "", "")

    before = result.path.read_bytes()
    monkeypatch.setattr("experiments.training.trial_field.subprocess.run", run)
    fields = measure_field_isolated(result, None, threads=1, num_images=2)
    assert read_fields(result) == fields == measure_field(result, num_images=2)
    assert result.path.read_bytes() == before and not list(result.path.parent.glob(".*.json.*"))


def test_a_process_says_in_one_sentence_what_it_lacks(ended: Path, tmp_path: Path) -> None:
    result = _read(ended / "result.json")
    gone = result.model_copy(update={"path": tmp_path / "result.json"})
    with pytest.raises(ValueError, match="no receptive field of unet:width=4 seed 7: .* is no res"):
        measure_field_isolated(gone, None, threads=1)


def test_what_a_field_needs_is_said(
    result: FinishedTrial, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = result.path.parent / "checkpoints" / "step00000003.ckpt"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match="step00000003.ckpt is damaged: the checksum of"):
        measure_field(result)
    checkpoint.unlink()
    assert main([str(result.path), "16"]) == 2
    said = capsys.readouterr().err
    assert "has no checkpoints/step00000003.ckpt, the state that was scored" in said
    assert said.count("\n") == 1 and not result.path.with_name(FIELD).exists()
    elsewhere = result.model_copy(update={"recipe": None})
    with pytest.raises(ValueError, match="of predictions or weights from elsewhere"):
        measure_field(elsewhere)


def test_other_data_than_were_scored_are_refused(result: FinishedTrial, camvid: Path) -> None:
    data = result.data.model_copy(update={"name": "camvid", "fingerprints": {"test": "other"}})
    theirs = result.model_copy(update={"data": data})
    with pytest.raises(ValueError, match=r"of camvid in .* is not the one that .* was scored on"):
        scored_images(theirs, camvid, 2)
    with pytest.raises(ValueError, match="no CamVid.*--data-root"):
        scored_images(theirs, camvid / "nowhere", 2)
    with pytest.raises(ValueError, match="0 images show nothing: give at least 1"):
        scored_images(result, None, 0)


def test_images_are_evenly_spaced_from_the_first_to_the_last() -> None:
    assert evenly_spaced(233, 16)[:4] == (0, 15, 31, 46) and evenly_spaced(233, 16)[-1] == 232
    assert evenly_spaced(5, 5) == evenly_spaced(5, 9) == (0, 1, 2, 3, 4)
    assert evenly_spaced(5, 1) == (0,) and evenly_spaced(0, 3) == ()
    gaps = {b - a for a, b in pairwise(evenly_spaced(1000, 17))}
    assert gaps <= {62, 63}


def test_a_field_is_kept_by_its_radii_and_a_small_map() -> None:
    energy = np.zeros((360, 480))
    energy[180, 240], energy[100, 400] = 0.75, 0.25
    kept = described([None, energy, energy], 5)
    assert (kept.steps, kept.num_silent) == (5, 1)
    assert kept.radius_50 == 0 and kept.radius_95 == round(radius(energy, 0.95), 3) > 178
    assert kept.support == (81, 161) and kept.profile[0] == 0.75 and kept.profile[-1] == 1
    assert np.shape(kept.energy) == (45, 60) and kept.energy[22][30] == 0.75
    assert kept.energy[12][50] == 0.25


def test_an_untrained_network_that_is_silent_has_no_field(
    result: FinishedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU())
    nn.init.zeros_(dead[0].weight)  # type: ignore[arg-type]
    at = "experiments.training.trained_networks.untrained_network"
    monkeypatch.setattr(at, lambda result: dead)
    fields = measure_field(result, num_images=2)
    assert fields.untrained is None and fields.trained.num_silent == 0
