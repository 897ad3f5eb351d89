"""Evidence as text and tables for a terminal of 80 columns or a log file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from experiments.analysis.evidence_types import COSTS, Effect, Evidence, RecipeEffect
from experiments.analysis.intervals import Interval
from experiments.analysis.replicates import Multiplier, Together
from experiments.analysis.variance import Components, Spread
from experiments.reporting.console import PlainConsole
from experiments.reporting.tables import TARGETS, bounds
from experiments.trials.atomic_io import write_json

SIGNS = {"better": ">", "worse": "<", "equivalent": "=", "cannot be told apart": "?"}
COST_NAMES = dict(zip(COSTS, ("GMACs", "params", "latency", "train s", "memory"), strict=True))
CURVES = {"climbs": "climbs", "level": "level", "cannot be told": "?"}
UNITS = {"gmacs": "GMACs", "seconds": "s"}


def show(
    found: Mapping[Path, Evidence],
    together: Together,
    effects: Sequence[RecipeEffect],
    json: Path | None,
) -> None:
    """Print all of it; also write it where `json` says."""
    console = PlainConsole()
    for folder, one in found.items():
        console.print(f"{folder}: {one.question}", soft_wrap=True)
        console.print(one.answer)
        for table in _tables(one):
            console.print(table)
        for model, reason in one.did_not_train.items():
            console.print(f"{model} is not ranked: {reason}")
        console.print(_noise(one))
    for effect in effects:
        console.print(effect.sentence)
        if effect.mean:
            console.print(effect_table(effect))
    if together.reason and not effects:
        console.print(f"Nothing is said of these folders together: {together.reason}")
    if together.variance:
        console.print(variance_table(together.variance))
    if together.multipliers:
        console.print(multiplier_table(together.multipliers))
    if json is not None:
        write_json(json, _plain(found, together, effects))
        console.print(f"wrote {json}", soft_wrap=True)


def _plain(
    found: Mapping[Path, Evidence], together: Together, effects: Sequence[RecipeEffect]
) -> dict[str, object]:
    return {
        "comparisons": {str(folder): one.to_json() for folder, one in found.items()},
        "variance": {model: asdict(parts) for model, parts in together.variance.items()},
        "multipliers": [asdict(one) for one in together.multipliers],
        "recipe_effects": [asdict(one) for one in effects],
    }


def _tables(one: Evidence) -> list[Table]:
    shown = [model_table(one)] if one.models else []
    if any(model.fronts for model in one.models) and len(one.models) > 1:
        shown.append(front_table(one))
    shown += [pair_table(one)] if one.pairs else []
    return shown + ([curve_table(one)] if one.convergence.climbs else [])


def _table(title: str, caption: str, *columns: str) -> Table:
    table = Table(
        title=title,
        caption=caption,
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
        min_width=76,  # captions are as wide as their tables
    )
    for i, name in enumerate(columns):
        if i == 0 or name == "model":
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    return table


def model_table(one: Evidence) -> Table:
    """A row a model, best first."""
    blocks = "whole groups" if one.block is None else f"{one.block} neighbouring images"
    if one.block == 1:
        blocks = "single images"
    caption = (
        f"95 % intervals {TARGETS[one.target]}: {one.num_blocks} blocks of {blocks}; "
        f"<= {one.band} px: from a true boundary; ~: equivalent to the best or "
        "cannot be told apart from it"
    )
    near, far = f"<= {one.band} px", f"> {one.band} px"
    if any(model.bands is None for model in one.models):
        caption += "; -: scored before boundaries were counted: experiments.score --again DIR"
    table = _table("mIoU, %", caption, "#", "model", "seeds", "all", near, far)
    for place, model in enumerate(one.models, 1):
        bands: list[Interval | None] = [None, None]
        if model.bands and one.band in model.bands.pixels:
            i = model.bands.pixels.index(one.band)
            bands = [model.bands.within[i], model.bands.beyond[i]]
        cells = [interval_text(x) for x in (model.miou, *bands)]
        cells[0] = "~" * model.indistinguishable + cells[0]
        table.add_row(str(place), model.model, str(len(model.seeds)), *cells)
    return table


def front_table(one: Evidence) -> Table:
    """In how many draws no other model is cheaper and as good."""
    ranked = [model for model in one.models if model.fronts]
    costs = [cost for cost in COSTS if cost in ranked[0].fronts]
    caption = (
        "share of the resampled test sets in which no other model is cheaper and as good; *: on "
        "the images as they are"
    )
    names = [COST_NAMES[cost] for cost in costs]
    table = _table("On the front of mIoU and cost, %", caption, "model", *names)
    for model in ranked:
        places = [model.fronts[cost] for cost in costs]
        table.add_row(
            model.model,
            *(
                ("-" if p.share is None else f"{100 * p.share:.0f}") + ("*" if p.on_front else " ")
                for p in places
            ),
        )
    return table


def pair_table(one: Evidence) -> Table:
    """A row a pair, by the places that models have in their table."""
    caption = (
        f"> better; < worse; = equivalent (margin {100 * one.margin:g}); ? cannot be told apart; "
        f"both over all pairs, after Holm; p: of no difference; seen: the difference that such an "
        f"experiment finds 4 times in 5; boundary: the difference within {one.band} px of a true "
        "boundary less that beyond"
    )
    names = ("pair", "difference", "95 %", "p", "seen", "boundary", "95 %")
    table = _table("Differences of mIoU, points", caption, *names)
    place = {model.model: i for i, model in enumerate(one.models, 1)}
    for pair in one.pairs:
        gain = pair.boundary_gain
        table.add_row(
            f"{place[pair.a]} {SIGNS[pair.verdict.kind]} {place[pair.b]}",
            *(f"{100 * pair.difference.value:.1f}", bounds(pair.difference)),
            p_text(pair.p_holm),
            "-" if pair.mdd is None else f"{100 * pair.mdd:.1f}",
            *(f"{100 * gain.value:.1f}" if gain else "-", bounds(gain) if gain else ""),
        )
    return table


def curve_table(one: Evidence) -> Table:
    """Whether the networks still learn where their training ends, a row a network."""
    caption = (
        "gain while the sum of learning rates doubles for the last time, from step "
        f"{one.convergence.since} on: points of validation mIoU, or % by which the training loss "
        f"falls; climbs: {100 * one.margin:g} points or 5 % of the loss or more, and p < .05, over "
        "all networks, of no gain; level: as much is ruled out; a rate that falls to 0 lifts the "
        "end of any curve"
    )
    table = _table("Learning curves", caption, "model", "curve", "gain", "95 %", "p", "it")
    for climb in one.convergence.climbs:
        gain = [f"{100 * climb.gain.value:.1f}", bounds(climb.gain)] if climb.gain else ["-", ""]
        curve = climb.measure or "too few points"
        table.add_row(climb.model, curve, *gain, p_text(climb.p), CURVES[climb.kind])
    return table


def variance_table(found: Mapping[str, Components]) -> Table:
    """Where the spread of runs comes from, a row a network."""
    caption = (
        "SD of mIoU with its 95 % interval: how far apart runs are that differ in the "
        "initialisation alone, in the order of the data alone, and for neither reason"
    )
    reasons = [p.reason for c in found.values() for p in (c.init, c.data, c.rest) if p.reason]
    caption += "".join(f"; -: {reason}" for reason in dict.fromkeys(reasons))
    table = _table("Spread of runs, points", caption, "model", "initialisation", "data", "rest")
    for model, parts in found.items():
        table.add_row(model, *(_spread(part) for part in (parts.init, parts.data, parts.rest)))
    return table


def multiplier_table(found: Sequence[Multiplier]) -> Table:
    """How many times the training cost of another a network needs, a row a pair and unit."""
    caption = (
        "for the highest mIoU that both reach; below 1 the first network needs less; the interval "
        "is of these very networks on other images"
    )
    reasons = dict.fromkeys(one.found.reason for one in found if one.found.reason)
    caption += "".join(f"; -: {reason}" for reason in reasons)
    table = _table("Training cost for the same mIoU", caption, "pair", "in", "mIoU %", "times")
    for one in found:
        times = one.found
        ends = ["-" if x is None else f"{x:.2f}" for x in (times.low, times.high)]
        value = "-" if times.multiplier is None else f"{times.multiplier:.2f}\n[{', '.join(ends)}]"
        pair = f"{one.a}\n/ {one.b}"
        table.add_row(pair, UNITS[one.unit], f"{100 * times.miou:.1f}", value)
    return table


def effect_table(effect: RecipeEffect) -> Table:
    """What a changed recipe is worth, a row a network and one for their mean."""
    caption = (
        f"before: {effect.before}; after: {effect.after}; 95 % intervals from "
        f"{effect.num_blocks} blocks of images, each for itself; *: without a part of seeds"
    )
    names = ("model", "seeds", "before", "after", "points", "95 %")
    table = _table("Worth of the changed recipe, mIoU %", caption, *names)
    several = effect.mean is not None and effect.mean not in effect.networks
    for one in (*effect.networks, *([effect.mean] if several and effect.mean else [])):
        table.add_row(one.model, *_effect_cells(one))
    return table


def _effect_cells(one: Effect) -> list[str]:
    scores = ["" if x is None else f"{100 * x:.1f}" for x in (one.before, one.after)]
    if one.difference is None:
        return ["-", *scores, "-", ""]
    fixed = "*" * (one.target == "checkpoints" and one.difference.low is not None)
    value = f"{100 * one.difference.value:+.1f}"
    return [str(len(one.seeds)), *scores, value, f"{bounds(one.difference)}{fixed}"]


def interval_text(interval: Interval | None) -> str:
    """Percent, with the interval on a line below; `-` for what was not counted."""
    if interval is None:
        return "-"
    value = f"{100 * interval.value:.1f}"
    return value if interval.low is None else f"{value}\n{bounds(interval)}"


def p_text(p: float | None) -> str:
    if p is None:
        return "-"
    return "< .001" if p < 0.001 else f"{p:.3f}"


def _spread(spread: Spread) -> str:
    if spread.sd is None or spread.low is None or spread.high is None:
        return "-"
    sd, low, high = (100 * x for x in (spread.sd, spread.low, spread.high))
    return f"{sd:.2f}\n[{low:.2f}, {high:.2f}]"


def _noise(one: Evidence) -> str:
    floor = one.noise_floor
    if floor.sd is None:
        return "Noise of repeats: unknown (compare --repeats 2 runs each trial twice)."
    if floor.sd == 0:
        return "Noise of repeats: none; the same trial gives the same mIoU again."
    counted = "differences that this alone may give (95 %) are called none"
    if one.target == "seeds":
        counted = "the spread of seeds holds it already"
    return (
        f"Noise of repeats: the same trial differs by {100 * floor.sd:.2f} points (SD) when it "
        f"runs again; {counted}."
    )
