"""report.html as text: what it says of good, failed, old, stale and verified results."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE
from experiments import report
from experiments.analysis.evidence import evidence
from experiments.reporting.image_panel import make_panel
from experiments.trials.result_types import Metrics, PositionPrior, TrialResult
from experiments.trials.results import finished, per_image, read_results, write_result
from experiments.trials.verification import Verification
from tests.experiments.made import COST, arrays, failed, spread, trial
from tests.experiments.reporting.pages import drawn, page, section, words
from tests.experiments.street_trials import (
    HASHES,
    IDS,
    MODELS,
    RECIPE,
    Streets,
    edit,
    predict,
    write,
    write_failed,
)

Results = Sequence[TrialResult]


def prior_of(miou: float, iou: dict[str, float | None]) -> PositionPrior:
    scores = Metrics(miou=miou, pixel_accuracy=0.625, num_classes_counted=10, iou=iou)
    return PositionPrior(data="d1", metrics=scores)


def test_page_loads_nothing(results: Results, data: None) -> None:
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


def test_first_comes_the_answer_then_the_table(results: Results) -> None:
    shown = words(page(results))
    found = evidence(results)
    best = found.models[0]
    assert best.model == "unet:width=9" and best.miou.low is not None and best.miou.high is not None
    interval = f"[{100 * best.miou.low:.1f}, {100 * best.miou.high:.1f}]"
    places = [shown.index(part) for part in (found.question, found.answer, interval)]
    assert places == sorted(places)


def test_page_names_everything(results: Results) -> None:
    shown = words(page(results))
    for word in (*MODELS, *CAMVID.names, "out of memory at step 3", "16 images"):
        assert word in shown
    assert "Data: train shares 3 views with test" in shown
    assert shown.count("whole image, single scale, no flip") >= 6  # beside scores of every section
    protocol = "camvid test, 16 images; whole image, single scale, no flip; "
    assert f"{protocol}size: the label file's own; selection: the last step's weights." in shown
    measured = "Latency: one image, bf16-mixed, 2 CPU threads; training: 2 at a time; memory: "
    assert f"{measured}resident set." in shown


def test_best_comes_first_and_failed_last(results: Results) -> None:
    table = page(results).split('class="sortable"')[1].split("</table>")[0]
    found = [table.index(model.split(":")[0]) for model in reversed(MODELS)]
    found.append(table.index("hrnet<small>seed 0</small>"))
    assert found == sorted(found)


def test_seconds_of_different_hardware_are_grouped(tmp_path: Path) -> None:
    """The quickest of each group is marked, and the cheapest of all."""

    def on(name: str, hardware: str, gmacs: float, latency: float) -> TrialResult:
        cost = {**COST, "gmacs": gmacs, "latency_ms": latency}
        counts = arrays(spread(0.5, 0.1, len(name)))
        return trial(tmp_path, name, counts, cost=cost, environment={"hardware": hardware})

    alike = [on("one", "Fast 9", 2.0, 10.0), on("three", "Fast 9", 3.0, 12.0)]
    assert 'class="place"' not in page(alike)
    text = page([*alike, on("slower", "Slow 1", 2.5, 90.0), on("slowest", "Slow 1", 2.7, 95.0)])
    groups = text.split('<tbody class="place">')[1:]
    assert [words(group.split("</tr>")[0]) for group in groups] == ["on Fast 9", "on Slow 1"]
    bold = [re.findall(r'class="best">([^<]+)<', group.split("</tbody>")[1]) for group in groups]
    assert [sorted({"10", "12", "90", "95", "2.00"} & {*own}) for own in bold] == [
        ["10", "2.00"],
        ["90"],
    ]


def test_seeds_are_counted_and_named(folder: Path) -> None:
    for seed in (1, 2):
        write(folder / f"2-{seed}", MODELS[2], wrong=0.1, seed=seed)
    rows = page(read_results(folder)).split('class="sortable"')[1].split("</tr>")
    for row, count, named in zip(
        rows, (3, 1, 1), ("seeds 0, 1, 2", "seed 0", "seed 0"), strict=False
    ):
        assert f'<td data-sort="{count}">{count}<small class="below">{named}</small>' in row


def test_stale_row(results: Results) -> None:
    shown = page(results, stale={results[1].path})
    row = shown.split('data-sort="deeplabv3p:trunk=mobilenetv2_100"')[1].split("</tr>")[0]
    assert "other code</span>" in row and shown.count("other code</span>") == 1


def test_verified_rows_are_named_with_what_was_compared(results: Results) -> None:
    assert "Verified" not in words(page(results))
    held = Verification(
        code="c",
        version="0.2.0",
        steps=50,
        num_losses=50,
        outcome="equal",
        largest=0.0,
        differs_from=None,
        hardware="cpu",
    )
    shown = words(page(results, verified={results[1].path: held}))
    said = "equal to the bit (50 losses of the first 50 steps)"
    assert f"Verified under the present code: {MODELS[1]} {said}." in shown


def test_a_class_that_none_has_is_absent(results: Results) -> None:
    table = section(page(results), "classes")
    absent = {"Pavement", "Tree", "SignSymbol", "Pedestrian", "Bicyclist"}
    for name in CAMVID.names:
        row = table.split(f'data-sort="{name}"')[1].split("</tr>")[0]
        assert row.count('class="absent"') == len(MODELS) * (name in absent), name
    assert re.search(r'title="Sky, unet:width=9: [0-9.]+ % \[[0-9.]+, [0-9.]+\]"', table)


def test_prior_is_a_row_and_a_column(results: Results) -> None:
    iou: dict[str, float | None] = {**dict.fromkeys(CAMVID.names, 0.125), "Sky": None}
    shown = page(results, prior=prior_of(0.1875, iou))
    assert "18.8" in shown and "62.5" in shown and shown.count(">12.5<") == 10


def test_network_that_did_not_train_is_said(results: Results) -> None:
    worst = finished(results)[0].miou
    shown = words(page(results, prior=prior_of(worst, dict.fromkeys(CAMVID.names, 0.1))))
    assert "did not train" in shown
    assert f"{MODELS[0]} did not train under this recipe and is not ranked" in shown


def test_published_row_has_columns_of_its_own(results: Results) -> None:
    text = page(results)
    table = text.split('id="comparison"')[1].split("</table>")[0]
    rows = re.findall(r"<tr class=\"published\">.*?</tr>", table, re.S)
    assert len(rows) == 1 and "HRNetV2-W18-Small-v1" in rows[0]
    assert "published on cityscapes val: other data and split" in table
    assert 'title="cityscapes val, single scale, no flip"' in rows[0]
    assert re.findall(r'<td class="paper"[^>]*>([0-9.]+)', rows[0]) == ["1.5", "31.1", "70.3"]
    theirs = words(section(text, "published"))
    assert "HRNetV2-W18-Small-v1" in theirs and "+3.0" in theirs and "DeepLabv3+" not in theirs


def test_another_protocol_than_the_published_one_is_said(folder: Path) -> None:
    for path in folder.glob("*/result.json"):
        edit(path, protocol={"passes": {"flip": True}})
    assert "other data and split and protocol" in page(read_results(folder))


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
        record |= {"cost": None, "timing": None, "environment": {}, "hashes": told, "curve": {}}
        record |= {"recipe": None, "request": None, "protocol": {"split": "test", "passes": None}}
        path.write_text(json.dumps(record))
    (folder / "3" / "result.json").unlink()
    text = page(read_results(folder))
    shown = words(text)
    assert 'id="axis"' not in text and "Latency" not in shown and "Learning curves" not in shown
    assert "its recall is the share of its pixels that are found." in shown
    for id in ("pairs", "classes", "boundaries", "groups", "variants"):
        assert section(text, id)
    assert "python -m experiments.score PREDICTIONS --data camvid --split test" in shown


def test_older_results_say_how_to_score_again(folder: Path) -> None:
    for path in folder.glob("[012]/result.json"):
        (trial,) = finished(read_results(path.parent))
        counts = per_image(trial)
        assert counts is not None
        gone: dict[str, object] = dict.fromkeys(("image_miou", "boundary_iou", "bands", "objects"))
        metrics = trial.metrics.model_copy(update={**gone, "miou_variants": {}})
        kept = {key: counts[key] for key in ("ids", "groups", "tp", "fp", "fn")}
        write_result(trial.model_copy(update={"metrics": metrics}), kept)
    text = page(read_results(folder))
    assert "python -m experiments.score --again DIR" in section(text, "boundaries")
    assert 'aria-labelledby="variants"' not in text
    assert [chart["id"] for chart in drawn(text)["charts"]] == ["val", "train"]


def test_too_few_blocks_give_no_interval_and_the_reason(folder: Path) -> None:
    for path in folder.glob("[012]/result.json"):
        edit(path, data={"block": None})  # the two clips as wholes
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


def test_charts_show_the_metrics(results: Results) -> None:
    numbers = drawn(page(results))
    charts = {chart["id"]: chart for chart in numbers["charts"]}
    for line in charts["within"]["series"]:
        name = numbers["models"][line["model"]]["name"]
        (bands,) = (r.metrics.bands for r in finished(results) if r.model == name)
        assert bands is not None
        assert line["x"] == list(bands.pixels)
        expected = [100 * value for value in bands.within if value is not None]
        assert line["y"] == pytest.approx(expected, abs=0.006)
    front = numbers["cost"]["axes"]["gmacs"]["front"]
    assert [numbers["models"][i]["name"] for i in front] == list(MODELS)


def test_error_shares_are_of_scored_pixels(results: Results, data: None) -> None:
    panel = make_panel(results, None)
    shown = section(page(results, panel), "images")
    for name in panel.ids:
        index, truth = IDS.index(name), Streets().mask(IDS.index(name))
        seen = truth != IGNORE
        wrong = 100 * (predict(index, 0.4, 0) != truth)[seen].mean()
        assert f'{MODELS[0]}, {name}" data-wrong="{wrong:.1f}"' in shown


def test_absent_data_is_said(results: Results, no_data: None) -> None:
    panel = make_panel(results, None)
    assert panel.images is None and panel.masks is None and len(panel.ids) == 6
    text = page(results, panel)
    assert "No photos and no truth: camvid needs a folder" in words(text)
    assert text.count("data:image/png") == 6 * len(MODELS) and "not scored" not in words(text)
    assert panel.labels.palette == CAMVID.palette


def test_what_a_changed_recipe_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the page of each recipe, where a folder holds results of both."""
    fair = {"name": "fair <1>", "lr": 0.001, "weight_decay": 0.01}
    trial(tmp_path / "a", "unet", arrays(spread(0.5, 0.05)))
    trial(tmp_path / "b", "unet", arrays(spread(0.6, 0.02, 1)), recipe=fair)
    trial(tmp_path / "a", "segnet", arrays(0.4))
    failed(tmp_path / "b", "segnet", "the loss is <nan>", kind="diverged", recipe=fair)
    assert report.main([str(tmp_path), "--allow-mixed"]) == 0
    head = "these 2 fields together: +10.0 points of mIoU for unet (95 % interval"
    left_out = "segnet is left out: it did not train under fair <1>, seed 0: the loss is <nan>."
    said = capsys.readouterr().out
    assert head in said and left_out in said
    for name in ("report.html", "report-2.html"):
        part = section((tmp_path / name).read_text(), "effects")
        assert "<nan>" not in part and "<1>" not in part
        shown = words(part)
        assert "lr=0.001 instead of 0.05, weight_decay=0.01 instead of 0.0005" in shown
        assert head in shown and left_out in shown
        assert re.search(r"unet 1seed 0 50.0 ?60.0 \+10.0 \[8.\d, 11.\d\]", shown), shown
    (tmp_path / "b").rename(tmp_path.parent / f"{tmp_path.name}-b")  # one recipe: no such part
    assert report.main([str(tmp_path)]) == 0
    assert 'id="effects"' not in (tmp_path / "report.html").read_text()
