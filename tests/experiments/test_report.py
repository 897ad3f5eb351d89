import dataclasses
import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.camvid import CAMVID
from datamodules.labels import IGNORE, DataError, UInt8
from experiments import report
from experiments.figure import pareto_figure
from experiments.panel import Panel, error_map, make_panel
from experiments.recipes import camvid_quick
from experiments.rows import pareto_front
from experiments.store import Result, read_results
from experiments.table import markdown

IDS = [f"{clip}_{i:03d}" for clip in ("A", "B") for i in range(8)]
MODELS = ("hrnetv2_w18_small_v1", "deeplabv3p:trunk=mobilenetv2_100", "unet:width=9")
RECIPE = dataclasses.replace(camvid_quick(), name="tiny")
HASHES = {"recipe": "r1", "data": "d1", "protocol": "p1", "code": "c1"}
COST = {
    "params": 615_638,
    "gmacs": 2.62,
    "size": [360, 480],
    "latency_ms": 41.2,
    "latency_ms_p10": 39.0,
    "latency_ms_p90": 44.0,
    "peak_memory_gb": 1.9,
    "peak_memory_kind": "resident set",
    "params_paper": 1_545_000,
    "paper_gflops_1024x2048": 31.1,
    "threads": 2,
    "device": "cpu",
    "precision": "bf16-mixed",
}


class Streets:
    """Sixteen images of 6x8 pixels with two classes and one ignored corner."""

    def __init__(self) -> None:
        self.labels, self.ids, self.groups = CAMVID, IDS, [name[0] for name in IDS]

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return np.full((6, 8, 3), index, np.uint8), self.mask(index)

    def mask(self, index: int) -> UInt8:
        mask = np.zeros((6, 8), np.uint8)
        mask[3:], mask[0, 0] = 3, IGNORE
        return mask

    def fingerprint(self) -> str:
        return "d1"


def metrics(miou: float) -> dict[str, Any]:
    iou: dict[str, float | None] = dict.fromkeys(CAMVID.names, miou)
    groups = {g: {"miou": miou, "pixel_accuracy": 0.8, "num_images": 8} for g in ("A", "B")}
    return {
        "miou": miou,
        "pixel_accuracy": 0.8,
        "num_classes_counted": 10,
        "iou": {**iou, "Pole": None},
        "groups": groups,
    }


def write(folder: Path, model: str, **changes: Any) -> None:
    """A finished trial with its predictions; `changes` replace parts of the record."""
    folder.mkdir(parents=True)
    miou = changes.pop("miou", 0.5)
    record = {
        "schema": 1,
        "status": "done",
        "reason": None,
        "recipe": dataclasses.asdict(RECIPE),
        "model": model,
        "seed": 0,
        "hashes": HASHES,
        "data": {"name": "camvid", "split": "test", "num_images": 16, "classes": CAMVID.names},
        "protocol": RECIPE.protocol,
        "confusion": np.eye(11, dtype=int).tolist(),
        "metrics": metrics(miou),
        "cost": COST,
        "timing": {"train_seconds": 1500.0, "steps": 4000},
        "environment": {"python": "3.11", "torch": "2.9"},
        "curve": {"train": [[1, 2.4], [2, 1.2]], "val": [[2, 0.3]]},
    }
    (folder / "result.json").write_text(json.dumps({**record, **changes}))
    np.savez(folder / "per_image.npz", ids=np.array(IDS))
    for name in IDS:
        image = Image.fromarray(Streets().mask(0) % IGNORE)
        image.putpalette(CAMVID.palette)
        (folder / "predictions").mkdir(exist_ok=True)
        image.save(folder / "predictions" / f"{name}.png")


def write_failed(folder: Path, model: str, reason: str) -> None:
    folder.mkdir(parents=True)
    record = {
        "schema": 1,
        "status": "failed",
        "reason": reason,
        "recipe": dataclasses.asdict(RECIPE),
        "model": model,
        "seed": 0,
        "hashes": HASHES,
        "environment": {"python": "3.11", "torch": "2.9"},
    }
    (folder / "result.json").write_text(json.dumps(record))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, model in enumerate(MODELS):
        write(tmp_path / "results" / str(i), model, miou=0.5 + i / 10)
    write_failed(tmp_path / "results" / "3", "hrnet", "out of memory at step 3")
    return tmp_path / "results"


@pytest.fixture
def results(folder: Path) -> list[Result]:
    return read_results(folder)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.panel.open_data", lambda spec, split, root: Streets())


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: str, split: str, root: Path | None) -> None:
        raise DataError("camvid needs a folder and none was given")

    monkeypatch.setattr("experiments.panel.open_data", refuse)


def page(results: list[Result], panel: Panel | None = None, **changes: Any) -> str:
    """The report without plotly's own code, in which addresses are not loads."""
    path = results[0].path.parent.parent / "report.html"
    options: dict[str, Any] = {"stale": set(), "prior": None, "panel": panel, **changes}
    report.write_report(results, path, **options)
    text = path.read_text()
    return re.sub(r"<script>/\*\*.*?</script>", "<script></script>", text, flags=re.DOTALL)


def words(text: str) -> str:
    """What a reader sees of a page."""
    return " ".join(
        html.unescape(re.sub(r"<script>.*?</script>|<[^>]+>", "", text, flags=re.S)).split()
    )


def test_page_loads_nothing(results: list[Result], data: None) -> None:
    text = page(results, make_panel(results, None))
    sources = re.findall(r"(?:src|href|srcset|action)\s*=\s*[\"']?([^\"'\s>]+)", text)
    assert len(sources) == 4 * (2 + 2 * len(MODELS))
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "@import" not in text and "url(" not in text
    assert len(text) < 200_000


def test_page_names_everything(results: list[Result]) -> None:
    shown = words(page(results))
    for word in (*MODELS, *CAMVID.names, "out of memory at step 3", "tiny", "16 images"):
        assert word in shown
    assert "Why test and not val" in shown


def test_best_comes_first_and_failed_last(results: list[Result]) -> None:
    table = page(results).split("</table>")[0]
    found = [table.index(model) for model in (*reversed(MODELS), "hrnet</th>")]
    assert found == sorted(found)


def test_absent_class_and_stale_row(results: list[Result]) -> None:
    shown = page(results, stale={str(results[1].path)})
    assert shown.count('class="absent"') == len(MODELS)
    row = shown.split("deeplabv3p:trunk=mobilenetv2_100")[1].split("</tr>")[0]
    assert "made by other code" in row and shown.count("made by other code") == 1


def test_prior_is_a_row_and_a_column(results: list[Result]) -> None:
    iou = {**dict.fromkeys(CAMVID.names, 0.125), "Sky": float("nan")}
    prior = {"miou": 0.1875, "pixel_accuracy": 0.625, "iou": iou}
    shown = page(results, prior=prior)
    assert "18.8" in shown and "62.5" in shown and shown.count(">12.5<") == 10
    assert shown.count('class="absent"') == len(MODELS) + 1


def test_published_only_without_options(results: list[Result]) -> None:
    table = words(page(results).split('id="published"')[1].split("</section>")[0])
    assert "HRNetV2-W18-Small-v1" in table and "+3.0" in table and "DeepLabv3+" not in table
    assert "not comparable: other data" in table
    assert "Without a published row: unet:width=9, deeplabv3p:trunk=mobilenetv2_100." in table


def test_alias_has_a_published_row(tmp_path: Path) -> None:
    write(tmp_path / "results" / "0", "hrnet")
    assert "HRNetV2-W48" in page(read_results(tmp_path / "results"))


def test_names_and_reasons_are_escaped(tmp_path: Path, data: None) -> None:
    evil = "<script>alert('x')</script>\"<img src=x onerror=alert(1)>"
    write(tmp_path / "results" / "0", evil)
    write_failed(tmp_path / "results" / "1", evil, evil)
    results = read_results(tmp_path / "results")
    text = page(results, make_panel(results, None))
    assert "<script>alert" not in text and "<img src=x" not in text
    assert "alert(" in words(text)


def test_mixed_recipes_are_refused(folder: Path) -> None:
    other = {**dataclasses.asdict(RECIPE), "lr": 0.5}
    write(folder / "9", "unet", recipe=other, hashes={**HASHES, "recipe": "r2"})
    with pytest.raises(ValueError, match=r"lr: 0\.05 against 0\.5"):
        page(read_results(folder))
    assert not list(folder.glob("*report.html*"))


def test_only_failures_still_make_a_page(tmp_path: Path, no_data: None) -> None:
    write_failed(tmp_path / "results" / "0", "hrnet", "out of memory")
    results = read_results(tmp_path / "results")
    assert "out of memory" in page(results, make_panel(results, None))


def test_panel_spreads_over_the_split(results: list[Result], data: None) -> None:
    panel = make_panel(results, None)
    assert panel.ids == [IDS[i] for i in (2, 6, 10, 14)]
    assert panel.images is not None and panel.images[IDS[6]][0, 0, 0] == 6
    shown = words(page(results, panel))
    assert shown.count("0.0 % wrong") == 4 * len(MODELS)


def test_absent_data_is_said(results: list[Result], no_data: None) -> None:
    panel = make_panel(results, None)
    assert panel.images is None and panel.masks is None and len(panel.ids) == 4
    text = page(results, panel)
    assert "No photos: camvid needs a folder" in text
    assert text.count("data:image/png") == 4 * len(MODELS)


def test_lost_prediction_is_said(results: list[Result], data: None) -> None:
    panel = make_panel(results, None)
    (results[0].predictions / f"{panel.ids[0]}.png").unlink()
    assert page(results, panel).count("prediction not kept") == 1


def test_error_map() -> None:
    truth = np.array([[1, 2], [IGNORE, IGNORE]], np.uint8)
    prediction = np.array([[1, 3], [1, IGNORE]], np.uint8)
    (right, wrong), (ignored, also) = error_map(truth, prediction).tolist()
    assert right[0] == pytest.approx(right[2], abs=10)
    assert wrong[0] > 2 * max(wrong[1:])
    assert ignored == also == [255, 255, 255]


@pytest.mark.parametrize(
    ("costs", "accuracies", "front"),
    [
        ([1.0, 2.0, 3.0], [0.5, 0.4, 0.6], [0, 2]),
        ([3.0, 1.0, 2.0], [0.9, 0.2, 0.5], [1, 2, 0]),
        ([1.0, 1.0, 2.0], [0.4, 0.5, 0.5], [1]),
        ([1.0, 1.0], [0.5, 0.5], [0]),
    ],
)
def test_pareto_front(costs: list[float], accuracies: list[float], front: list[int]) -> None:
    assert pareto_front(costs, accuracies) == front


def test_figure(results: list[Result], tmp_path: Path) -> None:
    pareto_figure(results, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == (1200, 600)
        assert np.asarray(image.convert("L")).std() > 5


def test_main_writes_beside_the_results(folder: Path, data: None, tmp_path: Path) -> None:
    assert report.main([str(folder), "--figure", str(tmp_path / "figure.png")]) == 0
    assert (folder / "report.html").is_file() and (tmp_path / "figure.png").is_file()


def test_main_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(tmp_path / "none")]) == 2
    assert re.fullmatch(r"no results folder at .*\n", capsys.readouterr().err)
    assert report.main([str(tmp_path)]) == 2
    assert re.fullmatch(r"no results .*\n", capsys.readouterr().err)


def test_import_is_light() -> None:
    heavy = "{'torch', 'lightning', 'plotly', 'jinja2', 'matplotlib'}"
    code = f"import sys, experiments.report; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_published_results_make_the_same_table(folder: Path, data: None, tmp_path: Path) -> None:
    """What is kept is enough for the README, which is renewed between its marks alone."""
    readme, kept = tmp_path / "README.md", tmp_path / "kept"
    readme.write_text(f"before\n<!-- {folder.name} -->\nold\n<!-- end -->\nafter\n")
    assert report.main([str(folder), "--publish", str(kept), "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    for model in MODELS:
        assert f"| `{model}` |" in text
    assert markdown(read_results(kept), None) in text
    readme.write_text("no marks")
    assert report.main([str(folder), "--readme", str(readme)]) == 2
    assert readme.read_text() == "no marks"
