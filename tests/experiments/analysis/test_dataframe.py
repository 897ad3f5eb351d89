"""Results as a table of pandas, against the files as `json` reads them."""

import json
import math
from pathlib import Path

import pytest

from datamodules.datasets.camvid import CAMVID
from experiments.analysis.dataframe import load_results
from experiments.scoring.counts import count
from experiments.scoring.metrics import full_scores
from tests.experiments.made import arrays, failed, trial
from tests.maps import LabelMaps, scene

KEPT = Path(__file__).parents[3] / "experiments/results/camvid-quick"


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
    truth, prediction = scene(96, 128, 11)
    scores = full_scores(LabelMaps([truth]), [count(truth, prediction, 11)])
    metrics = scores.metrics().model_dump(mode="json")
    result = trial(tmp_path, "unet", None, metrics=metrics, data={"classes": CAMVID.names})
    kept = json.loads(result.path.read_text())["metrics"]
    (row,) = load_results(tmp_path).to_dict("records")
    near = kept["bands"]["pixels"].index(3)
    assert row["miou_within_3px"] == kept["bands"]["within"][near]
    assert row["miou_beyond_3px"] == kept["bands"]["beyond"][near]
    assert row["recall_thin"] == kept["objects"]["width"]["recall"][0]
    assert row["boundary_iou"] == kept["boundary_iou"]["mean"]
    assert row["image_miou_mean"] == kept["image_miou"]["mean"]
    assert row["image_miou_worst_decile"] == kept["image_miou"]["worst_decile"]


def test_what_is_missing_is_nan(tmp_path: Path) -> None:
    iou = {"a": 0.5, "b": None}
    old = {"miou": 0.5, "pixel_accuracy": 0.9, "num_classes_counted": 1, "iou": iou}
    trial(tmp_path, "a", arrays(0.5), metrics=old, cost=None, timing=None)
    failed(tmp_path, "b", "out of memory")
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
