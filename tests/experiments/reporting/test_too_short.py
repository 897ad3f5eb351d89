"""Where curves still climb, all that is shown of a comparison says so and calls none best."""

import re
from pathlib import Path

import pytest
from pylatexenc.latex2text import LatexNodes2Text
from rich.console import Console

from experiments.analysis.convergence import progress
from experiments.analysis.model_summary import summarise
from experiments.comparison.result_sets import print_tables, result_sets
from experiments.recipes import camvid_quick
from experiments.reporting.evidence_tables import curve_table
from experiments.reporting.export import summary
from experiments.reporting.latex_table import latex_table
from experiments.trials.result_types import TrialResult
from tests.experiments.made import arrays, judge, rising, spread, trial
from tests.experiments.reporting.pages import page, section, words

LONG = "deeplabv3p:trunk=mobilenetv2_100:output_stride=8"
SAID = (
    f"Too short to rank: the validation mIoU of {LONG} still climbs (by 10.0 points from step "
    "1223 on) and the training loss of unet still falls (by 37.0 % from step 1223 on); so far "
    f"{LONG} has the highest mIoU, 60.0 %, 20.0 points above the next, unet ("
)


@pytest.fixture
def results(tmp_path: Path) -> list[TrialResult]:
    """One whose validation climbs, one of which there is a loss alone, and one that is level."""
    done = progress(camvid_quick())
    # By 36.9 % each doubling; the means of neighbouring points fall by 37.0.
    loss = [[step, 2 ** (-0.665 * done[step - 1])] for step in range(20, 4001, 20)]
    return [
        trial(tmp_path, LONG, arrays(spread(0.6, 0.02)), **rising(0.1)),
        trial(tmp_path, "unet", arrays(spread(0.4, 0.03)), curve={"train": loss}),
        trial(tmp_path, "flat", arrays(spread(0.2, 0.01)), **rising(0.0)),
    ]


def text_of(console: Console, part: object) -> str:
    with console.capture() as capture:
        console.print(part)
    return capture.get()


def test_the_terminal(results: list[TrialResult]) -> None:
    console = Console(width=80)
    with console.capture() as capture:
        print_tables(result_sets(results, None, apart=False), console)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "Too short to rank: see below" in lines[2]
    assert SAID in " ".join(" ".join(lines).split()) and " is best " not in " ".join(lines)
    shown = text_of(console, curve_table(judge(results))).splitlines()
    assert max(map(len, shown)) <= 80
    told = " ".join(" ".join(shown).split())
    for row in ("validation mIoU 10.0", "training loss 37.0", "validation mIoU 0.0"):
        assert row in told
    assert [line.split()[-1] for line in shown if "< .001" in line] == ["climbs", "climbs"]


def test_the_page(results: list[TrialResult]) -> None:
    text = page(results)
    assert words(text.split('<p class="answer">')[1].split("</p>")[0]).startswith(SAID)
    assert 'class="best"' not in text.split('class="sortable"')[1].split("</td>")[0]
    rows = re.findall("<tr>.*?</tr>", section(text, "curves"), re.S)[1:]
    ends = ("still climbs", "still falls", "is level")
    for row, model, end in zip(rows, (LONG, "unet", "flat"), ends, strict=True):
        assert words(row).startswith(model) and words(row).endswith(end)
    level = words(page([results[2]]))
    assert "is level" in level and "still climbs" not in level and "Too short" not in level


def test_what_is_for_readmes_and_papers(results: list[TrialResult]) -> None:
    found = judge(results)
    assert summary(results, None, found).startswith(f"**{SAID}")
    table = latex_table(summarise(results), found, [], None)
    assert r"\textbf" not in table
    caption = LatexNodes2Text().latex_to_text(table.split(r"\caption{")[1].split("\n")[0])
    assert "Too short to rank: the validation mIoU of deeplabv3p" in " ".join(caption.split())
