import dataclasses
import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE, DataError, UInt8
from experiments import report
from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import PairEvidence
from experiments.analysis.intervals import Interval, Verdict
from experiments.analysis.pareto import pareto_front
from experiments.recipes import camvid_quick
from experiments.reporting import html_report
from experiments.reporting.chart_data import bins, forest, over_seeds, thin
from experiments.reporting.image_panel import Panel, choose, error_map, make_panel, photo, picture
from experiments.reporting.plots import pareto_figure
from experiments.reporting.report_context import command
from experiments.scoring.metrics import score_folder
from experiments.trials.atomic_io import write_arrays, write_json
from experiments.trials.overrides import load_recipe
from experiments.trials.results import TrialResult, read_results

IDS = [f"{clip}_{i:03d}" for clip in ("A", "B") for i in range(8)]
MODELS = ("hrnetv2_w18_small_v1", "deeplabv3p:trunk=mobilenetv2_100", "unet:width=9")
RECIPE = dataclasses.replace(camvid_quick(), name="camvid-quick+steps=9", steps=9)
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
    """Sixteen scenes of 36x48 pixels: sky, houses, road, a pole and a car, one part not scored."""

    def __init__(self) -> None:
        self.labels, self.ids, self.groups = CAMVID, IDS, [name[0] for name in IDS]

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return np.full((36, 48, 3), 10 * index, np.uint8), self.mask(index)

    def mask(self, index: int) -> UInt8:
        mask = np.zeros((36, 48), np.uint8)
        mask[10:24], mask[24:], mask[:4, :6] = 1, 3, IGNORE
        mask[4:28, 5 + 2 * index] = 2
        mask[22:30, 30 - index : 40 - index] = 8
        return mask

    def fingerprint(self) -> str:
        return "d1"


def predict(index: int, wrong: float, seed: int) -> UInt8:
    """The truth with a share of its pixels as `Fence`, and road where nothing is scored."""
    mask = Streets().mask(index)
    mask[mask == IGNORE] = 3
    mask[np.random.default_rng([index, seed]).random(mask.shape) < wrong] = 7
    return mask


def write(folder: Path, model: str, wrong: float = 0.2, seed: int = 0, **changes: Any) -> None:
    """A finished trial with its predictions; `changes` replace parts of the record."""
    for i, name in enumerate(IDS):
        image = Image.fromarray(predict(i, wrong, seed))
        image.putpalette(CAMVID.palette)
        (folder / "predictions").mkdir(exist_ok=True, parents=True)
        image.save(folder / "predictions" / f"{name}.png")
    scores = score_folder(folder / "predictions", Streets())
    record = {
        "schema": 1,
        "status": "done",
        "reason": None,
        "recipe": dataclasses.asdict(RECIPE),
        "model": model,
        "seed": seed,
        "hashes": HASHES,
        "data": {
            "name": "camvid",
            "split": "test",
            "num_images": 16,
            "classes": CAMVID.names,
            "block": 1,
            "warnings": ["train shares 3 views with test"],
        },
        "protocol": RECIPE.protocol,
        "confusion": scores.confusion.tolist(),
        "metrics": scores.metrics(),
        "cost": COST,
        "timing": {"train_seconds": 1500.0, "steps": 4000},
        "environment": {"python": "3.11", "torch": "2.9", "jobs": 2, "device": "1 CPU threads"},
        "curve": {"train": [[1, 2.4], [2, 1.2]], "val": [[1, 0.25], [2, 0.3 + seed / 100]]},
    }
    write_json(folder / "result.json", {**record, **changes})
    write_arrays(folder / "per_image.npz", scores.arrays())


def write_failed(folder: Path, model: str, reason: str) -> None:
    record = {
        "schema": 1,
        "status": "failed",
        "reason": reason,
        "recipe": dataclasses.asdict(RECIPE),
        "model": model,
        "seed": 0,
        "hashes": HASHES,
        "protocol": RECIPE.protocol,
        "environment": {"python": "3.11", "torch": "2.9"},
    }
    write_json(folder / "result.json", record)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three networks, each better than the one before, and one that failed; never changed."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for i, model in enumerate(MODELS):
        cost = {**COST, "gmacs": COST["gmacs"] * (i + 1)}  # type: ignore[operator]
        write(folder / str(i), model, wrong=0.4 - 0.15 * i, cost=cost)
    write_failed(folder / "3", "hrnet", "out of memory at step 3")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    subprocess.run(["cp", "-r", str(made), str(tmp_path / "results")], check=True)
    return tmp_path / "results"


@pytest.fixture
def results(folder: Path) -> list[TrialResult]:
    return read_results(folder)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "experiments.reporting.image_panel.open_data", lambda spec, split, root: Streets()
    )


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: str, split: str, root: Path | None) -> None:
        raise DataError("camvid needs a folder and none was given")

    monkeypatch.setattr("experiments.reporting.image_panel.open_data", refuse)


def page(results: list[TrialResult], panel: Panel | None = None, **changes: Any) -> str:
    path = results[0].path.parent.parent / "report.html"
    options: dict[str, Any] = {"stale": set(), "prior": None, "panel": panel, **changes}
    html_report.write_report(results, path, **options)
    return path.read_text()


def words(text: str) -> str:
    """What a reader sees of a page."""
    hidden = r"<script.*?</script>|<style.*?</style>|<[^>]+>"
    return " ".join(html.unescape(re.sub(hidden, "", text, flags=re.S)).split())


def drawn(text: str) -> Any:
    """The numbers that the charts are drawn from."""
    return json.loads(text.split('type="application/json">')[1].split("</script>")[0])


def section(text: str, id: str) -> str:
    return text.split(f'<section aria-labelledby="{id}">')[1].split("</section>")[0]


def test_page_loads_nothing(results: list[TrialResult], data: None) -> None:
    text = page(results, make_panel(results, None))
    sources = re.findall(r"\s(?:src|href|srcset|action)\s*=\s*[\"']([^\"']+)", text)
    assert len(sources) == 1 + 6 * (2 + 2 * len(MODELS))
    assert all(source.startswith("data:") for source in sources)
    assert (
        "@import" not in text
        and "url(" not in text
        and "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    )
    assert len(text) < 200_000


def test_first_comes_the_answer_then_the_table(results: list[TrialResult]) -> None:
    shown = words(page(results))
    found = evidence(results)
    best = found.models[0]
    assert best.model == "unet:width=9" and best.miou.low is not None and best.miou.high is not None
    interval = f"[{100 * best.miou.low:.1f}, {100 * best.miou.high:.1f}]"
    places = [shown.index(part) for part in (found.question, found.answer, interval)]
    assert places == sorted(places)


def test_page_names_everything(results: list[TrialResult]) -> None:
    shown = words(page(results))
    for word in (*MODELS, *CAMVID.names, "out of memory at step 3", "16 images"):
        assert word in shown
    assert "Data: train shares 3 views with test" in shown
    assert shown.count(RECIPE.protocol["mode"]) >= 6  # beside the scores of every section


def test_best_comes_first_and_failed_last(results: list[TrialResult]) -> None:
    table = page(results).split('class="sortable"')[1].split("</table>")[0]
    found = [table.index(model.split(":")[0]) for model in reversed(MODELS)]
    found.append(table.index("hrnet, seed 0"))
    assert found == sorted(found)


def test_stale_row(results: list[TrialResult]) -> None:
    shown = page(results, stale={str(results[1].path)})
    row = shown.split('data-sort="deeplabv3p:trunk=mobilenetv2_100"')[1].split("</tr>")[0]
    assert "other code</span>" in row and shown.count("other code</span>") == 1


def test_a_class_that_none_has_is_absent(results: list[TrialResult]) -> None:
    table = section(page(results), "classes")
    absent = {"Pavement", "Tree", "SignSymbol", "Pedestrian", "Bicyclist"}
    for name in CAMVID.names:
        row = table.split(f'data-sort="{name}"')[1].split("</tr>")[0]
        assert row.count('class="absent"') == len(MODELS) * (name in absent), name
    assert re.search(r'title="Sky, unet:width=9: [0-9.]+ % \[[0-9.]+, [0-9.]+\]"', table)


def test_prior_is_a_row_and_a_column(results: list[TrialResult]) -> None:
    iou = {**dict.fromkeys(CAMVID.names, 0.125), "Sky": float("nan")}
    prior = {"miou": 0.1875, "pixel_accuracy": 0.625, "iou": iou}
    shown = page(results, prior=prior)
    assert "18.8" in shown and "62.5" in shown and shown.count(">12.5<") == 10


def test_network_that_did_not_train_is_said(results: list[TrialResult]) -> None:
    worst = results[0]["metrics"]["miou"]
    prior = {"miou": worst, "pixel_accuracy": 0.6, "iou": dict.fromkeys(CAMVID.names, 0.1)}
    shown = words(page(results, prior=prior))
    assert "did not train" in shown
    assert f"{MODELS[0]} did not train under this recipe and is not ranked" in shown


def test_published_row_has_columns_of_its_own(results: list[TrialResult]) -> None:
    text = page(results)
    table = text.split('id="comparison"')[1].split("</table>")[0]
    rows = re.findall(r"<tr class=\"published\">.*?</tr>", table, re.S)
    assert len(rows) == 1 and "HRNetV2-W18-Small-v1" in rows[0]
    assert "published on cityscapes val: other data and split" in table
    assert re.findall(r'<td class="paper"[^>]*>([0-9.]+)', rows[0]) == ["1.5", "31.1", "70.3"]
    theirs = words(section(text, "published"))
    assert "HRNetV2-W18-Small-v1" in theirs and "+3.0" in theirs and "DeepLabv3+" not in theirs


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
    assert drawn(text)["models"][0]["name"] == evil


def test_mixed_recipes_are_refused(folder: Path) -> None:
    other = {**dataclasses.asdict(RECIPE), "lr": 0.5}
    write(folder / "9", "unet", recipe=other, hashes={**HASHES, "recipe": "r2"})
    with pytest.raises(ValueError, match=r"lr: 0\.05 against 0\.5"):
        page(read_results(folder))
    assert not list(folder.glob("*report.html*"))


def test_only_failures_still_make_a_page(tmp_path: Path, no_data: None) -> None:
    write_failed(tmp_path / "results" / "0", "hrnet", "out of memory")
    results = read_results(tmp_path / "results")
    assert "out of memory" in words(page(results, make_panel(results, None)))


def test_scores_of_folders_have_no_costs(folder: Path) -> None:
    """As `experiments.score` leaves them: nobody told recipe, protocol and cost."""
    for path in folder.glob("[012]/result.json"):
        record = json.loads(path.read_text())
        told = {"data": "d1", "recipe": None, "protocol": None, "code": None}
        record |= {"cost": None, "timing": None, "environment": {}, "hashes": told}
        record |= {"recipe": {"name": "unknown", "data": "camvid", "test_split": "test"}}
        record |= {"protocol": {"split": "test", "size": "the label file's own"}}
        del record["curve"]
        path.write_text(json.dumps(record))
    (folder / "3" / "result.json").unlink()
    text = page(read_results(folder))
    shown = words(text)
    assert 'id="axis"' not in text and "Latency" not in shown and "Learning curves" not in shown
    for id in ("pairs", "classes", "boundaries", "groups", "audit"):
        assert section(text, id)
    assert "python -m experiments.score PREDICTIONS --data camvid --split test" in shown


def test_older_results_say_how_to_score_again(folder: Path) -> None:
    for path in folder.glob("[012]/result.json"):
        record = json.loads(path.read_text())
        for key in ("image_miou", "boundary_iou", "bands", "objects", "audit"):
            del record["metrics"][key]
        path.write_text(json.dumps(record))
        with np.load(path.with_name("per_image.npz")) as arrays:
            kept = {key: arrays[key] for key in ("ids", "groups", "tp", "fp", "fn")}
        write_arrays(path.with_name("per_image.npz"), kept)
    text = page(read_results(folder))
    assert "python -m experiments.score --again DIR" in section(text, "boundaries")
    assert 'aria-labelledby="audit"' not in text
    assert [chart["id"] for chart in drawn(text)["charts"]] == ["val", "train"]


def test_too_few_blocks_give_no_interval_and_the_reason(folder: Path) -> None:
    for path in folder.glob("[012]/result.json"):
        record = json.loads(path.read_text())
        record["data"]["block"] = None  # the two clips as wholes
        path.write_text(json.dumps(record))
    text = page(read_results(folder))
    scores = words(text).split("How it was made")[0]  # the recipe has ranges
    assert "No interval: only 2 independent blocks of images" in scores
    assert not re.search(r"\[\d+\.\d, \d+\.\d\]", scores)
    assert all(point["low"] is None for point in drawn(text)["cost"]["points"])


def test_curves_have_a_band_over_seeds_alone(folder: Path) -> None:
    for seed in (1, 2):
        write(folder / f"2-{seed}", MODELS[2], wrong=0.1, seed=seed)
    curves = {chart["id"]: chart for chart in drawn(page(read_results(folder)))["charts"]}
    best, *others = curves["val"]["series"]
    assert best["y"] == [25, 31] and best["low"] == [25, 30] and best["high"] == [25, 32]
    assert best["note"] == "range of 3 seeds"
    assert all(line["low"] is None for line in others)


def test_charts_show_the_metrics(results: list[TrialResult]) -> None:
    numbers = drawn(page(results))
    charts = {chart["id"]: chart for chart in numbers["charts"]}
    for line in charts["within"]["series"]:
        name = numbers["models"][line["model"]]["name"]
        metrics = next(r["metrics"] for r in results if r["model"] == name)
        expected = [100 * value for value in metrics["bands"]["within"]]
        assert line["x"] == metrics["bands"]["pixels"]
        assert line["y"] == pytest.approx(expected, abs=0.006)
    front = numbers["cost"]["axes"]["gmacs"]["front"]
    assert [numbers["models"][i]["name"] for i in front] == list(MODELS)


@pytest.mark.parametrize(
    ("name", "data", "models"),
    [
        ("camvid-quick", "camvid", ["a", "b:x=1"]),
        ("camvid-quick+lr=0.02+scale=0.5x2.0", "camvid", ["a"]),
        (
            "camvid-quick+class_weights=None+data=camvid:original=True",
            "camvid:original=True",
            ["a"],
        ),
    ],
)
def test_command_repeats_the_recipe(name: str, data: str, models: list[str]) -> None:
    """Its options, read as the command line reads them, are the recipe with the same name."""
    record = {"recipe": {"name": name, "data": data}, "hashes": {"recipe": "r"}}
    results = [
        TrialResult(Path(), {**record, "model": m, "seed": s}) for m in models for s in (0, 2)
    ]
    parts = shlex.split(command(results))
    options: dict[str, list[str]] = {}
    for flag, value in zip(parts[3::2], parts[4::2], strict=True):
        options.setdefault(flag, []).append(value)
    given = options.get("--data", [None])[0]
    assert load_recipe(options["--recipe"][0], options.get("--set"), given).name == name
    assert options["--models"] == [",".join(models)] and options["--seeds"] == ["0,2"]
    assert options["--data-root"] == ["FOLDER"]


def scored(folder: Path, wrong: list[int]) -> TrialResult:
    """A trial of 12 images of 100 pixels and two equal classes, so many wrong of the first."""
    fn = np.stack([np.array(wrong), np.zeros(12, int)], 1)
    counts = {"tp": 50 - fn, "fp": fn[:, ::-1], "fn": fn}
    write_arrays(folder / "per_image.npz", {"ids": np.arange(12), **counts})
    return TrialResult(folder / "result.json", {"model": folder.name, "recipe": {}})


def test_images_are_those_of_largest_disagreement_in_each_part(tmp_path: Path) -> None:
    """Twelve images are six parts of two: 0 and 1, 2 and 3, ..."""
    a = scored(tmp_path / "a", [0, 9, 5, 0, 0, 0, 7, 7, 20, 21, 3, 3])
    b = scored(tmp_path / "b", [0, 0, 0, 1, 2, 9, 7, 6, 20, 20, 3, 3])
    chosen = choose([a, b])
    assert list(chosen)[:5] == ["1", "2", "5", "7", "9"]
    # 9 of 50 wrong: IoU 41/50 and 50/59 against 1 and 1
    assert chosen["1"] == pytest.approx(1 - (41 / 50 + 50 / 59) / 2)


def test_one_model_shows_evenly_spaced_images(results: list[TrialResult], data: None) -> None:
    panel = make_panel([results[0]], None)
    assert [IDS.index(name) for name in panel.ids] == [1, 4, 7, 10, 12, 14]
    assert panel.spread == {} and "Evenly spaced" in words(page([results[0]], panel))


def test_only_kept_predictions_are_chosen(results: list[TrialResult], data: None) -> None:
    kept = [IDS[i] for i in (3, 4, 15)]
    for path in results[0].predictions.iterdir():
        if path.stem not in kept:
            path.unlink()
    panel = make_panel(results, None)
    assert panel.ids == kept
    (results[0].predictions / f"{kept[0]}.png").unlink()
    assert page(results, panel).count("prediction not kept") == 1


def test_error_shares_are_of_scored_pixels(results: list[TrialResult], data: None) -> None:
    panel = make_panel(results, None)
    shown = section(page(results, panel), "images")
    for name in panel.ids:
        index, truth = IDS.index(name), Streets().mask(IDS.index(name))
        seen = truth != IGNORE
        wrong = 100 * (predict(index, 0.4, 0) != truth)[seen].mean()
        assert f'{MODELS[0]}, {name}" data-wrong="{wrong:.1f}"' in shown


def test_absent_data_is_said(results: list[TrialResult], no_data: None) -> None:
    panel = make_panel(results, None)
    assert panel.images is None and panel.masks is None and len(panel.ids) == 6
    text = page(results, panel)
    assert "No photos and no truth: camvid needs a folder" in words(text)
    assert text.count("data:image/png") == 6 * len(MODELS) and "not scored" not in words(text)
    assert panel.labels.palette == CAMVID.palette


def test_error_map() -> None:
    truth = np.array([[1, 2], [IGNORE, IGNORE]], np.uint8)
    prediction = np.array([[1, 3], [1, IGNORE]], np.uint8)
    assert error_map(truth, prediction).tolist() == [[0, 1], [IGNORE, IGNORE]]


def opened(uri: str) -> Image.Image:
    import base64
    import io

    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_not_scored_is_hatched_and_classes_keep_their_colour() -> None:
    """Black may be a class of the user's; hatched white is none."""
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 16:] = IGNORE
    image = opened(picture(mask, CAMVID))
    assert image.mode == "P" and image.size == (32, 32)
    pixels = np.asarray(image.convert("RGB"))
    assert (pixels[:, :16] == CAMVID.classes[0].colour).all()
    assert {*map(tuple, pixels[:, 16:].reshape(-1, 3))} == {(160,) * 3, (255,) * 3}


def test_pictures_are_small() -> None:
    """A photo of Cityscapes' size, with more detail than a street has."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    scene = np.asarray(Image.fromarray(noise).resize((2048, 1024), Image.Resampling.BICUBIC))
    assert opened(photo(scene)).size == (480, 240)
    assert len(photo(scene)) < 40_000
    tall = np.zeros((2000, 1000), np.uint8)
    assert opened(picture(tall, CAMVID)).size == (240, 480)


def test_thin_keeps_the_mean() -> None:
    points = [(float(x), float(y)) for x, y in enumerate(np.random.default_rng(0).random(600))]
    fewer = thin(points)
    assert len(fewer) == 60 and fewer[0][0] == 4.5
    assert np.mean([y for _, y in fewer]) == pytest.approx(np.mean([y for _, y in points]))
    assert thin(points[:60]) == points[:60] and thin([]) == []


def test_over_seeds_takes_the_steps_that_all_have() -> None:
    found = over_seeds([[(1, 0.2), (2, 0.4)], [(2, 0.6), (3, 0.9)]], 100)
    assert found is not None
    assert (found["x"], found["y"], found["low"], found["high"]) == ([2], [50], [40], [60])
    assert over_seeds([], 1) is None


def test_bins_are_named_by_their_ends() -> None:
    assert bins([3, 5, 9]) == ["1–2", "3–4", "5–8", "9 up"]
    assert bins([2]) == ["1", "2 up"]


def test_forest_holds_every_interval_and_zero() -> None:
    def pair(value: float, low: float | None, high: float | None) -> PairEvidence:
        return PairEvidence(
            a="a",
            b="b",
            seeds=(0,),
            difference=Interval(value, low, high),
            p=None,
            p_holm=None,
            p_equivalent=None,
            mdd=None,
            verdict=Verdict("better", ""),
            within=None,
            beyond=None,
            boundary_gain=None,
        )

    drawn = forest([pair(0.08, 0.05, 0.12), pair(0.03, None, None)], 0.01)
    ticks = {text: place for place, text in drawn.ticks}
    assert ticks["0"] == drawn.zero and min(ticks.values()) == 4 and max(ticks.values()) == 96
    step = ticks["+2"] - ticks["0"]
    assert drawn.places[0] == pytest.approx(
        [drawn.zero + k * step / 2 for k in (5, 8, 12)], abs=0.05
    )
    assert drawn.places[1][0] is None
    assert drawn.margin == pytest.approx((drawn.zero - step / 2, step), abs=0.05)


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


def test_figure(results: list[TrialResult], tmp_path: Path) -> None:
    pareto_figure(results, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width == 1200
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
    heavy = "{'torch', 'lightning', 'jinja2', 'matplotlib'}"
    code = f"import sys, experiments.report; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.slow
def test_thirty_large_trials(tmp_path: Path) -> None:
    """10 models, 3 seeds, 500 images and 19 classes: 20 s of one core and 1 GB at most."""
    names = [f"class{k}" for k in range(19)]
    ids = np.array([f"image{i:03d}" for i in range(500)])
    template = tmp_path / "template"
    write(template, "template")
    record = json.loads((template / "result.json").read_text())
    record["data"] |= {"name": "cityscapes", "num_images": 500, "classes": names}
    record["recipe"] |= {"data": "cityscapes", "test_split": "val"}
    record["metrics"] |= {"iou": dict.fromkeys(names, 0.5), "groups": {}}
    record["confusion"] = np.eye(19, dtype=int).tolist()
    truth = np.random.default_rng(0).integers(1000, 9000, (500, 19))
    for model, seed in np.ndindex(10, 3):
        rng = np.random.default_rng([model, seed])
        hits = rng.binomial(truth, 0.5 + 0.02 * model)
        whole = np.stack([hits, rng.integers(0, 2000, truth.shape), truth - hits], 1)
        band = whole[:, None] * np.arange(1, 8)[:, None, None] // 10
        folder = tmp_path / "runs" / f"model{model}" / f"seed{seed}"
        write_json(folder / "result.json", record | {"model": f"model{model}", "seed": seed})
        counts = dict(zip(("tp", "fp", "fn"), np.moveaxis(whole, 1, 0), strict=True))
        groups, widths = ids, np.array([1, 2, 3, 5, 8, 12, 20])
        parts = {"ids": ids, "groups": groups, "widths": widths, "band": band.astype(np.int32)}
        write_arrays(folder / "per_image.npz", counts | parts)
        (folder / "predictions").mkdir()
        image = Image.fromarray((rng.random((128, 256)) * 19).astype(np.uint8))
        image.putpalette(bytes(range(57)))
        for name in ids[::60]:
            image.save(folder / "predictions" / f"{name}.png")
    script = f"""
import resource
from experiments.report import main
assert main([{str(tmp_path / "runs")!r}]) == 0
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins with the memory of the process that started this one.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(used.ru_utime + used.ru_stime, int(peak.split()[1]) / 1e6)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    seconds, gigabytes = map(float, done.stdout.split()[-2:])
    assert seconds < 20 and gigabytes < 1
    assert (tmp_path / "runs" / "report.html").stat().st_size < 8e6


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
    readme.write_text("no marks")
    assert report.main([str(folder), "--readme", str(readme)]) == 2
    assert readme.read_text() == "no marks"
