"""Weights & Biases: what is sent, and that its failures are nobody's."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import wandb

from datamodules import open_data
from experiments.recipes import smoke
from experiments.training.callbacks import Panel
from experiments.training.wandb_content import RunInit, init_of_trial, summary, trial_content_hash
from experiments.training.wandb_pictures import PICTURE_BYTES, SIDE, Picture
from experiments.training.wandb_run import Mirror
from experiments.trials.environment import WandbMode
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_results
from experiments.trials.trial import Trial
from tests.commands import run
from tests.experiments.offline_runs import Written

NO_MODULE: Any = None


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    """W&B's own process, which all runs of this one share, goes with them."""
    yield
    wandb.teardown()


def _mirror(folder: Path, mode: WandbMode | None = "offline", id: str = "x") -> Mirror:
    return Mirror(
        folder, mode, id, RunInit(name=id, group=None, job_type="trial", config={"identity": id})
    )


@pytest.mark.slow
def test_an_offline_trial_holds_what_the_result_holds(tmp_path: Path) -> None:
    """No account and no network: nothing is asked, and the files are there to be synced."""
    trial = Trial(smoke(), "unet:width=4", 0, tmp_path)
    status, text = run(
        "experiments.compare", "--recipe", "smoke", "--models", trial.model, "--out", tmp_path,
        HOME=str(tmp_path), WANDB_API_KEY="", NETRC=str(tmp_path / "none"),
    )  # fmt: skip
    assert status == 0, text
    (folder,) = trial.folder.glob("wandb/offline-run-*")
    written, (result,) = Written(folder), read_results(tmp_path)
    assert isinstance(result, FinishedTrial) and result.cost is not None
    assert written.start.run_id == trial.identity().id == result.id
    assert written.start.job_type == "trial"
    assert written.config["model"] == trial.model
    assert written.config["recipe"] == json.loads(json.dumps(asdict(smoke())))
    assert written.config["protocol"]["mode"] == "whole image, single scale, no flip"
    history = written.history
    assert history["train/loss"] == pytest.approx([v for _, v in result.curve.train])
    assert history["val/miou"] == pytest.approx([v for _, v in result.curve.val])
    assert "val/iou/Road" in history
    assert "train/lr" in history
    assert not any("first" in key for key in history)
    assert written.summary["test/miou"] == result.metrics.miou
    assert written.summary["cost/gmacs"] == result.cost.gmacs
    config = init_of_trial(result, None).config
    shown = summary(result)
    stamp = trial_content_hash(config, shown, result.curve)
    assert written.summary["mirror"] == stamp
    assert written.exit_code == 0
    assert not written.files("media/**/*.*")  # offline nobody looks
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    comparison = Written(folder)
    assert comparison.start.job_type == "comparison"
    assert comparison.start.run_id == comparison.start.run_group == written.start.run_group
    assert comparison.files("*comparison*.table.json")
    assert comparison.files("*Pareto*.png")
    assert comparison.summary["mirror"]


def test_an_error_of_wandb_is_said_once_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(wandb, "init", broken)
    run = _mirror(tmp_path)
    run.log({"a": 1})
    run.show("b", [], [], 0)
    run.close({"c": 2})
    assert capsys.readouterr().err == "W&B is left out from here: disk full\n"


def test_a_wandb_that_cannot_be_imported_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = _mirror(tmp_path, None)
    run.log({"a": 1})
    run.close()
    assert capsys.readouterr().err.startswith("W&B is left out from here: ")


def test_off_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("started"))
    run = _mirror(tmp_path, "off")
    run.log({"a": 1})
    run.close()
    assert not list(tmp_path.iterdir())


def test_online_is_chosen_where_there_is_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And an unreachable server sends the run offline."""
    modes: list[str] = []

    def init(mode: str, **_: object) -> Any:
        modes.append(mode)
        if mode == "online":
            raise wandb.errors.CommError("no route")
        return wandb.sdk.lib.disabled.SummaryDisabled()

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert not _mirror(tmp_path, None).online
    assert modes == ["online", "offline"]
    assert "W&B cannot be reached (no route): going offline" in capsys.readouterr().err
    monkeypatch.delenv("WANDB_API_KEY")
    modes.clear()
    _mirror(tmp_path, "online")
    assert modes == ["offline"]
    assert "no account here (`wandb login`)" in capsys.readouterr().err


def _panel(mirror: Mirror) -> Panel:
    return Panel(mirror, open_data("streets:height=64:width=96", "val", None))


def _validate(panel: Panel, step: int) -> None:
    batch: Any = {"index": torch.tensor(sorted(panel.indices))}
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=step)
    panel.on_validation_batch_end(trainer, NO_MODULE, torch.zeros(4, 64, 96), batch, 0)
    panel.on_validation_end(trainer, NO_MODULE)


def test_the_panel_shows_the_truth_once_and_offline_nothing(tmp_path: Path) -> None:
    run = _mirror(tmp_path)
    _validate(_panel(run), 1)
    assert not list(tmp_path.rglob("media"))
    run.online = True  # its files are written all the same
    panel = _panel(run)
    _validate(panel, 2)
    _validate(panel, 4)
    run.close()
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    written = Written(folder)
    assert written.history["step"] == [2, 4]
    assert written.history["val/panel/count"] == [4, 4]
    first, second = written.history["val/panel/all_masks"]
    assert [set(masks) for masks in first] == [{"prediction", "truth"}] * 4
    assert [set(masks) for masks in second] == [{"prediction"}] * 4


def test_pictures_stop_at_the_cap_with_one_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bytes that are counted are those of the files."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    picture = Picture("noise", noise, {"prediction": noise[..., 0] % 11})
    run = _mirror(tmp_path)
    for step in range(30):
        run.show("panel", [picture], ["a"] * 11, step)
    run.close()
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    written = Written(folder)
    sizes = [path.stat().st_size for path in written.files("media/**/*.*")]
    shown = len(written.history["step"])
    assert len(sizes) == 2 * shown
    assert sum(sizes) <= PICTURE_BYTES < sum(sizes) * (shown + 1) / shown
    assert sum(sizes) == shown * picture.small().num_bytes
    assert max(picture.small().image.shape) <= SIDE
    assert picture.small().masks["prediction"].shape == picture.small().image.shape[:2]
    assert capsys.readouterr().err.count("no more pictures") == 1


def test_a_failed_training_is_marked_with_its_reason(tmp_path: Path) -> None:
    """And one that was stopped is not: it goes on."""
    for name, error in {"a": ValueError("the loss is nan"), "b": KeyboardInterrupt()}.items():
        run = _mirror(tmp_path / name, id=name)
        _panel(run).on_exception(NO_MODULE, NO_MODULE, error)
        assert (run.run is None) == (name == "a")
        run.close()
    (folder,) = (tmp_path / "a").glob("wandb/offline-run-*")
    written = Written(folder)
    assert written.exit_code == 1
    assert written.summary["reason"] == "ValueError: the loss is nan"


def test_a_later_part_of_a_run_does_not_call_itself_whole(tmp_path: Path) -> None:
    whole = []
    for _ in range(2):
        part = _mirror(tmp_path)
        whole.append(part.whole)
        part.close()
    assert whole == [True, False]
