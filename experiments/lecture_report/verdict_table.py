"""The verdicts for a terminal of 80 columns or a log file."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.analysis.intervals import points
from experiments.analysis.recipe_effects import signed
from experiments.claims.checks import (
    LongerSchedule,
    longer_schedule,
    num_by_other_code,
    repeat_difference,
    seed_spread,
)
from experiments.claims.contrasts import Estimate
from experiments.claims.study import Study
from experiments.claims.verdicts import Verdict
from experiments.lecture_report.estimate_words import number, pair_words
from experiments.lecture_report.sentences import outcome_words, sentence

_SHORT = {
    "miou": "mIoU",
    "boundary_gain": "band - interior",
    "boundary_iou": "Boundary IoU",
    "thin_recall": "thin recall",
    "field_radius": "field radius",
}


def print_verdicts(verdicts: Sequence[Verdict], console: Console) -> None:
    """A table, then each verdict as a sentence with what it rests on."""
    console.print(_table(verdicts))
    for verdict in verdicts:
        console.print(f"{verdict.claim.says}", style="bold")
        console.print(sentence(verdict, "en"))


def print_checks(study: Study, console: Console) -> None:
    """What is known of the study's own length and noise."""
    longer, repeat, spread = longer_schedule(study), repeat_difference(study), seed_spread(study)
    if longer is not None:
        console.print(_longer(longer))
    if repeat is not None:
        console.print(f"A repeated trial differs by {100 * repeat:.2f} points of mIoU.")
    known = [100 * own.sd for own in spread.values() if own.sd is not None]
    if known:
        lowest, highest = f"{min(known):.1f}", f"{max(known):.1f}"
        span = f"{lowest} to {highest} points, by network" if len(known) > 1 else f"{lowest} points"
        console.print(f"mIoU over seeds has an SD of {span}.")
    other_code = num_by_other_code(study)
    if other_code:
        console.print(
            f"Trained by other code than is here now: {other_code} of the trials; python -m "
            "experiments.verify tells whether it gives the same losses."
        )


def _longer(found: LongerSchedule) -> str:
    (first, second), num = found.networks, len(found.seeds)
    said = {
        True: "the order stays, or seeds alone change it as much, which was registered as long "
        "enough",
        False: "the schedule is too short to rank",
        None: "whether the schedule is long enough needs a second seed",
    }[found.long_enough]
    change = signed(found.change.value)
    if found.change.low is not None and found.change.high is not None:
        low, high = points(found.change.low, found.change.high)
        change += f" (95 % interval {low} to {high})"
    before, after = points(found.before, found.after)
    return (
        f"With {found.times} times the steps {first} - {second} is {after} instead of {before} "
        f"points of mIoU, a change of {change} over {num} seed{'s' * (num > 1)}: {said}."
    )


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
