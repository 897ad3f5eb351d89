"""Tables and figures for a paper: against the result files, and as other readers take them."""

import csv
import io
import json
import re
import statistics
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from experiments.analysis.evidence import evidence
from experiments.analysis.model_summary import summarise
from experiments.reporting.export import export
from experiments.reporting.latex_table import escape
from experiments.reporting.plots import look
from experiments.reporting.readme_figures import pareto_axes, pareto_figure
from experiments.trials.result_types import PositionPrior
from experiments.trials.results import read_results
from tests.experiments.made import COST, arrays, failed, spread, trial
from tests.experiments.paper_trials import metrics, prior, write

NAMES = ("hrnetv2_w18_small_v1", "unet:width=9", "smp/fpn/resnet_34%")


def three(root: Path) -> Path:
    """Three models of two seeds each, of which the first is clearly best, and a failed trial."""
    for name, miou in zip(NAMES, (0.7, 0.6, 0.599), strict=True):
        for seed in (0, 1):
            write(root, name, miou + seed / 500, seed)
    failed(root, "hrnet", "out of memory: 100 % of\n the_limit & {more}")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three(tmp_path / "results")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """The folder of three models, and all that is written of it."""
    root = three(tmp_path_factory.mktemp("three") / "results")
    return root, written(root, prior(), figures=True)


def written(
    folder: Path, prior: PositionPrior | None = None, *, figures: bool = False
) -> dict[str, bytes]:
    """Content of every file that is written, by its name."""
    out = folder.parent / "out"
    drawn = out if figures else None
    table, numbers = out / "table.tex", out / "table.csv"
    results = read_results(folder)
    known = evidence(results, prior=prior.metrics.miou if prior else None)
    export(results, known, latex=table, csv=numbers, figures=drawn, prior=prior)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_csv_has_the_numbers_of_the_result_files(kept: tuple[Path, dict[str, bytes]]) -> None:
    folder, files = kept
    lines = list(csv.DictReader(io.StringIO(files["table.csv"].decode())))
    assert [line["model"] for line in lines] == [*NAMES]
    found = evidence(read_results(folder), prior=prior().metrics.miou)
    for line in lines:
        name = re.sub(r"\W", "-", line["model"])
        records = [json.loads(p.read_text()) for p in folder.glob(f"{name}/*/result.json")]
        assert len(records) == 2 and line["seeds"] == "0 1" and line["init"] == "random"
        scores = [record["metrics"] for record in records]
        for column, values in {
            "miou": [m["miou"] for m in scores],
            "miou_within_3px": [m["bands"]["within"][2] for m in scores],
            "miou_beyond_3px": [m["bands"]["beyond"][2] for m in scores],
            "recall_thin": [m["objects"]["width"]["recall"][0] for m in scores],
            "boundary_iou": [m["boundary_iou"]["mean"] for m in scores],
            "image_miou_worst_decile": [m["image_miou"]["worst_decile"] for m in scores],
            "iou/b": [m["iou"]["b"] for m in scores],
            "gmacs": [record["cost"]["gmacs"] for record in records],
            "train_s": [record["timing"]["train_seconds"] for record in records],
        }.items():
            assert float(line[column]) == pytest.approx(statistics.fmean(values)), column
        assert float(line["params_m"]) == 1
        assert float(line["miou_sd"]) == pytest.approx(0.002 / 2**0.5)
        known = found.model(line["model"])
        assert known is not None and known.bands is not None and known.iou["a"] is not None
        assert float(line["miou_low"]) == known.miou.low
        assert float(line["iou/a_high"]) == known.iou["a"].high
        assert float(line["miou_within_3px_low"]) == known.bands.within[1].low  # type: ignore[union-attr]
        assert line["indistinguishable"] == str(known.indistinguishable)
        assert (line["target"], line["num_blocks"]) == ("seeds", "40")


def rows_of(table: str) -> list[list[str]]:
    """Cells of the one tabular, a cell over several columns as often as it has columns."""
    nodes, _, _ = LatexWalker(table, tolerant_parsing=False).get_latex_nodes()
    (float_,) = [n for n in nodes if n.isNodeType(LatexEnvironmentNode)]
    assert float_.environmentname == "table*"
    (tabular,) = [n for n in float_.nodelist if n.isNodeType(LatexEnvironmentNode)]
    assert tabular.environmentname == "tabular"
    body = re.search(
        r"\\begin\{tabular\}\{(l r*)\}".replace(" ", "") + r"(.*)\\end\{tabular\}", table, re.S
    )
    assert body is not None
    rules = r"\\(?:toprule|midrule|bottomrule|cmidrule\(lr\)\{[\d-]+\})"
    lines = re.sub(rules, "", body[2]).strip().split("\\\\\n")
    rows = []
    for line in lines:
        cells: list[str] = []
        for cell in re.split(r"(?<!\\)&", line.removesuffix("\\\\")):
            wide = re.search(r"\\multicolumn\{(\d+)\}", cell)
            cells += [cell.strip()] * (int(wide[1]) if wide else 1)
        assert len(cells) == len(body[1]), line
        rows.append(cells)
    return rows


def test_latex_table(kept: tuple[Path, dict[str, bytes]]) -> None:
    table = kept[1]["table.tex"].decode()
    above, names, units, *rows = rows_of(table)
    assert above[-3:] == [r"\multicolumn{3}{c}{Published elsewhere}"] * 3
    assert list(zip(names, units, strict=True))[4:6] == [("mIoU", r"\%"), (r"95\,\%", "interval")]
    first, second, third, floor, fail = rows
    assert first[0] == r"\texttt{hrnetv2\_w18\_small\_v1}" and first[4] == r"\textbf{70.1}"
    low, high = re.fullmatch(r"\[(.*),\\,(.*)\]", first[5]).groups()  # type: ignore[union-attr]
    assert 65 < float(low) < 70.1 < float(high) < 75
    assert first[-3:] == ["1.5", "31.1", "70.3"] and second[-3:] == ["", "", ""]
    assert third[0] == r"\texttt{smp/fpn/resnet\_34\%}" and r"\textbf" not in second[4] + third[4]
    assert floor[4] == "17.0" and fail[0] == r"\texttt{hrnet}"
    text = LatexNodes2Text().latex_to_text(table.replace(r"\texttt", ""))  # which it leaves out
    for part in (
        "Recipe camvid-quick (4000 steps of 8 images), evaluated on camvid test, 40 images",
        "whole image, single scale, no flip; seeds: 0, 1",
        "for new training runs on other such images",
        "multiply-adds at 360×480; latency: one image, 32-true, 2 CPU threads",
        "hrnet, seed 0: out of memory: 100 % of the_limit & {more}.",
        "cityscapes, val",
    ):
        assert part in " ".join(text.split()), part


def test_nothing_is_bold_where_the_best_cannot_be_told_apart(folder: Path) -> None:
    write(folder, "unet:width=8", 0.6995)
    write(folder, "unet:width=8", 0.7035, 1)
    table = written(folder)["table.tex"].decode()
    miou = {row[0]: row[4] for row in rows_of(table)[3:]}
    assert "textbf" not in "".join(miou.values())
    assert [cell.endswith(r"$^{\approx}$") for cell in miou.values()] == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert "Cannot be told apart from the best" in table and "better than every other" not in table


def test_models_that_did_not_train_are_marked(folder: Path) -> None:
    files = written(folder, prior(0.6))
    table = files["table.tex"].decode()
    cells = [row[4] for row in rows_of(table)[3:6]]
    assert [r"$^{\dagger}$" in cell for cell in cells] == [False, True, True]
    assert "did not train: seed" in table
    lines = csv.DictReader(io.StringIO(files["table.csv"].decode()))
    said = [line["did_not_train"] for line in lines]
    assert ["without looking at an image" in reason for reason in said] == [False, True, True]


@given(st.text("aZ09 \n_%&$#{}~^\\<>|×é/=:.,@[]()"))
def test_any_name_is_read_back(text: str) -> None:
    back = LatexNodes2Text(keep_comments=True, strict_latex_spaces=True).latex_to_text(escape(text))
    back = back.translate({0x2C6: "^", 0x2DC: "~"})  # it reads both as accents without a letter
    assert back.split() == text.split()


ALL = ("pareto", "learning", "bands", "thinness", "classes", "pairs")


def test_figures_are_vectors_with_text(kept: tuple[Path, dict[str, bytes]]) -> None:
    files = kept[1]
    assert {name for name in files if name.endswith((".pdf", ".svg"))} == {
        f"{name}.{kind}" for name in ALL for kind in ("pdf", "svg")
    }
    for name in ALL:
        wide = 7.0 if name in ("pareto", "classes", "pairs") else 3.4
        pdf, svg = files[f"{name}.pdf"], files[f"{name}.svg"].decode()
        assert b"/Subtype /Image" not in pdf and b"/FontFile2" in pdf and b"/Type3" not in pdf
        assert b"CreationDate" not in pdf and "<dc:date>" not in svg and "<image" not in svg
        (box,) = re.findall(rb"/MediaBox \[ 0 0 (\S+) \S+ \]", pdf)
        assert float(box) == pytest.approx(72 * wide)
        texts = [
            e.text for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
        ]
        assert any(NAMES[0] in (text or "") for text in texts), name


def test_the_same_results_give_the_same_bytes(kept: tuple[Path, dict[str, bytes]]) -> None:
    folder, files = kept
    assert written(folder, prior(), figures=True) == files


def test_only_what_the_results_hold_is_drawn(tmp_path: Path) -> None:
    names = ("miou", "pixel_accuracy", "num_classes_counted", "iou")
    old = {key: metrics(0.5)[key] for key in names}
    trial(tmp_path / "old", "unet", arrays(spread(0.5, 0.01)), metrics=old, cost=None, timing=None)
    files = written(tmp_path / "old", figures=True)
    assert {*files} == {"table.tex", "table.csv", "classes.pdf", "classes.svg"}
    assert [row[1:] for row in rows_of(files["table.tex"].decode())] == [
        ["mIoU", r"95\,\%"], [r"\%", "interval"], ["50.0", r"[49.7,\,50.3]"]
    ]  # fmt: skip


def test_without_counts_of_images_there_are_no_intervals(tmp_path: Path) -> None:
    trial(tmp_path / "r", "unet", None, metrics=metrics(0.5))
    files = written(tmp_path / "r")
    assert "interval" not in files["table.tex"].decode()
    (line,) = csv.DictReader(io.StringIO(files["table.csv"].decode()))
    assert line["model"] == "unet" and line["miou"] == "0.5"


def test_nothing_finished_is_refused(tmp_path: Path) -> None:
    failed(tmp_path / "r", "unet", "out of memory")
    with pytest.raises(ValueError, match="no finished trial"):
        written(tmp_path / "r")
    assert not (tmp_path / "out").exists()


def test_pareto_has_bars_and_front(folder: Path) -> None:
    results = read_results(folder)
    found = evidence(results)
    models = summarise(results, order=[m.model for m in found.models])
    figure = pareto_axes(look(models, models), models, found, (8, 3.2))
    for axes in figure.axes:
        front, *drawn = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
        # The best is the most costly here and all latencies are equal.
        assert max(front) == pytest.approx(100 * models[0].miou)
        for summary, bar, point in zip(models, drawn[::2], drawn[1::2], strict=True):
            score = found.model(summary.model).miou  # type: ignore[union-attr]
            assert bar == pytest.approx([100 * score.low, 100 * score.high])  # type: ignore[operator]
            assert point == pytest.approx([100 * summary.miou])


@pytest.mark.parametrize("gmacs", [(2.7,), (2.7, 2.8), (0.04, 3.9), (0.1, 4000.0), (747.3,)])
def test_ticks_of_operations_never_overlap(tmp_path: Path, gmacs: tuple[float, ...]) -> None:
    for i, value in enumerate(gmacs):
        write(tmp_path, f"unet:width={i}", 0.5, cost={**COST, "gmacs": value})
    results = read_results(tmp_path)
    models = summarise(results, order=[m.model for m in evidence(results).models])
    figure = pareto_axes(look(models, models), models, None, (7, 2.4))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    labels = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) >= 2
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_readme_figure(folder: Path, tmp_path: Path) -> None:
    results = read_results(folder)
    for evidence_ in (None, evidence(results)):
        pareto_figure(results, tmp_path / f"{evidence_ is None}.png", evidence_)
    with Image.open(tmp_path / "True.png") as without, Image.open(tmp_path / "False.png") as bars:
        assert without.width == bars.width == 1200
        assert without.tobytes() != bars.tobytes()
