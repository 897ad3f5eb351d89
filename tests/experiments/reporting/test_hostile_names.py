"""Names that look like markup, formulas, code or nothing: text wherever they are shown."""

import csv
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure

from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import summarise
from experiments.reporting import fonts
from experiments.reporting.console import PlainConsole
from experiments.reporting.contact_sheet import write_sheet
from experiments.reporting.csv_table import as_text, csv_table
from experiments.reporting.export import export
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.reporting.plots import save_figure
from experiments.reporting.tables import markdown, tables
from experiments.trials.result_types import FinishedTrial
from tests.experiments.made import arrays, spread, trial
from tests.experiments.street_trials import Streets

MARKUP = ("n/a [/]", "car [moving]", "[red]bus[/red]", ":car:", "[link=https://x.org]a[/link]")
OBEYED = (
    "\x1b[31mred",
    "\x1b]8;;https://x.org\x07a\x1b]8;;\x07",
    "bell\x07",
    "a\u202eder",
    "nul\0",
)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1")
OTHER = ("<script>x</script>", "a|b`c`", r"$\frac{x$", "$a$", "50 % & {more}_^~", "길 차 🚗")
ALL = (*MARKUP, *OBEYED, *FORMULAS, *OTHER)
PAIRS = list(zip(ALL[::2], ALL[1::2], strict=True))


def results(root: Path, names: tuple[str, str]) -> list[FinishedTrial]:
    """Two models and two classes of these names."""
    return [
        trial(
            root,
            f"{name}{i}",
            arrays(spread(0.6 - 0.1 * i, 0.01, i), 0.5),
            data={"classes": list(names)},
        )
        for i, name in enumerate(names)
    ]


def seen(text: str) -> str:
    """As it is to be read: what would be obeyed by its number."""
    numbers = {"\x1b": r"\x1b", "\x07": r"\x07", "\u202e": r"\u202e", "\0": r"\x00"}
    return "".join(numbers.get(letter, letter) for letter in text)


@pytest.mark.parametrize("names", PAIRS)
@pytest.mark.parametrize("terminal", [False, True])
def test_consoles_show_names(
    tmp_path: Path, names: tuple[str, str], terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    console = PlainConsole()
    made = results(tmp_path, names)
    with console.capture() as kept:
        for table in tables(made):
            console.print(table)
        console.print(f"report: {names[0]}", soft_wrap=True)
    # Its own colours are all that a terminal may be told.
    text = re.sub(r"\x1b\[[0-9;]*m", "", kept.get())
    for name in names:
        assert seen(name).expandtabs().strip() in text.replace("\n", " "), text
    assert not re.search("[\0-\x08\x0b-\x1f\u202e]", text)
    if not terminal:
        assert kept.get() == text


@pytest.mark.parametrize("names", PAIRS)
def test_cells_are_text_and_numbers_are_numbers(tmp_path: Path, names: tuple[str, str]) -> None:
    made = results(tmp_path, names)
    text = csv_table(summarise(made), judged(made))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 and "\0" not in text and "\x1b" not in text
    for row, name in zip(rows, names, strict=True):
        assert row["model"].removeprefix("'") == f"{seen(name)}{names.index(name)}"
        for column, cell in row.items():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or float(cell) < 0
            if column.startswith("miou"):
                float(cell or "nan")
        assert float(row[f"iou/{seen(names[0])}"]) == pytest.approx(
            0.6 - 0.1 * names.index(name), abs=1e-3
        )


def test_a_negative_number_stays_one() -> None:
    assert [as_text(value) for value in (-1.5, "-1.5", None, True)] == [-1.5, "'-1.5", None, True]


@pytest.mark.parametrize("names", [*PAIRS[2:5:2], *PAIRS[8:]])
def test_pages_tables_and_figures_of_any_name(
    tmp_path: Path, names: tuple[str, str], no_data: None, capsys: pytest.CaptureFixture[str]
) -> None:
    made = results(tmp_path / "runs", names)
    known = judged(made)
    page = tmp_path / "report.html"
    panel = make_panel(made, None)
    write_report(made, page, evidence=known, stale=set(), prior=None, panel=panel)
    text = page.read_text(encoding="utf-8")
    assert "<script>x" not in text
    assert not re.search("[\0-\x08\x0b-\x1f\x7f\u202e]", text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that no font has, which is one sentence
        export(made, known, latex=tmp_path / "t.tex", figures=tmp_path / "figures")
    said = capsys.readouterr().err
    assert len(said.splitlines()) <= 1
    assert "no installed font has the letters" in said or not said
    assert not re.search("[\0-\x08\x0b-\x1f]", (tmp_path / "t.tex").read_text(encoding="utf-8"))
    for line in markdown(made, None, known).splitlines():
        assert line.replace(r"\|", "").count("|") == 9  # a bar in a name makes no cell


def judged(made: list[FinishedTrial]) -> Evidence:
    return evidence(made, draws=200)


def font_with(letters: str, path: Path) -> None:
    """A font with a square for each of some letters."""
    pen = TTGlyphPen(None)
    for place, point in enumerate([(0, 0), (0, 700), (700, 700), (700, 0)]):
        (pen.lineTo if place else pen.moveTo)(point)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"u{ord(letter):04X}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800)
    builder.setupPost()
    builder.save(path)


def test_an_installed_font_is_taken_for_letters_that_the_usual_one_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    font_with("길차", tmp_path / "squares.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    font_manager.fontManager.addfont(tmp_path / "squares.ttf")
    fonts.say_lacking.cache_clear()
    figure = Figure()
    axes = figure.subplots()
    axes.set_title("길 차 $a")
    for kind in ("png", "pdf", "svg"):
        save_figure(figure, tmp_path / f"figure.{kind}")
    assert "Squares" in axes.title.get_fontfamily()
    assert capsys.readouterr().err == ""
    axes.set_title("하늘")
    save_figure(figure, tmp_path / "figure.png")
    save_figure(figure, tmp_path / "figure.png")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("no installed font has the letters 늘하:")


def test_a_sheet_of_korean_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drawn with the font that has them; without one said once, and drawn all the same."""
    fonts.say_lacking.cache_clear()
    write_sheet(Streets(), "길", 2, tmp_path / "without")
    assert "no installed font has the letters 길:" in capsys.readouterr().err
    font_with("길", tmp_path / "squares.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    font_manager.fontManager.addfont(tmp_path / "squares.ttf")
    write_sheet(Streets(), "길", 2, tmp_path / "with")
    assert capsys.readouterr().err == ""
    pages = [(tmp_path / f"{name}.png").read_bytes() for name in ("without", "with")]
    assert pages[0] != pages[1]
    assert np.array(fonts.file_with("길 –") is not None)
