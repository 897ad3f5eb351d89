"""The command that scores folders of predictions, and kept ones again."""

import json
import os
import shutil
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from rich.table import Table

from datamodules import dataset_info, open_data
from datamodules.labels import UInt8
from experiments import score as score_command
from experiments.recipes import camvid_quick
from experiments.reporting.score_tables import boundary_table
from experiments.scoring.metrics import score_folder
from experiments.trials.atomic_io import write_json
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, per_image, read_result, read_results
from tests.commands import exit_status, start
from tests.experiments.made import COST, failed, trial
from tests.trees import camvid


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


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_it_in_a_sentence(tmp_path: Path, jobs: int) -> None:
    spec = "streets:height=240:width=320:train=1:val=1:test=300"
    for name in open_data(spec, "test").ids:
        _write(tmp_path / "p", name, np.zeros((240, 320), np.uint8))
    output = tmp_path / "log.txt"
    command = [tmp_path / "p", "--data", spec, "--output", tmp_path / "kept", "--jobs", jobs]
    process = start("experiments.score", *command, output=output)
    deadline = time.monotonic() + 120
    while "300 predictions" not in output.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(timeout=120) == 130
    said = [line for line in output.read_text().splitlines() if line and " of 300 " not in line]
    assert said == ["p: 300 predictions", "stopped; no result is half written"]
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
    assert isinstance(result, FinishedTrial) and result.data.block is None
    counts = per_image(result)
    assert counts is not None and list(counts["ids"]) == open_data(SPEC, "test").ids
    other = [*command[:2], SPEC.replace("test=3", "test=2"), *command[3:]]
    assert score_command.main(other) == 2
    assert "differ in data" in capsys.readouterr().err
    assert score_command.main([str(tmp_path / "p"), "--data", "street"]) == 2
    assert "did you mean 'streets'" in capsys.readouterr().err


def test_a_fault_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _oracle(tmp_path / "p", SPEC)
    last = sorted((tmp_path / "p").iterdir())[-1]
    _write(last.parent, last.stem, np.full((48, 64), 99, np.uint8))
    before = sorted(tmp_path.rglob("*"))
    kept = ["--output", str(tmp_path / "kept")]
    assert score_command.main([str(tmp_path / "p"), "--data", SPEC, *kept]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{last} has the value 99 in 3072 pixels")
    assert sorted(tmp_path.rglob("*")) == before


def test_predicted_void_is_counted_said_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the true class and a claim of no other, in every number that is kept."""
    data = open_data(SPEC, "test")
    _oracle(tmp_path / "p", SPEC)
    holes = np.zeros((48, 64), bool)
    holes[10:20] = True
    lost = np.zeros(data.labels.num_classes, int)
    for i, name in enumerate(data.ids):
        truth = data.mask(i)
        _write(tmp_path / "p", name, np.where(holes | (truth == 255), 255, truth).astype(np.uint8))
        lost += np.bincount(truth[holes & (truth != 255)], minlength=len(lost))[: len(lost)]
    kept = tmp_path / "kept"
    assert score_command.main([str(tmp_path / "p"), "--data", SPEC, "--output", str(kept)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"p predicts void in {lost.sum()} pixels whose" in shown
    (result,) = finished(read_results(kept))
    assert result.unpredicted == tuple(lost)
    counts = per_image(result)
    assert counts is not None
    assert counts["fn"].sum(0).tolist() == lost.tolist() and counts["fp"].sum() == 0
    matrix = np.array(result.confusion)
    assert np.array(result.with_void)[:, -1].tolist() == lost.tolist()
    assert (counts["tp"] + counts["fn"]).sum(0).tolist() == result.true_pixels
    assert counts["fn"].sum(0).tolist() == (matrix.sum(1) - matrix.diagonal() + lost).tolist()
    assert counts["fp"].sum(0).tolist() == (matrix.sum(0) - matrix.diagonal()).tolist()
    true = np.array(result.true_pixels)
    right = matrix.diagonal()[true > 0] / true[true > 0]
    assert result.metrics.miou == pytest.approx(right.mean())
    assert score_command.main(["--again", str(kept)]) == 0
    (again,) = finished(read_results(kept))
    assert again.metrics == result.metrics and again.unpredicted == result.unpredicted
    whole = _trial(tmp_path / "ours", "unet", 3)
    (record,) = whole.parent.parent.rglob("result.json")
    assert "unpredicted" not in record.read_text()  # nothing of theirs is another


def test_of_one_class_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "d"
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"images/{i}.png")
        _write(root / "masks", str(i), np.where(pixels[..., 0] > 99, 0, 255).astype(np.uint8))
    (root / "labels.csv").write_text("id,name\n0,crack\n")
    for id in open_data("folder", "test", root).ids:
        _write(tmp_path / "p", id, np.zeros((16, 16), np.uint8))
    command = [str(tmp_path / "p"), "--data", "folder", "--data-root", str(root), "--audit"]
    assert score_command.main(command) == 0
    assert "100.0 % mIoU" in " ".join(capsys.readouterr().out.split())


def test_only_the_scored_split_has_to_be_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What made label maps may have been trained on anything, as the trials beside it."""
    path = _trial(tmp_path / "runs", "a", 10)
    record = json.loads(path.read_text())
    prints = {"trainaug": "any", "test": open_data(SPEC, "test").fingerprint()}
    recipe = asdict(replace(camvid_quick(), train_split="trainaug", data=SPEC, name="aug"))
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
    (result,) = finished(read_results(tmp_path / "kept"))
    assert result.data.block == known.block


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
    results = {result.model: result for result in finished(read_results(tmp_path / "kept"))}
    assert list(results) == ["bad:really", "good", "worst"]
    for name, result in results.items():
        assert f"{name} by other definitions" in shown
        assert result.path.parent.parent.parent == tmp_path / "kept"
        counts = per_image(result)
        assert counts is not None
        matrix = np.array(result.confusion)
        np.testing.assert_array_equal(counts["tp"].sum(0), matrix.diagonal())
        np.testing.assert_array_equal((counts["tp"] + counts["fn"]).sum(0), matrix.sum(1))
        assert result.metrics.boundary_iou is not None
    mious = [results[name].miou for name in ("good", "bad:really", "worst")]
    assert mious[0] == 1.0 and mious == sorted(mious, reverse=True)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--data", SPEC, "--name", "a"], "1 --name for 2 folders: give one for each"),
        (["--data", SPEC, "--name", "a b", "--name", "a:b"], "2 folders are called a-b"),
        (["--data", SPEC, "--jobs", "0"], "--jobs is 0: give a whole number from 1 to"),
        ([], "a DIR of predictions and --data, or --again with results, are needed"),
        (["--again", "runs"], "--again takes predictions and data set from the results"),
    ],
)
def test_wrong_requests_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    for name in "pq":
        _oracle(tmp_path / name, SPEC)
    assert exit_status(score_command.main, tmp_path / "p", tmp_path / "q", *more) == 2
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
    record |= {"seed": seed, "curve": {"train": [[1, 0.5]]}, "init": {"kind": "random"}}
    record["per_image_sha256"] = None
    write_json(target / "result.json", record)
    np.savez(target / "per_image.npz", ids=np.array(["old"]))
    return target / "result.json"


def test_again_renews_the_metrics_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    paths = [_trial(runs, "a", 10), _trial(runs, "a", 12, seed=1), _trial(runs, "b", 20)]
    before = [json.loads(path.read_text()) for path in paths]
    failed(runs, "c", "out of memory")
    files = sorted(runs.rglob("*"))
    assert "-: scored before boundaries" in _text(boundary_table(read_results(runs)))
    capsys.readouterr()
    assert score_command.main(["--again", str(runs)]) == 0
    assert "b seed 0: mIoU " in capsys.readouterr().out
    assert sorted(runs.rglob("*")) == files
    for path, old in zip(paths, before, strict=True):
        record = json.loads(path.read_text())
        changed = {key for key in record if record[key] != old.get(key)}
        assert changed - {"curve", "init"} == {"metrics", "per_image_sha256"}
        assert record["curve"]["train"] == [[1, 0.5]]
        result = read_result(path)
        assert isinstance(result, FinishedTrial)
        assert result.metrics.bands is not None and result.metrics.bands.within[0] is not None
        scores = score_folder(result.predictions, open_data(SPEC, "test"))
        assert result.metrics == scores.metrics()
        assert old["metrics"].items() <= record["metrics"].items()
        counts = per_image(result)
        assert counts is not None
        for name, array in scores.arrays().items():
            np.testing.assert_array_equal(counts[name], array)


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
    write_json(path, {**json.loads(path.read_text()), "cost": COST})
    capsys.readouterr()
    command = [str(path.parent), "--data", SPEC, "--name", "unet", "--add", str(tmp_path / "runs")]
    assert score_command.main(command) == 2
    assert "runs has a trained unet: give another --name" in capsys.readouterr().err


def _text(table: Table) -> str:
    console = Console(width=80, record=True)
    console.print(table)
    return " ".join(console.export_text().split())


def test_the_boundary_table_has_a_row_a_model_and_means_over_seeds(tmp_path: Path) -> None:
    def result(model: str, seed: int, value: float | None) -> FinishedTrial:
        bins = {"edges": [3], "objects": [1, 1], "recall": [0.5, 0], "iou": [0.5, 0]}
        parts = {
            "image_miou": {"mean": value, "worst_decile": 0.125},
            "boundary_iou": {"fraction": 0.02, "mean": 0.25, "iou": {}},
            "bands": {"pixels": [2, 3], "within": [0, 0.375], "beyond": [0, None]},
            "objects": {"area": bins, "width": bins},
        }
        iou = {"a": 0.5, "b": 0.5}
        whole = {"miou": 0.5, "pixel_accuracy": 0.5, "num_classes_counted": 2, "iou": iou}
        return trial(tmp_path, model, None, seed, metrics=whole | parts)

    shown = _text(boundary_table([result("a", 0, 0.5), result("b", 0, None), result("a", 1, 1.0)]))
    assert "a 25.0 37.5 - 50.0 75.0 12.5 b 25.0 37.5 - 50.0 - 12.5" in shown
    assert "scored before" not in shown
