"""Weights & Biases: what is sent, and that its failures are nobody's."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.proto import wandb_internal_pb2 as records

from experiments import mirror
from experiments.recipes import smoke
from experiments.trial import Trial
from tests.commands import run


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
    (file,) = trial.folder.glob("wandb/offline-run-*/*.wandb")
    found = _read(file)
    (start,) = [r.run for r in found if r.WhichOneof("record_type") == "run"]
    assert start.run_id == trial.id()
    assert start.run_group
    assert start.job_type == "trial"
    history: dict[str, list[float]] = {}
    for record in found:
        if record.WhichOneof("record_type") == "history":
            for item in record.history.item:
                key = item.key or "/".join(item.nested_key)
                history.setdefault(key, []).append(json.loads(item.value_json))
    result = json.loads(trial.result_path.read_text())
    assert history["train/loss"] == pytest.approx([v for _, v in result["curve"]["train"]])
    assert history["val/miou"] == pytest.approx([v for _, v in result["curve"]["val"]])
    assert "val/iou/Road" in history
    assert "train/lr" in history
    assert history["val/panel/count"] == [4, 4]  # images, at each of two validations
    assert list(file.parent.rglob("*.png"))
    (comparison,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    (start,) = [r.run for r in _read(comparison) if r.WhichOneof("record_type") == "run"]
    assert start.job_type == "comparison"
    assert list(comparison.parent.rglob("*comparison*.table.json"))


def test_an_error_of_wandb_is_said_once_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(wandb, "init", broken)
    run = mirror.Mirror(tmp_path, "offline", id="x")
    run.log({"a": 1})
    run.images("b", lambda _: [], 0)
    run.close({"c": 2})
    assert capsys.readouterr().err == "W&B is left out from here: disk full\n"


def test_off_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("started"))
    run = mirror.Mirror(tmp_path, "off", id="x")
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
    mirror.Mirror(tmp_path, None, id="x")
    assert modes == ["online", "offline"]
    assert "W&B cannot be reached (no route): going offline" in capsys.readouterr().err
    monkeypatch.delenv("WANDB_API_KEY")
    modes.clear()
    mirror.Mirror(tmp_path, "online", id="x")
    assert modes == ["offline"]
    assert "no account here (`wandb login`)" in capsys.readouterr().err
