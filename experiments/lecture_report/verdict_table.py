"""The verdicts for a terminal of 80 columns or a log file."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.claims.contrasts import Estimate
from experiments.claims.study import Study
from experiments.claims.verdicts import Verdict
from experiments.lecture_report.estimate_words import number, pair_words
from experiments.lecture_report.sentences import outcome_words, sentence
from experiments.lecture_report.study_trust import trust, warnings

_SHORT = {
    "miou": "mIoU",
    "boundary_gain": "near - beyond",
    "boundary_iou": "Boundary IoU",
    "thin_recall": "thin recall",
    "field_radius": "field radius",
}


def print_verdicts(study: Study, verdicts: Sequence[Verdict], console: Console) -> None:
    """What to know first, a table, each verdict as a sentence with what it rests on, and how far
    the study can be trusted."""
    for text in warnings(study):
        console.print(text.en)
    console.print(_table(verdicts))
    for verdict in verdicts:
        console.print(verdict.claim.says, style="bold")
        console.print(sentence(verdict, "en"))
    for text in trust(study, [verdict.claim for verdict in verdicts]):
        console.print(text.en)


def _table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(
        title="The lecture's claims",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
        caption="Points; of radii and seconds ratios. 95 % intervals: new training runs, scored on "
        "other such images; found: the true difference that is seen 4 times in 5.",
    )
    table.add_column("", no_wrap=True)
    table.add_column("difference", overflow="fold")
    for name in ("value", "95 %", "found"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for verdict in verdicts:
        rows = _rows(verdict) or [("", "", "", "")]
        for i, row in enumerate(rows):
            first = i == 0
            key, said = (verdict.claim.key, outcome_words(verdict, "en")) if first else ("", "")
            table.add_row(key, *row, said, end_section=i == len(rows) - 1)
    return table


def _rows(verdict: Verdict) -> list[tuple[str, str, str, str]]:
    """Of the contrasts to name, of a front with how many they are of; of two orders of layers their
    seconds."""
    if verdict.order is not None:
        order = verdict.order
        found = f"{order.ratio_low:.2f} to {order.ratio_high:.2f}"
        return [("seconds, before / after", f"{order.ratio:.2f}", found, "")]
    rows = [_row(one) for one in verdict.decisive]
    if len(verdict.decisive) == len(verdict.primary):
        return rows
    of = f" (of {len({one.contrast.worse for one in verdict.primary})})"
    return [(what + of, value, found, seen) for what, value, found, seen in rows]


def _row(one: Estimate) -> tuple[str, str, str, str]:
    contrast, found = one.contrast, one.difference
    budget = ", s" if contrast.budget == "seconds" else ""
    what = f"{pair_words(one, 'en')}, {_SHORT[contrast.quantity]}{budget}"
    if found is None:
        return what, "", "", ""
    value = number(one, found.value)
    if found.low is None or found.high is None or one.mdd is None:
        return what, value, "", ""
    return (
        what,
        value,
        f"{number(one, found.low)} to {number(one, found.high)}",
        number(one, one.mdd),
    )
