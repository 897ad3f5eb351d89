"""What a network costs: operations, counted on the meta device in a second, at any size.

`python -m experiments.cost` prints the papers' cost table beside ours, without training anything;
with `--measure` also seconds and memory on this machine. With `--match gmacs=2.7` it finds the
widths at which the networks cost that. With `--again RESULTS` it times the latency of finished
trials once more, one after the other, where they ran side by side.
"""

import argparse
import os
import random
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.costs import tables, width_search
from experiments.costs.benchmark import Request, measure_apart, remeasure
from experiments.costs.flops import PAPER_CLASSES, profile, write_profiles
from experiments.costs.tables import cost_table, measured_table
from experiments.trials.atomic_io import write_json
from experiments.trials.overrides import parse_size
from experiments.trials.recipe import PRECISIONS
from experiments.trials.reference import ALIASES
from experiments.trials.results import read_results
from models import parse_model
from models.registry import MODELS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.cost",
        description="What networks cost, beside what was published; nothing is trained.",
    )
    add = parser.add_argument
    add("--models", default="all", help="commas between, or all (default)")
    add("--size", "--at", default="1024x2048", help="height x width (default: the papers' "
        "1024x2048)")  # fmt: skip
    add("--classes", type=int, default=PAPER_CLASSES, help="(default: Cityscapes' 19)")
    add("--out", type=Path, default=Path("runs/cost"), help="folder for cost.json, cost.csv, "
        "measured.json and match.json (default: runs/cost)")  # fmt: skip
    add("--measure", action="store_true", help="also time inference and a training step, and take "
        "peak memory; nothing else may run")  # fmt: skip
    add("--batch", type=int, default=1, help="images a measured pass (default: 1)")
    add("--precision", choices=PRECISIONS, default=PRECISIONS[0], help="(default: %(default)s)")
    add("--threads", type=int, default=os.cpu_count() or 1, help="on a CPU (default: all cores)")
    add("--match", metavar="KIND=VALUE", help="instead find for each network the width that costs "
        "nearest to gmacs=2.7 (1e9 multiply-adds a forward pass), params=9.6 (millions), "
        "latency=40 (ms a forward pass of one image here) or train-time=0.5 (s a step of --batch "
        "images here, two at least), and time a training step; nothing else may run")  # fmt: skip
    add("--again", type=Path, metavar="RESULTS", help="instead time the latency of these finished "
        "trials once more; nothing else may run")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 when all was counted, 1 when a network could not be measured, 2 for a wrong request."""
    args, console = _parser().parse_args(argv), Console(highlight=False)
    try:
        if args.again:
            return _again(args.again, args.threads)
        models, size = _once(args.models), parse_size(args.size)
        if min(args.classes, args.batch, args.threads) < 1:
            raise ValueError("--classes, --batch and --threads are at least 1")
        if args.match and args.measure:
            raise ValueError("--match times a training step as it is: leave --measure out")
        if args.match:
            return _match(models, size, args, console)
        profiles = [profile(model, args.classes, size) for model in models]
        write_profiles(profiles, args.out)
        console.print(cost_table(profiles, size, args.classes))
        for p in profiles:
            if p["why"]:
                console.print(f"{p['model']}: {p['why']}")
        console.print(f"wrote {args.out / 'cost.json'} and {args.out / 'cost.csv'}", soft_wrap=True)
        if not args.measure:
            return 0
        requests = [Request(m, args.classes, size, args.precision, args.batch) for m in models]
        measured = _measure(requests, args.threads, args.out / "measured.json")
        console.print(measured_table(measured))
    except KeyboardInterrupt:
        kept = "" if args.match else "; measured.json has what was measured"
        print(f"\nstopped{kept}", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return int(any("failed" in m for m in measured))


def _match(
    models: list[str], size: tuple[int, int], args: argparse.Namespace, console: Console
) -> int:
    """Print and keep the widths of --match; a step of training is timed on as many images for all,
    two at least, as some networks cannot train on one."""
    batch = max(2, args.batch)
    terms = width_search.parse_match(
        args.match, size, args.classes, args.precision, args.threads, batch
    )
    rows = width_search.plan(models, terms)
    if terms.kind != "train-time":
        common = (terms.num_classes, size, terms.precision, batch)
        requests = [Request(row["model"], *common) for row in rows]
        measured = _measure(requests, terms.threads, args.out / "measured.json")
        for row, times in zip(rows, measured, strict=True):
            row |= {"train_s": times["train_step_ms"] / 1000} if "failed" not in times else times
    write_json(args.out / "match.json", rows)
    tables.print_match(rows, terms, console)
    console.print(f"wrote {args.out / 'match.json'}", soft_wrap=True)
    return int(any("failed" in row for row in rows))


def _measure(requests: list[Request], threads: int, path: Path) -> list[dict[str, Any]]:
    """A process a network, in shuffled order, so that drift, as a processor's heat, falls on none
    by its place in the list; the file is renewed after each."""
    found: dict[str, dict[str, Any]] = {}
    for request in random.sample(requests, len(requests)):
        found[request.model] = measure_apart(request, threads)
        write_json(path, [found[r.model] for r in requests if r.model in found])
        print(f"{request.model}: {found[request.model].get('failed', 'measured')}", flush=True)
    return [found[request.model] for request in requests]


def _again(folder: Path, threads: int) -> int:
    finished = [result for result in read_results(folder) if result.done and result["cost"]]
    if not finished:
        raise ValueError(f"no finished trial in {folder}: run a comparison first")
    for result in finished:
        before, now = remeasure(result, threads)
        print(f"{result['model']} seed {result['seed']}: {before:.1f} ms before, {now:.1f} now")
    return 0


def _once(text: str) -> list[str]:
    """The networks that `--models` names, all of them known, without aliases of one another."""
    models = list(MODELS) if text == "all" else [name.strip() for name in text.split(",")]
    for model in models:
        parse_model(model)
    return [m for m in dict.fromkeys(models) if ALIASES.get(m) not in models]


if __name__ == "__main__":
    sys.exit(main())
