"""The scorer, against a slow loop, cityscapesScripts, cases by hand, and as a command."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from rich.table import Table

from datamodules import dataset_info, open_data
from datamodules.datasets.camvid import CAMVID
from datamodules.labels import UInt8
from experiments import score as score_command
from experiments.reporting.tables import boundary_table
from experiments.scoring.counts import class_iou, count, count_split, in_order
from experiments.scoring.metrics import FullScores, full_scores, score, score_folder
from experiments.scoring.position_prior import position_prior
from experiments.scoring.prediction_files import PredictionError, Predictions, open_predictions
from experiments.trials.atomic_io import write_json
from experiments.trials.results import TrialResult, read_results
from tests.commands import start
from tests.experiments.test_objects import _scene
from tests.trees import camvid

K = CAMVID.num_classes


class Maps:
    """A data set of label maps alone."""

    labels = CAMVID

    def __init__(self, masks: list[UInt8], groups: list[str] | None = None) -> None:
        self.masks = masks
        self.ids = [f"image{i}" for i in range(len(masks))]
        self.groups = groups or ["clip"] * len(masks)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return np.zeros((*self.masks[index].shape, 3), np.uint8), self.masks[index]

    def mask(self, index: int) -> UInt8:
        return self.masks[index]

    def fingerprint(self) -> str:
        return "maps"


def _random_maps(seed: int, count: int = 3) -> tuple[list[UInt8], list[UInt8]]:
    rng = np.random.default_rng(seed)
    classes = rng.choice(K, rng.integers(1, K), replace=False)  # some never occur
    sizes = [tuple(rng.integers(1, 12, 2)) for _ in range(count)]
    truths = [rng.choice(classes, size).astype(np.uint8) for size in sizes]
    for truth in truths:
        truth[rng.random(truth.shape) < 0.3] = 255
    predictions = [rng.choice(classes, size).astype(np.uint8) for size in sizes]
    return truths, predictions


def _slow_iou(truths: list[UInt8], predictions: list[UInt8]) -> list[float]:
    """Pixel by pixel in plain Python; NaN where neither truth nor prediction has the class."""
    found = []
    for k in range(K):
        both = either = 0
        for truth, prediction in zip(truths, predictions, strict=True):
            for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
                if t != 255:
                    both += t == k and p == k
                    either += t == k or p == k
        found.append(both / either if either else float("nan"))
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_a_slow_loop(seed: int) -> None:
    truths, predictions = _random_maps(seed)
    scores = score(Maps(truths), lambda i: predictions[i])
    expected = _slow_iou(truths, predictions)
    ours = class_iou(scores.tp.sum(0), scores.fp.sum(0), scores.fn.sum(0))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    metrics = scores.metrics()
    assert metrics["num_classes_counted"] == np.isfinite(expected).sum()
    if np.isfinite(expected).any():
        assert metrics["miou"] == pytest.approx(float(np.nanmean(expected)))
    assert scores.confusion.dtype == np.int64


@pytest.mark.parametrize("seed", range(5))
def test_equals_cityscapes_scripts(seed: int) -> None:
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluator  # noqa: N813
    from cityscapesscripts.helpers.labels import trainId2label

    truths, predictions = _random_maps(seed)
    args = evaluator.args
    matrix = evaluator.generateMatrix(args)
    ids = np.array([trainId2label[k].id for k in range(K)] + [0] * (256 - K))  # 0 is unlabelled
    for truth, prediction in zip(truths, predictions, strict=True):
        theirs_truth, theirs_prediction = ids[truth], ids[prediction]
        for t, p in zip(theirs_truth.ravel(), theirs_prediction.ravel(), strict=True):
            matrix[t, p] += 1
    scores = score(Maps(truths), lambda i: predictions[i])
    ours = class_iou(scores.tp.sum(0), scores.fp.sum(0), scores.fn.sum(0))
    theirs = [evaluator.getIouScoreForLabel(int(ids[k]), matrix, args) for k in range(K)]
    present = scores.confusion.sum(1) > 0
    np.testing.assert_allclose(ours[present], np.array(theirs)[present], rtol=1e-12)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_absent_is_left_out_and_predicted_but_absent_is_zero() -> None:
    truth = np.zeros((2, 2), np.uint8)  # Sky alone
    prediction = np.array([[0, 0], [0, 3]], np.uint8)  # one pixel called Road
    metrics = score(Maps([truth]), lambda _: prediction).metrics()
    assert metrics["iou"]["Sky"] == 0.75
    assert metrics["iou"]["Road"] == 0.0
    assert metrics["iou"]["Pole"] is None
    assert metrics["miou"] == 0.375
    assert metrics["num_classes_counted"] == 2
    assert metrics["pixel_accuracy"] == 0.75


def test_the_mean_is_over_the_set_not_over_images() -> None:
    big, small = np.zeros((10, 10), np.uint8), np.zeros((1, 1), np.uint8)
    wrong = np.ones((1, 1), np.uint8)
    metrics = score(Maps([big, small]), lambda i: (big, wrong)[i]).metrics()
    assert metrics["iou"]["Sky"] == 100 / 101  # the mean over images would be one half


def test_groups_and_images_add_up() -> None:
    truths, predictions = _random_maps(7, count=4)
    data = Maps(truths, ["a", "b", "a", "b"])
    scores = score(data, lambda i: predictions[i])
    metrics = scores.metrics()
    assert [g["num_images"] for g in metrics["groups"].values()] == [2, 2]
    alone = score(Maps([truths[1], truths[3]]), lambda i: predictions[(1, 3)[i]]).metrics()
    assert metrics["groups"]["b"]["miou"] == alone["miou"]
    np.testing.assert_array_equal(scores.tp + scores.fn, [_counts(t) for t in truths])
    np.testing.assert_array_equal(scores.tp.sum(0), scores.confusion.diagonal())


def _counts(truth: UInt8) -> Any:
    return np.bincount(truth[truth != 255], minlength=K)


def test_position_prior_by_hand() -> None:
    """Two training images agree on the top row; the bottom is a majority of two in three."""
    train = [
        np.array([[0, 0], [3, 3]], np.uint8),
        np.array([[0, 0], [3, 4]], np.uint8),
        np.array([[0, 255], [4, 4]], np.uint8),
    ]
    test = np.array([[0, 0], [3, 3]], np.uint8)
    metrics = position_prior(Maps(train), Maps([test])).metrics()
    # predicted: 0 0 / 3 4
    assert metrics["pixel_accuracy"] == 0.75
    assert metrics["iou"]["Sky"] == 1.0
    assert metrics["iou"]["Road"] == 0.5
    assert metrics["iou"]["Pavement"] == 0.0
    double = position_prior(Maps(train), Maps([test.repeat(2, 0).repeat(2, 1)])).metrics()
    assert double["pixel_accuracy"] == 0.75  # positions are relative to the size


def _full(data: Maps, predictions: list[UInt8]) -> FullScores:
    return full_scores(data, count_split(data, lambda i, truth: predictions[i]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_predicted_at_void_changes_no_number(seed: int) -> None:
    truths, predictions = _random_maps(seed)
    data, rng = Maps(truths), np.random.default_rng(seed + 1)
    scores = _full(data, predictions)
    for truth, prediction in zip(truths, predictions, strict=True):
        void = truth == 255
        prediction[void] = rng.choice([*range(K), 255], void.sum())
    other = _full(data, predictions)
    assert other.metrics() == scores.metrics()
    for name, array in scores.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], array)
    np.testing.assert_array_equal(other.confusion, scores.confusion)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whole_images_are_scored_alike_by_both(seed: int) -> None:
    truths, predictions = _random_maps(seed)
    whole = score(Maps(truths), lambda i: predictions[i])
    full = _full(Maps(truths), predictions)
    assert whole.metrics().items() <= full.metrics().items()
    np.testing.assert_array_equal(full.confusion, whole.confusion)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(full.arrays()[name], array)


def test_all_metrics_of_a_border_that_is_a_pixel_off() -> None:
    """Two classes of 6x4 pixels; the first is predicted one column too wide."""
    truth = np.repeat([[0] * 4 + [1] * 4], 6, axis=0).astype(np.uint8)
    prediction = np.repeat([[0] * 5 + [1] * 3], 6, axis=0).astype(np.uint8)
    scores = _full(Maps([truth]), [prediction])
    metrics = scores.metrics()
    assert metrics["miou"] == (24 / 30 + 18 / 24) / 2
    assert metrics["image_miou"] == {"mean": 0.775, "worst_decile": 0.775}
    bands = metrics["bands"]
    assert bands["pixels"] == [1, 2, 3, 5, 8, 12, 20]
    # Of each class 1, 2, 3, and then all 4 columns.
    within = [(0 / 6 + 6 / 12) / 2, (6 / 12 + 12 / 18) / 2, (12 / 18 + 18 / 24) / 2]
    assert bands["within"] == pytest.approx([*within, *[0.775] * 4])
    assert bands["beyond"] == [1.0, 1.0, 1.0, None, None, None, None]
    # Contours one pixel wide, of rectangles of 4 and 5, and of 4 and 3 columns.
    near = metrics["boundary_iou"]
    assert near["fraction"] == 0.02
    assert near["iou"]["Sky"] == 12 / (16 + 18 - 12)
    assert near["iou"]["Building"] == 10 / (16 + 14 - 10)
    assert near["iou"]["Pole"] is None
    assert near["mean"] == pytest.approx((12 / 22 + 10 / 20) / 2)
    for by, bin, edges in (("area", 0, [256, 1024, 9216]), ("width", 1, [3, 5, 9, 17])):
        found = metrics["objects"][by]
        assert found["edges"] == edges
        for name, value in (
            ("objects", 2),
            ("recall", (1 + 18 / 24) / 2),
            ("iou", (24 / 30 + 18 / 24) / 2),
        ):
            nothing = 0 if name == "objects" else None
            expected = [value if i == bin else nothing for i in range(len(edges) + 1)]
            assert found[name] == expected
    shapes = {name: array.shape for name, array in scores.arrays().items()}
    assert shapes == {
        **dict.fromkeys(("ids", "groups"), (1,)),
        **dict.fromkeys(("tp", "fp", "fn"), (1, K)),
        "widths": (7,),
        "band": (1, 7, 3, K),
        "boundary": (1, 2, K),
        "area_edges": (3,),
        "area": (1, K, 4, 4),
        "width_edges": (4,),
        "width": (1, K, 5, 4),
    }


def test_objects_are_pooled_over_images_and_then_over_classes() -> None:
    """A class with a small object found and a larger one missed has its pixels' recall, 2/8."""
    truths = [np.zeros((4, 12), np.uint8) for _ in range(2)]
    truths[0][1, 1:3] = truths[1][1, 1:7] = 1
    predictions = [truths[0], np.zeros_like(truths[1])]
    (thin, *_), (iou, *_) = (
        _full(Maps(truths), predictions).metrics()["objects"]["width"][k] for k in ("recall", "iou")
    )
    assert thin == 2 / 8  # class 0 has no thin object
    assert iou == 2 / 8


def test_the_worst_tenth_is_rounded_up_and_knows_no_empty_image() -> None:
    right = np.zeros((1, 4), np.uint8)
    wrong, half = np.ones_like(right), np.array([[0, 0, 1, 1]], np.uint8)
    void = np.full_like(right, 255)
    truths = [right] * 11 + [void] * 9
    metrics = _full(Maps(truths), [right] * 9 + [wrong, half] + [right] * 9).metrics()
    assert metrics["image_miou"]["mean"] == pytest.approx((9 + 0 + 0.25) / 11)
    assert metrics["image_miou"]["worst_decile"] == (0 + 0.25) / 2


def test_a_split_of_void_has_no_numbers() -> None:
    void = np.full((3, 3), 255, np.uint8)
    metrics = _full(Maps([void]), [np.zeros_like(void)]).metrics()
    assert metrics["miou"] is None and metrics["boundary_iou"]["mean"] is None
    assert set(metrics["bands"]["within"] + metrics["bands"]["beyond"]) == {None}
    assert set(metrics["image_miou"].values()) == {None}


def _write(folder: Path, name: str, ids: UInt8) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(folder / f"{name}.png")


def _oracle(folder: Path, spec: str, wrong: int = 0) -> None:
    """True labels, with class 0 at void and in the upper rows, `wrong` of them."""
    data = open_data(spec, "test")
    for i, name in enumerate(data.ids):
        ids = np.where(data.mask(i) == 255, 0, data.mask(i))
        ids[:wrong] = 0
        _write(folder, name, ids)


SPEC = "streets:height=48:width=64:train=4:val=2:test=3"


def test_several_processes_count_as_one_does(tmp_path: Path) -> None:
    spec = SPEC.replace("test=3", "test=40")  # enough for processes to pay
    _oracle(tmp_path / "p", spec, wrong=20)
    data = open_data(spec, "test")
    one, two = (
        full_scores(data, count_split(data, open_predictions(tmp_path / "p", data, None, n), n))
        for n in (1, 2)
    )
    assert one.metrics() == two.metrics()
    np.testing.assert_array_equal(one.confusion, two.confusion)
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(two.arrays()[name], array)
    worst = tmp_path / "p" / f"{data.ids[-1]}.png"
    _write(worst.parent, data.ids[-1], np.zeros((4, 4), np.uint8))
    with pytest.raises(PredictionError, match=rf"{worst.name} is 4x4"):
        list(count_split(data, open_predictions(tmp_path / "p", data), 2))


def _die(index: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_said_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="one of 2 processes was killed, .*: give fewer --jobs"):
        list(in_order(_die, 40, 2))


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_it_in_a_sentence(tmp_path: Path, jobs: int) -> None:
    spec = "streets:height=240:width=320:train=1:val=1:test=300"
    for name in open_data(spec, "test").ids:
        _write(tmp_path / "p", name, np.zeros((240, 320), np.uint8))
    output = tmp_path / "log.txt"
    command = [tmp_path / "p", "--data", spec, "--output", tmp_path / "kept", "--jobs", jobs]
    process = start("experiments.score", *command, output=output)
    deadline = time.monotonic() + 120
    while "read as" not in output.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(timeout=120) == 130
    said = [line for line in output.read_text().splitlines() if line and " of 300 " not in line]
    assert said == ["p read as: class ids (grey PNG)", "stopped; no result is half written"]
    assert not (tmp_path / "kept").exists()


def test_command_scores_and_adds_to_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _oracle(tmp_path / "p", SPEC)
    comparison = tmp_path / "runs" / "some"
    comparison.mkdir(parents=True)
    command = [str(tmp_path / "p"), "--data", SPEC, "--name", "oracle", "--add", str(comparison)]
    assert score_command.main(command) == 0
    shown = capsys.readouterr().out
    assert "oracle read as: class ids (grey PNG)\n" in shown
    assert "100.0" in shown
    (result,) = read_results(comparison)
    assert result.path == comparison / "scored" / "oracle" / "seed0" / "result.json"
    assert list(result.per_image()["ids"]) == open_data(SPEC, "test").ids
    assert result["data"]["block"] is None
    other = [*command[:2], SPEC.replace("test=3", "test=2"), *command[3:]]
    assert score_command.main(other) == 2
    assert "differ in data" in capsys.readouterr().err
    assert score_command.main([str(tmp_path / "p"), "--data", "street"]) == 2
    assert "did you mean 'streets'" in capsys.readouterr().err


def test_only_the_scored_split_has_to_be_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What made label maps may have been trained on anything, as the trials beside it."""
    path = _trial(tmp_path / "runs", "a", 10)
    record = json.loads(path.read_text())
    prints = {"trainaug": "any", "test": open_data(SPEC, "test").fingerprint()}
    recipe = {"train_split": "trainaug", "test_split": "test", "data": SPEC, "name": "aug"}
    hashes = {"recipe": "r" * 12, "data": "d" * 12, "protocol": "p" * 12, "code": "c" * 12}
    record |= {"recipe": recipe, "hashes": hashes}
    record["data"]["fingerprints"] = prints
    write_json(path, record)
    _oracle(tmp_path / "p", SPEC)
    command = [str(tmp_path / "p"), "--data", SPEC, "--add", str(tmp_path / "runs")]
    assert score_command.main(command) == 0, capsys.readouterr().err
    record["data"]["fingerprints"]["test"] = "exchanged"
    write_json(path, record)
    assert score_command.main(command) == 2
    assert "differ in data (fingerprints.test: 'exchanged' against" in capsys.readouterr().err


def test_the_training_images_need_not_be_there(tmp_path: Path) -> None:
    camvid.build(root := tmp_path / "CamVid")
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "trainannot")
    for name in open_data("camvid", "test", root).ids:
        _write(tmp_path / "p", name, np.zeros((48, 64), np.uint8))
    assert (
        score_command.main([str(tmp_path / "p"), "--data", "camvid", "--data-root", str(root)]) == 0
    )


def test_the_block_of_a_published_data_set_is_in_its_results(camvid: Path, tmp_path: Path) -> None:
    for name in open_data("camvid", "test", camvid).ids:
        _write(tmp_path / "p", name, np.zeros((48, 64), np.uint8))
    command = [str(tmp_path / "p"), "--data", "camvid", "--data-root", str(camvid)]
    assert score_command.main([*command, "--output", str(tmp_path / "kept")]) == 0
    known = dataset_info("camvid")
    assert known is not None and known.block
    assert read_results(tmp_path / "kept")[0]["data"]["block"] == known.block


def test_several_folders_are_rows_and_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folders = [str(tmp_path / name) for name in ("good/seed0", "bad:really", "worst/predictions")]
    for folder, wrong in zip(folders, (0, 20, 40), strict=True):
        _oracle(Path(folder) / ("predictions" * folder.endswith("seed0")), SPEC, wrong)
    command = [*folders, "--data", SPEC, "--output", str(tmp_path / "kept"), "--audit"]
    assert score_command.main(command) == 0
    shown = capsys.readouterr().out
    *lines, last = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert last == f"report: {tmp_path / 'kept' / 'report.html'}"
    assert "good has the highest mIoU, 100.0 %" in " ".join(" ".join(lines).split())
    assert (tmp_path / "kept" / "report.html").is_file()
    results = {result["model"]: result for result in read_results(tmp_path / "kept")}
    assert list(results) == ["bad:really", "good", "worst"]
    for name, result in results.items():
        assert f"{name} by other definitions" in shown
        assert result.path.parent.parent.parent == tmp_path / "kept"
        counts, metrics = result.per_image(), result["metrics"]
        assert class_iou(*(counts[k].sum(0) for k in ("tp", "fp", "fn"))).size == 11
        matrix = np.array(result["confusion"])
        np.testing.assert_array_equal(counts["tp"].sum(0), matrix.diagonal())
        assert metrics["boundary_iou"]["mean"] <= 1
    mious = [results[name]["metrics"]["miou"] for name in ("good", "bad:really", "worst")]
    assert mious[0] == 1.0 and mious == sorted(mious, reverse=True)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--data", SPEC, "--name", "a"], "1 --name for 2 folders: give one for each"),
        (["--data", SPEC, "--name", "a b", "--name", "a:b"], "2 folders are called a-b"),
        (["--data", SPEC, "--jobs", "0"], "--jobs is 0: at least one"),
        ([], "a DIR of predictions and --data, or --again with results, are needed"),
        (["--again", "runs"], "--again takes predictions and data set from the results"),
    ],
)
def test_wrong_requests_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    for name in "pq":
        _oracle(tmp_path / name, SPEC)
    assert score_command.main([str(tmp_path / "p"), str(tmp_path / "q"), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(says)


def _trial(folder: Path, model: str, wrong: int, seed: int = 0) -> Path:
    """A finished trial as one was before boundaries were counted, and its predictions."""
    target = folder / model / f"seed{seed}"
    _oracle(target / "predictions", SPEC, wrong)
    kept = folder.with_name("kept")
    assert (
        score_command.main([str(target), "--data", SPEC, "--name", model, "--output", str(kept)])
        == 0
    )
    record = json.loads((kept / model / "seed0" / "result.json").read_text())
    old = ("miou", "pixel_accuracy", "num_classes_counted", "iou", "groups")
    record["metrics"] = {name: record["metrics"][name] for name in old}
    record |= {"seed": seed, "curve": {"step": [1], "loss": [0.5]}, "init": {"kind": "random"}}
    write_json(target / "result.json", record)
    np.savez(target / "per_image.npz", ids=np.array(["old"]))
    return target / "result.json"


def test_again_renews_the_metrics_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    paths = [_trial(runs, "a", 10), _trial(runs, "a", 12, seed=1), _trial(runs, "b", 20)]
    before = [json.loads(path.read_text()) for path in paths]
    write_json(runs / "c" / "seed0" / "result.json", {**before[0], "status": "failed"})
    files = sorted(runs.rglob("*"))
    assert "-: scored before boundaries" in _text(boundary_table(read_results(runs)))
    capsys.readouterr()
    assert score_command.main(["--again", str(runs)]) == 0
    assert "b seed 0: mIoU " in capsys.readouterr().out
    assert sorted(runs.rglob("*")) == files
    for path, old in zip(paths, before, strict=True):
        result = TrialResult(path, json.loads(path.read_text()))
        assert list(result.record) == list(old)
        assert {**result.record, "metrics": None} == {**old, "metrics": None}
        assert old["metrics"].items() <= result["metrics"].items()
        assert result["metrics"]["bands"]["within"][0] is not None
        data = open_data(SPEC, "test")
        expected = score_folder(result.predictions, data)
        assert result["metrics"] == expected.metrics()
        for name, array in expected.arrays().items():
            np.testing.assert_array_equal(result.per_image()[name], array)


def test_again_refuses_what_is_not_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    first, second = _trial(runs, "a", 10), _trial(runs, "b", 20)
    bytes = first.read_bytes()

    def refused() -> str:
        capsys.readouterr()
        assert score_command.main(["--again", str(runs)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    (lost, *_) = (second.parent / "predictions").iterdir()
    aside = lost.rename(tmp_path / lost.name)
    assert f"{lost.parent} lacks 1 of 3 predictions, the first {lost.name}" in refused()
    assert first.read_bytes() == bytes
    aside.rename(lost)
    record = json.loads(first.read_text())
    record["confusion"][0][0] += 1
    write_json(first, record)
    assert refused() == f"{first} is of other labels: name theirs by --data-root"
    (second.parent / "predictions").rename(tmp_path / "away")
    assert f"{second} has no predictions beside it" in refused()
    assert score_command.main(["--again", str(tmp_path / "away")]) == 2
    assert "no finished trial in" in capsys.readouterr().err


def test_a_trained_network_keeps_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of one name would count as repetitions of one network."""
    path = _trial(tmp_path / "runs", "unet", 10)
    write_json(path, {**json.loads(path.read_text()), "cost": {"params": 1}})
    capsys.readouterr()
    command = [str(path.parent), "--data", SPEC, "--name", "unet", "--add", str(tmp_path / "runs")]
    assert score_command.main(command) == 2
    assert "runs has a trained unet: give another --name" in capsys.readouterr().err


def _text(table: Table) -> str:
    console = Console(width=80, record=True)
    console.print(table)
    return " ".join(console.export_text().split())


def test_the_boundary_table_has_a_row_a_model_and_means_over_seeds() -> None:
    def result(model: str, value: float | None) -> TrialResult:
        parts = {
            "image_miou": {"mean": value, "worst_decile": 0.125},
            "boundary_iou": {"mean": 0.25},
            "bands": {"pixels": [2, 3], "within": [0, 0.375], "beyond": [0, None]},
            "objects": {"width": {"recall": [0.5, 0]}},
        }
        record = {"status": "done", "model": model, "recipe": {}, "metrics": parts}
        return TrialResult(Path(model), record)

    shown = _text(boundary_table([result("a", 0.5), result("b", None), result("a", 1.0)]))
    assert "a 25.0 37.5 - 50.0 75.0 12.5 b 25.0 37.5 - 50.0 - 12.5" in shown
    assert "scored before" not in shown


@pytest.mark.slow
def test_a_large_image_takes_less_than_half_a_second_of_a_core(tmp_path: Path) -> None:
    """0.2 s for 2048x1024 pixels and 19 classes, with the reading of both PNGs."""
    truth, prediction = _scene(1024, 2048)
    _write(tmp_path, "truth", truth)
    _write(tmp_path, "prediction", prediction)
    read = Predictions([tmp_path / "prediction.png"], np.arange(256, dtype=np.uint8), "")
    times = []
    for _ in range(5):
        before = time.process_time()
        with Image.open(tmp_path / "truth.png") as file:
            labels = np.array(file)
        count(labels, read(0, labels), 19)
        times.append(time.process_time() - before)
    assert min(times) < 0.5
