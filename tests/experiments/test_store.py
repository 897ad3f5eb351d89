"""Results as a table of pandas, against the files as `json` reads them."""

import json
import math
from pathlib import Path

import pytest

from experiments.analysis.dataframe import load_results
from experiments.trials.atomic_io import write_bytes, write_json
from tests.experiments.made import arrays, failed, trial
from tests.experiments.test_paper import metrics, write

KEPT = Path(__file__).parents[2] / "experiments/results/camvid-quick"


def test_rows_are_what_the_committed_files_say() -> None:
    frame = load_results(KEPT)
    paths = sorted(KEPT.rglob("result.json"))
    assert frame["path"].tolist() == [str(path) for path in paths] and len(paths) == 3
    for row, path in zip(frame.to_dict("records"), paths, strict=True):
        record = json.loads(path.read_text())
        assert (row["model"], row["seed"], row["repeat"]) == (record["model"], 0, 0)
        assert (row["recipe"], row["data"], row["split"]) == ("camvid-quick", "camvid", "test")
        assert (row["status"], row["protocol"]) == ("done", record["protocol"]["mode"])
        assert row["miou"] == record["metrics"]["miou"]
        assert row["params_m"] == pytest.approx(record["cost"]["params"] / 1e6)
        assert row["train_s"] == record["timing"]["train_seconds"]
        assert row["peak_memory_gb"] == record["cost"]["peak_memory_gb"]
        assert row["hash_data"] == record["hashes"]["data"]
        classes = {k.removeprefix("iou/"): v for k, v in row.items() if k.startswith("iou/")}
        assert classes == record["metrics"]["iou"]


def test_boundaries_and_objects_have_columns(tmp_path: Path) -> None:
    (result,) = [write(tmp_path, "unet", 0.5, repeat=0)]
    found = json.loads(result.path.read_text())["metrics"]
    (row,) = load_results(tmp_path).to_dict("records")
    assert row["miou_within_3px"] == found["bands"]["within"][found["bands"]["pixels"].index(3)]
    assert row["miou_beyond_3px"] == found["bands"]["beyond"][found["bands"]["pixels"].index(3)]
    assert row["recall_thin"] == found["objects"]["width"]["recall"][0]
    assert row["boundary_iou"] == found["boundary_iou"]["mean"]
    assert row["image_miou_mean"] == found["image_miou"]["mean"]
    assert row["image_miou_worst_decile"] == found["image_miou"]["worst_decile"]


def test_what_is_missing_is_nan(tmp_path: Path) -> None:
    old = {key: metrics(0.5)[key] for key in ("miou", "pixel_accuracy", "iou")}
    old["iou"] = {"a": 0.5, "b": None}
    trial(tmp_path, "a", arrays(0.5), metrics=old, cost=None, timing=None)
    result = failed(tmp_path, "b", "out of memory")
    never = ("metrics", "cost", "timing", "data")
    write_json(result.path, {k: v for k, v in result.record.items() if k not in never})
    scored, broken = load_results(tmp_path).to_dict("records")
    assert scored["miou"] == 0.5 and math.isnan(scored["iou/b"])
    missing = ("params_m", "gmacs", "latency_ms", "train_s", "peak_memory_gb", "boundary_iou",
               "miou_within_3px", "miou_beyond_3px", "recall_thin", "image_miou_mean")  # fmt: skip
    assert all(math.isnan(scored[name]) for name in missing)
    assert all(math.isnan(broken[name]) for name in (*missing, "miou", "iou/a"))
    assert (broken["status"], broken["reason"]) == ("failed", "out of memory")


def test_seeds_and_repeats_are_rows(tmp_path: Path) -> None:
    for seed, repeat in ((0, 0), (0, 1), (1, 0)):
        trial(tmp_path, "a", arrays(0.5), seed, repeat=repeat)
    frame = load_results(tmp_path)
    assert list(zip(frame["seed"], frame["repeat"], strict=True)) == [(0, 0), (0, 1), (1, 0)]


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results folder at"):
        load_results(tmp_path / "none")


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "file", b"old")
    monkeypatch.setattr("os.replace", lambda a, b: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_bytes(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
