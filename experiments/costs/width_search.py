"""Networks of like cost: the width at which each comes nearest to a budget.

Cost grows with the width, so that the width is bracketed. Parameters and multiply-adds are counted
on the meta device; times are measured, each width in a process of its own, and that search ends
within 2 % of the budget, as the next measurement differs by as much.
"""

import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.costs.benchmark import Request, hardware, measure_apart, this_device
from experiments.costs.layer_trace import on_meta
from experiments.trials.atomic_io import write_json
from experiments.trials.hashing import code_hash
from models import build_model, model_options, parse_model

START, LIMIT = 16, 4096  # the width that is tried first, and the last
TOLERANCE = 0.02  # of a measured time
FAR = 10  # per cent off the budget that need a word
KINDS = {  # key in a row, unit as a suffix, and what is counted
    "gmacs": ("gmacs", "G", "GMACs"),
    "params": ("params_m", "M", "million parameters"),
    "latency": ("latency_ms", "ms", "ms a forward pass of one image"),
    "train-time": ("train_s", "s", "s a training step"),
}


class NoWidthError(ValueError):
    """No width near one that was tried makes a network."""


class MatchBudget(NamedTuple):
    """A budget and what it is taken under; a measured width is kept for equal terms alone."""

    kind: str
    budget: float  # in the unit of its kind
    size: tuple[int, int]
    num_classes: int
    precision: str
    batch: int  # images of a training step, for all networks alike
    threads: int
    hardware: str

    @property
    def measured(self) -> bool:
        return self.kind in ("latency", "train-time")


def parse_match(
    text: str, size: tuple[int, int], num_classes: int, precision: str, threads: int, batch: int = 2
) -> MatchBudget:
    """The terms of a budget written as gmacs=2.7, params=9.6M, latency=40ms or train-time=0.5s.

    Raises:
        ValueError: another kind, or a value that is no number above 0.
    """
    kind, _, number = text.partition("=")
    try:
        value = float(number.removesuffix(KINDS[kind][1]))
        if not 0 < value < math.inf:
            raise ValueError
    except (KeyError, ValueError):
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


def plan(models: list[str], terms: MatchBudget, kept: Path | None = None) -> list[dict[str, Any]]:
    """A row a network: `model` with its width, figures by the keys of COLUMNS, `off_percent`.

    Args:
        kept: file of measured rows: those of equal terms are taken from it, new ones added.

    Raises:
        ValueError: a network that has no width or is named with one, or a budget out of reach.
    """
    for model in models:
        name, options = parse_model(model)
        if "width" not in model_options(name):
            raise ValueError(f"{name} has no width for --match to choose: leave it out of --models")
        if "width" in options:
            raise ValueError(f"{model} has a width, which --match chooses: leave the option out")
    same = json.loads(json.dumps(terms._asdict()))
    before: list[dict[str, Any]] = []
    if kept and terms.measured and kept.is_file():
        try:
            before = json.loads(kept.read_text())
        except ValueError:
            raise ValueError(
                f"{kept} is damaged: delete it, and widths are measured anew"
            ) from None
    # Of the data set's code a width knows nothing; of the network's and the training's it does.
    codes = {model: code_hash(model, "streets") for model in models}
    known = {
        row["family"]: {**row, "kept": str(kept)}
        for row in before
        if row["terms"] == same and row["code"] == codes.get(row["family"])
    }
    rows = []
    for model in models:
        fresh = {"family": model, "terms": same, "code": codes[model]}
        rows.append(known.get(model) or {**fresh, **solve(model, terms)})
        if kept and terms.measured and model not in known:
            before.append(rows[-1])
            write_json(kept, before)
    return rows


def solve(family: str, terms: MatchBudget) -> dict[str, Any]:
    """The row of one network.

    Raises:
        ValueError: options that make no network, or a budget out of reach.
    """
    key, _, counts = KINDS[terms.kind]
    count(family, terms)  # says what is wrong with an option that is wrong at any width
    figures: dict[int, dict[str, float]] = {}
    refused: list[ValueError] = []

    def cost(width: int) -> float | None:
        model = f"{family}:width={width}"
        try:
            figures[width] = count(model, terms)
        except ValueError as error:
            refused.append(error)
            return None
        if terms.measured:
            figures[width][key] = _timed(model, terms)
            print(f"{model}: {digits(figures[width][key])} {counts}", flush=True)
        return figures[width][key]

    try:
        seen = search(cost, terms.budget, TOLERANCE if terms.measured else 0.0)
    except NoWidthError as error:
        raise ValueError(f"{family} has {error}: {refused[-1]}") from None
    off = {width: 100 * (value / terms.budget - 1) for width, value in seen.items()}
    width = min(off, key=lambda w: (abs(off[w]), w))
    beyond = sorted((w for w in off if off[w] * off[width] < 0), key=lambda w: abs(w - width))
    note = ""
    if abs(off[width]) > FAR:
        if not beyond:
            side, do = ("least", "raise") if off[width] > 0 else ("greatest", "lower")
            raise ValueError(
                f"{family} at its {side} width, {width}, costs {digits(seen[width])} {counts} and "
                f"--match asks for {terms.budget:g}: {do} the budget, or leave {family} out"
            )
        steps = beyond[0] - width
        channels = "one channel" if abs(steps) == 1 else f"{abs(steps)} channels"
        note = (
            f"{off[width]:+.0f} % is as near as whole channels allow: {channels} "
            f"{'more' if steps > 0 else 'less'} is {off[beyond[0]]:+.0f} %"
        )
    row = {"model": f"{family}:width={width}", "width": width, **figures[width]}
    return {**row, "off_percent": off[width], "note": note}


def count(model: str, terms: MatchBudget) -> dict[str, float]:
    """Parameters and multiply-adds of a forward pass, as `cost.count` has them but faster."""
    network, image = on_meta(partial(build_model, model, terms.num_classes), 3, terms.size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    params = sum(p.numel() for p in network.parameters())
    return {"params_m": params / 1e6, "gmacs": counter.get_total_flops() / 2 / 1e9}


def _timed(model: str, terms: MatchBudget) -> float:
    train = terms.kind == "train-time"
    common = (model, terms.num_classes, terms.size, terms.precision)
    found = measure_apart(Request(*common, terms.batch if train else 1, train), terms.threads)
    if "failed" in found:
        raise ValueError(f"{model} cannot be measured ({found['failed']}): try a lower budget")
    return float(found["train_step_ms"] / 1000 if train else found["latency_ms"])


def digits(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"
