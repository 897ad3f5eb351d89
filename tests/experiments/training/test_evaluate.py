"""The command that predicts with trained weights: a trial's, and those from elsewhere."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from datamodules import open_data
from datamodules.labels import UInt8
from experiments import evaluate
from experiments.comparison.tuning import search
from experiments.recipes import smoke
from experiments.run import main as run_trial
from experiments.training import evaluation_prediction
from experiments.training.checkpoints import marks
from experiments.trials.comparability import check_comparable
from experiments.trials.protocols import Protocol
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import (
    IDENTITY,
    Arrays,
    per_image,
    read_identity,
    read_result,
    write_record,
)
from lightning_modules import inference
from models import build_model
from tests.commands import run
from tests.trees import cityscapes

MODEL = "unet:width=4"
DATA = "streets:height=48:width=64:train=24:val=4:test=6"  # of the smoke recipe
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trial of three steps."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOMP_SPINCOUNT", "10000")
        arguments = ["--model", MODEL, "--recipe", "smoke", "--out", str(out), "--workers", "0"]
        changes = ["--set", "steps=3", "--set", "val_every=3", "--wandb", "off"]
        assert run_trial(arguments + changes) == 0
    return next(out.glob("*/*/seed0"))


@pytest.fixture
def trial(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "runs" / "smoke" / "unet" / "seed0")


@pytest.fixture
def weights(trial: Path) -> Path:
    """Its weights as another program would hold them: names and tensors alone."""
    state = torch.load(trial / "checkpoints" / "step00000003.ckpt", weights_only=True)
    tensors = {k.removeprefix("model."): v.contiguous() for k, v in state["state_dict"].items()}
    (trial.parents[3] / "elsewhere").mkdir()
    save_file(tensors, trial.parents[3] / "elsewhere" / "best.safetensors")
    return trial.parents[3] / "elsewhere" / "best.safetensors"


def _maps(folder: Path) -> dict[str, UInt8]:
    return {p.name: np.array(Image.open(p)) for p in (folder / "predictions").iterdir()}


def _same(ours: Path, theirs: Path) -> bool:
    a, b = _maps(ours), _maps(theirs)
    assert set(a) == set(b) and a
    return all(np.array_equal(a[name], b[name]) for name in a)


def _evaluate(*arguments: object) -> int:
    return evaluate.main([*map(str, arguments)])


def _result(path: Path) -> FinishedTrial:
    result = read_result(path)
    assert isinstance(result, FinishedTrial)
    return result


def _counts(result: FinishedTrial) -> Arrays:
    counts = per_image(result)
    assert counts is not None
    return counts


def test_the_trials_own_protocol_repeats_its_result(trial: Path) -> None:
    status, text = run("experiments.evaluate", trial)
    assert status == 0, text
    assert max(map(len, text.splitlines())) <= 80
    (out,) = (trial / "evaluated").iterdir()
    assert out.name.startswith("streets") and out.name.endswith("-test-single")
    assert _same(out, trial)
    ours, theirs = _result(out / "result.json"), _result(trial / "result.json")
    for part in ("hashes", "protocol", "recipe", "model", "seed", "confusion"):
        assert getattr(ours, part) == getattr(theirs, part), part
    assert ours.metrics.miou == theirs.metrics.miou
    np.testing.assert_array_equal(_counts(ours)["tp"], _counts(theirs)["tp"])
    check_comparable([ours, theirs])
    palette = [Image.open(f / "predictions" / "test_0000.png").getpalette() for f in (out, trial)]
    assert palette[0] == palette[1]


def test_another_protocol_is_another_result(trial: Path, capsys: Output) -> None:
    protocol = "scales=1,1.5:flip:window=48x48:stride=32x32:gaussian"
    assert _evaluate(trial, "--protocol", protocol, "--out", trial / "new") == 0
    ours, theirs = _result(trial / "new" / "result.json"), _result(trial / "result.json")
    assert ours.protocol.mode == (
        "windows of 48x48 every 32x32 with Gaussian weights, multi-scale, flip (scales 1, 1.5)"
    )
    assert ours.protocol.passes is not None
    assert ours.protocol.passes.window == (48, 48)
    assert ours.hashes.recipe == theirs.hashes.recipe
    assert ours.cost is None
    with pytest.raises(ValueError, match="differ in protocol"):
        check_comparable([ours, theirs])
    with torch.inference_mode():  # the first image by hand
        image = torch.from_numpy(open_data(DATA, "test")[0][0]).float()
        mean, std = (255 * torch.tensor(v) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        x = ((image - mean) / std).permute(2, 0, 1)[None]
        model = build_model(MODEL, 11, trial / "checkpoints" / "step00000003.ckpt").eval()
        passes = Protocol(
            scales=(1.0, 1.5), flip=True, window=(48, 48), stride=(32, 32), gaussian=True
        )
        expected = inference.predict(model, x, passes)
    differ = _maps(trial / "new")["test_0000.png"] != expected[0].numpy()
    # By hand it is resized after the normalisation; without windows 0.6 % differ, without flip 14.
    assert differ.mean() < 0.001
    capsys.readouterr()
    assert _evaluate(trial, "--protocol", "flip", "--out", trial / "new") == 2
    assert "predictions of other protocol: delete them" in capsys.readouterr().err


def test_another_precision_is_another_protocol(trial: Path, weights: Path, capsys: Output) -> None:
    assert _evaluate(trial, "--precision", "bf16-mixed", "--out", weights.parent / "new") == 0
    ours, theirs = (_result(f / "result.json") for f in (weights.parent / "new", trial))
    assert ours.hashes.protocol != theirs.hashes.protocol
    says = "protocol (precision: '32-true' against 'bf16-mixed')"
    with pytest.raises(ValueError, match=re.escape(f"differ in {says}")):
        check_comparable([theirs, ours])
    command = [weights, "--model", MODEL, "--data", DATA, "--add", trial.parents[1]]
    assert _evaluate(*command, "--precision", "bf16-mixed") == 2
    told = capsys.readouterr().err
    assert "differ in protocol (" in told and "precision: '32-true' against 'bf16-mixed'" in told
    assert _evaluate(*command) == 0


def _other(trial: Path, name: str, **changes: Any) -> Path:
    """A copy that says something else of itself."""
    told = read_identity(trial)
    assert told is not None and told.recipe is not None
    recipe = replace(told.recipe, **changes.pop("recipe", {}))
    hashes = told.hashes.model_copy(update={"recipe": recipe.hash()})
    copy = Path(shutil.copytree(trial, trial.with_name(name)))
    update = {"recipe": recipe, "hashes": hashes, **changes}
    other = told.model_copy(update=update)
    write_record(copy / IDENTITY, other)
    for path in (copy / "checkpoints").iterdir():  # as its own training would have left them
        torch.save(torch.load(path, weights_only=True) | {"trial": marks(other)}, path)
    return copy


def test_a_folder_that_says_another_trial_than_its_weights_is_refused(
    trial: Path, capsys: Output
) -> None:
    """As after a trial.json of another seed was copied into it."""
    other = _other(trial, "a", seed=1)
    shutil.copyfile(other / IDENTITY, trial / IDENTITY)
    assert _evaluate(trial) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "not of the trial that trial.json beside it names" in said
    assert "(seed 0, not 1)" in said
    assert _evaluate(other) == 0


def test_trials_of_one_seed_have_places_of_their_own(
    trial: Path, tmp_path: Path, capsys: Output
) -> None:
    budget = search(smoke(), 2, 0)
    again = _other(trial, "a", recipe={"tuning": budget, "lr": 0.03})
    tuned = _other(trial, "b", recipe={"tuning": budget, "lr": 0.02})
    trials = [trial, tuned, _other(trial, "c", repeat=1)]
    (tmp_path / "all").mkdir()
    for _ in range(2):
        for one in trials:
            assert _evaluate(one, "--add", tmp_path / "all") == 0, capsys.readouterr().err
    folder = tmp_path / "all" / "scored" / "unet-width=4"
    assert {p.name for p in folder.iterdir()} == {"seed0", "seed0-tuned", "seed0-repeat1"}
    recipes = [_result(folder / n / "result.json").recipe for n in ("seed0", "seed0-tuned")]
    assert recipes[0] is not None and recipes[1] is not None
    assert recipes[0].tuning is None
    assert recipes[1].lr == 0.02
    assert _result(folder / "seed0-repeat1" / "result.json").repeat == 1
    capsys.readouterr()
    assert _evaluate(again, "--add", tmp_path / "all") == 2
    assert "(tuned: lr 0.02, wd 0.0005) seed 0 already" in capsys.readouterr().err
    assert _result(folder / "seed0-tuned" / "result.json").recipe == recipes[1]


def test_another_checkpoint_is_chosen_by_hand(trial: Path) -> None:
    last = trial / "checkpoints" / "step00000003.ckpt"
    assert _evaluate(last, "--out", trial / "last") == 0
    other = last.rename(last.with_name("step00000002.ckpt"))
    assert _evaluate(other, "--out", trial / "other", "--split", "val") == 0
    assert _result(trial / "last" / "result.json").protocol.selection == "last step"
    result = _result(trial / "other" / "result.json")
    assert result.protocol.selection == "by hand"
    assert result.protocol.checkpoint == "step00000002.ckpt"
    assert result.protocol.split == result.data.split == "val"
    assert result.data.num_images == 4


def test_goes_on_where_it_was_stopped(
    trial: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    predict, calls = inference.predict, 0

    def stopping(*args: Any, **options: Any) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return predict(*args, **options)

    monkeypatch.setattr(evaluation_prediction, "predict", stopping)
    out = trial / "new"
    assert _evaluate(trial, "--out", out) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert len(_maps(out)) == 2
    assert {p.name for p in out.iterdir()} == {"evaluation.json", "predictions"}
    assert _evaluate(trial, "--out", out) == 0
    assert "2 of 6 images are predicted already" in capsys.readouterr().out
    assert calls == 3 + 4
    assert _same(out, trial)


def test_weights_from_elsewhere(trial: Path, weights: Path, capsys: Output) -> None:
    command = [weights, "--model", MODEL, "--data", DATA, "--add", trial.parents[1]]
    assert _evaluate(*command) == 0
    shown = capsys.readouterr().out
    assert "(best)" in shown and "random" in shown  # beside the trial
    (out,) = (weights.parent / "evaluated").iterdir()
    assert _same(out, trial)
    result = _result(out / "result.json")
    assert [result.hashes.recipe, result.hashes.data, result.hashes.code] == [None] * 3
    assert (result.recipe, result.request) == (None, None)
    assert result.data.fingerprints == {"test": open_data(DATA, "test").fingerprint()}
    assert result.protocol.selection == "unknown"
    assert result.precision == "32-true"
    assert result.checkpoint is not None and len(result.checkpoint.sha256) == 64
    assert (trial.parents[1] / "scored" / "unet-width=4-(best)" / "seed0" / "result.json").is_file()
    assert _evaluate(*command) == 0  # once more; its own row is no obstacle
    assert _evaluate(*command, "--protocol", "flip") == 2
    assert "differ in protocol" in capsys.readouterr().err
    assert _evaluate(trial, "--add", trial.parents[1], "--split", "val") == 2
    assert "has unet:width=4 seed 0 already: compare" in capsys.readouterr().err


def test_other_weights_in_the_same_folder_are_refused(
    trial: Path, weights: Path, capsys: Output
) -> None:
    assert _evaluate(weights, "--model", MODEL, "--data", DATA, "--out", trial) == 2
    assert "predictions of other weights" in capsys.readouterr().err
    assert _same(trial, trial)


def test_what_is_refused(trial: Path, weights: Path, tmp_path: Path, capsys: Output) -> None:
    headless = {k: v for k, v in build_model(MODEL, 11).state_dict().items() if "class" not in k}
    torch.save(headless, tmp_path / "trunk.pth")
    torch.save(build_model(MODEL, 7).state_dict(), tmp_path / "seven.pth")
    named = ["--model", MODEL, "--data", DATA]
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "none.pth", *named], "no checkpoint at"),
        ([tmp_path, *named], "has no checkpoints/step*.ckpt"),
        ([weights, "--model", MODEL], "give --model and --data"),
        ([weights, "--data", DATA], "give --model and --data"),
        ([weights, "--data", DATA, "--model", "unett"], "did you mean 'unet'"),
        ([weights, "--model", MODEL, "--data", "street"], "did you mean 'streets'"),
        ([trial, "--protocol", "flop"], "did you mean 'flip'"),
        ([trial, "--split", "tests"], "tests"),
        ([trial, "--protocol", "scales=0.5"], "sides of at least 33"),
        ([tmp_path / "seven.pth", *named], "of another shape in"),
        ([tmp_path / "trunk.pth", *named], "missing in"),
        ([weights, "--model", "unet:width=8", "--data", DATA], "name the network and options"),
        ([trial, "--add", tmp_path / "no runs"], "no results folder"),
    ]
    for arguments, says in cases:
        assert _evaluate(*arguments) == 2, arguments
        out, err = capsys.readouterr()
        assert says in err and out == "", arguments
        assert len(err.splitlines()) == 1, err
    assert not list(tmp_path.rglob("result.json"))[1:]  # but the trial's


def test_a_split_without_labels_is_predicted_alone(tmp_path: Path, capsys: Output) -> None:
    cityscapes.build(tmp_path / "CITYSCAPES")
    torch.save(build_model(MODEL, 19).state_dict(), tmp_path / "net.pth")
    status = _evaluate(
        *(tmp_path / "net.pth", "--model", MODEL, "--data", "cityscapes", "--split", "test"),
        *("--data-root", tmp_path / "CITYSCAPES"),
    )
    out, err = capsys.readouterr()
    assert status == 0, err
    assert "test of cityscapes has no label to score against" in out
    assert "python -m experiments.data export" in out
    (folder,) = (tmp_path / "evaluated").iterdir()
    assert {p.name for p in folder.iterdir()} == {"evaluation.json", "predictions"}
    assert sorted(_maps(folder)) == [f"{id}.png" for id in sorted(cityscapes.IDS["test"])]
    claimed = json.loads((folder / "evaluation.json").read_text())
    assert claimed["protocol"]["split"] == "test"
