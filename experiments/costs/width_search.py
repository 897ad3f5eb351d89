"""Networks of like cost: the width at which each comes nearest to a budget.

Cost grows with the width, so that the width is bracketed. Parameters and multiply-adds are counted
on the meta device; times are measured, each width in a process of its own, and that search ends
within 2 % of the budget, as the next measurement differs by as much.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.costs.device import hardware, this_device
from experiments.costs.flops import count
from experiments.costs.match_budget import (
    KINDS,
    MatchBudget,
    MatchedNetwork,
    digits,
    read_matches,
    write_matches,
)
from experiments.costs.measurement import (
    MeasurementFailure,
    MeasurementRequest,
    measure_all,
    measure_isolated,
)
from experiments.costs.network_cost import OperationCount
from experiments.trials.code_hash import code_hash
from models import model_options, parse_model

START, LIMIT = 16, 4096  # the width that is tried first, and the last
TOLERANCE = 0.02  # of a measured time
FAR = 10  # per cent off the budget that need a word


class NoWidthError(ValueError):
    """No width near one that was tried makes a network."""


def parse_match(
    text: str, size: tuple[int, int], num_classes: int, precision: str, threads: int, batch: int = 2
) -> MatchBudget:
    """A budget written as gmacs=2.7, params=9.6M, latency=40ms or train-time=0.5s, for here.

    Raises:
        ValueError: another kind, or a value that is no number above 0.
    """
    name, _, number = text.partition("=")
    try:
        kind = next(kind for kind in KINDS if kind == name)
        value = float(number.removesuffix(KINDS[kind].unit))
        if not 0 < value < math.inf:
            raise ValueError
    except (StopIteration, ValueError):
        raise ValueError(
            f"--match is {text!r}: give a budget above 0, as gmacs=2.7 (1e9), params=9.6 "
            "(millions), latency=40 (ms) or train-time=0.5 (s)"
        ) from None
    set_ = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    threads = int(set_) if set_.isdecimal() else threads  # it wins in a process that measures
    here = hardware(this_device())
    return MatchBudget(kind, value, size, num_classes, precision, batch, threads, here)


def search(
    cost: Callable[[int], float | None], budget: float, within: float = 0.0
) -> dict[int, float]:
    """Costs of the widths that were tried: among them the nearest to the budget and its neighbour.

    Args:
        cost: of a width; must not fall as the width grows. None where there is no such network,
            for which the next wider one stands.
        within: the part of the budget by which a cost may be off to end the search.

    Raises:
        NoWidthError: no network anywhere near a width.
    """
    seen: dict[int, float] = {}
    low, high, width = 0, LIMIT + 1, START
    root_low, root_high = 0.0, math.inf  # work is about a square of the width: roots are on a line
    while high - low > 1:
        some = ((w, cost(w)) for w in range(width, 2 * width + START))
        found, value = next(((w, c) for w, c in some if c is not None), (width, None))
        if value is None:
            raise NoWidthError(f"no width from {width} to {2 * width + START - 1}")
        seen[found] = value
        if abs(value / budget - 1) <= within:
            break
        if value > budget:
            high, root_high = width, math.sqrt(value)
        else:
            low, root_low = found, math.sqrt(value)
        if math.isinf(root_high):
            guess = low * min(4.0, math.sqrt(budget) / root_low)
        else:
            guess = low + (high - low) * (math.sqrt(budget) - root_low) / (root_high - root_low)
        width = min(max(round(guess), low + 1), high - 1)
    return seen


def match_networks(
    families: Sequence[str], budget: MatchBudget, kept: Path | None = None
) -> list[MatchedNetwork]:
    """Each network at its width.

    Args:
        kept: file of measured rows: those of an equal budget are taken from it, new ones added.

    Raises:
        ValueError: a network that has no width or is named with one, or a budget out of reach.
    """
    for family in families:
        name, options = parse_model(family)
        if "width" not in model_options(name):
            raise ValueError(f"{name} has no width for --match to choose: leave it out of --models")
        if "width" in options:
            raise ValueError(f"{family} has a width, which --match chooses: leave the option out")
    before = read_matches(kept) if kept and budget.measured else []
    # Of the data set's code a width knows nothing; of the network's and the training's it does.
    codes = {family: code_hash(family, "streets") for family in families}
    known = {
        row.family: replace(row, kept_in=kept)
        for row in before
        if row.budget == budget and row.code is not None and row.code == codes.get(row.family)
    }
    rows = []
    for family in families:
        row = known.get(family) or replace(match_network(family, budget), code=codes[family])
        rows.append(row)
        if kept and budget.measured and family not in known:
            before.append(row)
            write_matches(kept, before)
    return rows


def match_network(family: str, budget: MatchBudget) -> MatchedNetwork:
    """One network at its width.

    Raises:
        ValueError: options that make no network, or a budget out of reach.
    """
    count(family, budget.num_classes, budget.size)  # refuses options that are wrong at any width
    counts: dict[int, OperationCount] = {}
    refused: list[ValueError] = []

    def cost(width: int) -> float | None:
        model = _at(family, width)
        try:
            counts[width] = count(model, budget.num_classes, budget.size)
        except ValueError as error:
            refused.append(error)
            return None
        return _cost(model, counts[width], budget)

    try:
        seen = search(cost, budget.value, TOLERANCE if budget.measured else 0.0)
    except NoWidthError as error:
        raise ValueError(f"{family} has {error}: {refused[-1]}") from None
    off = {width: 100 * (value / budget.value - 1) for width, value in seen.items()}
    width = min(off, key=lambda w: (abs(off[w]), w))
    return MatchedNetwork(
        family,
        budget,
        _at(family, width),
        width,
        params_m=counts[width].params / 1e6,
        gmacs=counts[width].gmacs,
        off_percent=off[width],
        note=_far_off(family, budget, seen, width) if abs(off[width]) > FAR else "",
        latency_ms=seen[width] if budget.kind == "latency" else None,
        train_s=seen[width] if budget.kind == "train-time" else None,
    )


def _at(family: str, width: int) -> str:
    return f"{family}:width={width}"


def _cost(model: str, counted: OperationCount, budget: MatchBudget) -> float:
    """In the budget's unit; a measured one is printed, as it takes long."""
    if budget.kind == "gmacs":
        return counted.gmacs
    if budget.kind == "params":
        return counted.params / 1e6
    value = _time(model, budget)
    print(f"{model}: {digits(value)} {budget.counted}", flush=True)
    return value


def _time(model: str, budget: MatchBudget) -> float:
    train = budget.kind == "train-time"
    common = (model, budget.num_classes, budget.size, budget.precision)
    request = MeasurementRequest(*common, budget.batch if train else 1, train)
    found = measure_isolated(request, budget.threads)
    if isinstance(found, MeasurementFailure):
        raise ValueError(f"{model} cannot be measured ({found.reason}): try a lower budget")
    return found.training.time.median / 1000 if found.training else found.latency.median


def _far_off(family: str, budget: MatchBudget, seen: dict[int, float], width: int) -> str:
    """A sentence on the nearest width on the other side of the budget, which is further off.

    Raises:
        ValueError: none is on the other side.
    """
    off = {w: 100 * (value / budget.value - 1) for w, value in seen.items()}
    beyond = [w for w in off if off[w] * off[width] < 0]
    if not beyond:
        side, do = ("least", "raise") if off[width] > 0 else ("greatest", "lower")
        raise ValueError(
            f"{family} at its {side} width, {width}, costs {digits(seen[width])} {budget.counted} "
            f"and --match asks for {budget.value:g}: {do} the budget, or leave {family} out"
        )
    other = min(beyond, key=lambda w: abs(w - width))
    steps = other - width
    channels = "one channel" if abs(steps) == 1 else f"{abs(steps)} channels"
    return (
        f"{off[width]:+.0f} % is as near as whole channels allow: {channels} "
        f"{'more' if steps > 0 else 'less'} is {off[other]:+.0f} %"
    )


def match_and_time(
    families: Sequence[str], budget: MatchBudget, folder: Path
) -> list[MatchedNetwork]:
    """Each network at its width, with seconds of a training step, as `match.json` then holds them.

    Where the budget is not those seconds, they are measured on top, into `measured.json`; a
    network on which that fails keeps its row, with the reason.
    """
    rows = match_networks(families, budget)
    if budget.kind != "train-time":
        rows = _timed(rows, budget, folder / "measured.json")
    write_matches(folder / "match.json", rows)
    return rows


def _timed(rows: Sequence[MatchedNetwork], budget: MatchBudget, path: Path) -> list[MatchedNetwork]:
    common = (budget.num_classes, budget.size, budget.precision, budget.batch)
    requests = [MeasurementRequest(row.model, *common) for row in rows]
    timed = []
    for row, found in zip(rows, measure_all(requests, budget.threads, path), strict=True):
        if isinstance(found, MeasurementFailure):
            timed.append(replace(row, failure=found.reason))
        elif found.training:
            timed.append(replace(row, train_s=found.training.time.median / 1000))
    return timed
