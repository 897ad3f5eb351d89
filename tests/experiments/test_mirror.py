"""Weights & Biases: what is sent, and that its failures are nobody's."""

import json
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import wandb
from wandb.proto import wandb_internal_pb2 as records

from datamodules import open_data
from experiments.recipes import smoke
from experiments.training import wandb_run
from experiments.training.callbacks import Panel
from experiments.training.wandb_run import PICTURE_BYTES, SIDE, Mirror, Picture
from experiments.trials.history import read_points
from experiments.trials.results import read_results
from experiments.trials.trial import Trial
from tests.commands import run


class Written:
    """What an offline run's file holds.

    Attributes:
        start: the run record: run_id, run_group, job_type, display_name.
        history: values in the order of logging, by key.
        exit_code: None for a run that did not end.
    """

    def __init__(self, folder: Path) -> None:
        wandb.teardown()  # files of this process may not be whole before
        self.folder, self.exit_code = folder, None
        self.config: dict[str, Any] = {}
        self.history: dict[str, list[Any]] = {}
        self.summary: dict[str, Any] = {}
        (file,) = folder.glob("*.wandb")
        for record in _read(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.start = record.run
                self.config = {i.key: json.loads(i.value_json) for i in record.run.config.update}
            elif kind == "exit":
                self.exit_code = record.exit.exit_code
            for item in getattr(record, kind).item if kind == "history" else ():
                self.history.setdefault(_key(item), []).append(json.loads(item.value_json))
            for item in record.summary.update if kind == "summary" else ():
                self.summary[_key(item)] = json.loads(item.value_json)

    def files(self, kind: str) -> list[Path]:
        return sorted((self.folder / "files").rglob(kind))


def _key(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def _read(path: Path) -> list[Any]:
    """Records of an offline run's file: LevelDB's log format, a 7-byte header before all blocks."""
    data, position, found, part = path.read_bytes(), 7, [], b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:  # a block's end too short for a header is padding
            position += left
            continue
        _, size, kind = struct.unpack("<IHB", data[position : position + 7])
        part += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = records.Record()  # type: ignore[attr-defined]
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


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
    assert written.start.run_id == trial.id() == wandb_run.trial_id(result.record)
    assert written.start.job_type == "trial"
    assert written.config["model"] == trial.model
    assert written.config["recipe"] == result["recipe"]
    history = written.history
    assert history["train/loss"] == pytest.approx([v for _, v in result["curve"]["train"]])
    assert history["val/miou"] == pytest.approx([v for _, v in result["curve"]["val"]])
    assert "val/iou/Road" in history
    assert "train/lr" in history
    assert written.summary["test/miou"] == result["metrics"]["miou"]
    assert written.summary["cost/gmacs"] == result["cost"]["gmacs"]
    assert written.summary["mirror"] == wandb_run.content(
        wandb_run.trial_run(result.record, None)["config"],
        wandb_run.summary(result.record),
        result["curve"],
    )
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
    run = wandb_run.Mirror(tmp_path, "offline", id="x")
    run.log({"a": 1})
    run.show("b", [], [], 0)
    run.close({"c": 2})
    assert capsys.readouterr().err == "W&B is left out from here: disk full\n"


def test_a_wandb_that_cannot_be_imported_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = wandb_run.Mirror(tmp_path, None, id="x")
    run.log({"a": 1})
    run.close()
    assert capsys.readouterr().err.startswith("W&B is left out from here: ")


def test_off_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("started"))
    run = wandb_run.Mirror(tmp_path, "off", id="x")
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
    assert not wandb_run.Mirror(tmp_path, None, id="x").online
    assert modes == ["online", "offline"]
    assert "W&B cannot be reached (no route): going offline" in capsys.readouterr().err
    monkeypatch.delenv("WANDB_API_KEY")
    modes.clear()
    wandb_run.Mirror(tmp_path, "online", id="x")
    assert modes == ["offline"]
    assert "no account here (`wandb login`)" in capsys.readouterr().err


def _panel(mirror: Mirror) -> Panel:
    return Panel(mirror, open_data("streets:height=64:width=96", "val", None))


def _validate(panel: Panel, step: int) -> None:
    batch = {"index": torch.tensor(sorted(panel.indices))}
    masks = torch.zeros(4, 64, 96)
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=step)
    panel.on_validation_batch_end(trainer, None, masks, batch, 0)  # type: ignore[arg-type]
    panel.on_validation_end(trainer, None)  # type: ignore[arg-type]


def test_the_panel_shows_the_truth_once_and_offline_nothing(tmp_path: Path) -> None:
    run = Mirror(tmp_path, "offline", id="x")
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
    run = Mirror(tmp_path, "offline", id="x")
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
        run = Mirror(tmp_path / name, "offline", id=name)
        _panel(run).on_exception(None, None, error)  # type: ignore[arg-type]
        assert (run.run is None) == (name == "a")
        run.close()
    (folder,) = (tmp_path / "a").glob("wandb/offline-run-*")
    written = Written(folder)
    assert written.exit_code == 1
    assert written.summary["reason"] == "ValueError: the loss is nan"


def test_a_later_part_of_a_run_does_not_call_itself_whole(tmp_path: Path) -> None:
    whole = []
    for _ in range(2):
        part = Mirror(tmp_path, "offline", id="x")
        whole.append(part.whole)
        part.close()
    assert whole == [True, False]


def test_points_are_merged_by_step_and_the_last_word_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = ['{"step": 2, "a": 1}', '{"step": 4, "a": 2, "b": 3}', '{"step": 2, "b": 5}']
    path.write_text("\n".join([*lines, '{"step": 4, "a": 7}', '{"step": 6, "a']))
    assert read_points(path) == [{"step": 2, "a": 1, "b": 5}, {"step": 4, "a": 7, "b": 3}]
    assert read_points(tmp_path / "none") == []
