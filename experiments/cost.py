"""What a network costs: operations, counted on the meta device in a second, at any size.

`python -m experiments.cost` prints the papers' cost table beside ours, without training anything;
with `--measure` also seconds and memory on this machine. With `--match gmacs=2.7` it finds the
widths at which the networks cost that. With `--again RESULTS` it times the latency of finished
trials once more, one after the other, where they ran side by side. With `--bench` it tells how fast
training and inference are against the usual way of writing them, as ratios of one run.
"""

import argparse
import os
import sys
from pathlib import Path

from experiments.costs.measurement import (
    EAGER,
    RUNTIMES,
    MeasurementFailure,
    MeasurementRequest,
    check_libraries,
    installed,
    measure_all,
)
from experiments.costs.network_cost import write_costs
from experiments.costs.published_costs import PAPER_CLASSES, without_aliases
from experiments.costs.tables import cost_table, measured_table, print_match
from experiments.reporting.console import PlainConsole
from experiments.speed.speed_ratios import SpeedRatio, measure_speed, ratio_table
from experiments.trials import command_line as ask
from experiments.trials.recipe import PRECISIONS

MAX_CLASSES = 255  # a label is a byte, of which 255 is void


def _parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.cost",
        description="What networks cost, beside what was published; nothing is trained.",
    )
    add = parser.add_argument
    add("--models", type=ask.names, default="all", metavar="MODELS",
        help="commas between, or all (default)")  # fmt: skip
    add("--size", "--at", type=ask.size, default="1024x2048", help="height x width (default: the "
        "papers' 1024x2048)")  # fmt: skip
    add("--classes", type=ask.whole(1, MAX_CLASSES), default=PAPER_CLASSES, metavar="N",
        help="(default: Cityscapes' 19)")  # fmt: skip
    add("--out", type=ask.folder, default=Path("runs/cost"), help="folder for cost.json, cost.csv, "
        "measured.json and match.json (default: runs/cost)")  # fmt: skip
    add("--measure", action="store_true", help="also time inference and a training step, and take "
        "peak memory; nothing else may run")  # fmt: skip
    add("--batch", type=ask.whole(1), default=1, metavar="N", help="images a measured pass "
        "(default: 1)")  # fmt: skip
    add("--runtime", type=ask.some_of(RUNTIMES), default=(EAGER,), metavar="RUNTIMES",
        help=f"of --measure: what runs inference, commas between: {', '.join(RUNTIMES)} (default: "
        f"{EAGER}); a training step runs eager")  # fmt: skip
    add("--precision", choices=PRECISIONS, default=PRECISIONS[0], help="(default: %(default)s)")
    add("--threads", type=ask.whole(1, ask.MOST_PROCESSES), default=os.cpu_count() or 1,
        metavar="N", help="on a CPU (default: all cores)")  # fmt: skip
    add("--match", type=ask.words, metavar="KIND=VALUE", help="instead find for each network the "
        "width that costs nearest to gmacs=2.7 (1e9 multiply-adds a forward pass), params=9.6 "
        "(millions), latency=40 (ms a forward pass of one image here) or train-time=0.5 (s a step "
        "of --batch images here, two at least), and time a training step; nothing else may "
        "run")  # fmt: skip
    add("--bench", action="store_true", help="instead time what a trial costs above its network, "
        "and training and inference of HRNetV2-W18 against the usual way, with every runtime that "
        "is installed; minutes, and nothing else may run")  # fmt: skip
    add("--again", type=ask.path, metavar="RESULTS", help="instead time the latency of these "
        "finished trials once more; nothing else may run")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 when all was counted, 1 when a network could not be measured, 2 for a wrong request."""
    args = _parser().parse_args(argv)
    try:
        models = without_aliases(args.models)
        if args.match and args.measure:
            raise ValueError("--match times a training step as it is: leave --measure out")
        if args.runtime != (EAGER,) and not args.measure:
            raise ValueError("--runtime says what --measure times: add it, or leave --runtime out")
        check_libraries(args.runtime)
        if args.bench:
            if args.measure or args.match or args.again:
                raise ValueError("--bench times networks of its own: leave the other timing out")
            return _bench(args)
        return _serve(models, args.size, args)
    except KeyboardInterrupt:
        kept = "" if args.match or args.bench else "; measured.json has what was measured"
        print(f"\nstopped{kept}", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        ask.complain(error)
        return 2


def _serve(models: list[str], size: tuple[int, int], args: argparse.Namespace) -> int:
    # torch takes seconds to import, which --help and a wrong request are spared.
    from experiments.costs.benchmark import remeasure_all
    from experiments.costs.flops import trace_cost
    from experiments.costs.width_search import match_and_time, parse_match

    console = PlainConsole()
    if args.again:
        for trial in remeasure_all(args.again, args.threads):
            ms = f"{trial.before:.1f} ms before, {trial.now:.1f} now"
            ask.say(f"{trial.model} seed {trial.seed}: {ms}")
        return 0
    if args.match:
        batch = max(2, args.batch)  # some networks cannot train on one image
        budget = parse_match(args.match, size, args.classes, args.precision, args.threads, batch)
        rows = match_and_time(models, budget, args.out)
        print_match(rows, budget, console)
        console.print(f"wrote {args.out / 'match.json'}", soft_wrap=True)
        return int(any(row.failure for row in rows))
    costs = [trace_cost(model, args.classes, size) for model in models]
    written = write_costs(costs, args.out)
    console.print(cost_table(costs, size, args.classes))
    for cost in costs:
        if cost.note:
            console.print(f"{cost.model}: {cost.note}")
    console.print(f"wrote {written[0]} and {written[1]}", soft_wrap=True)
    return _measure(models, size, args, console) if args.measure else 0


def _measure(
    models: list[str], size: tuple[int, int], args: argparse.Namespace, console: PlainConsole
) -> int:
    common = (args.classes, size, args.precision, args.batch)
    compared = args.runtime != (EAGER,)
    trains = EAGER if EAGER in args.runtime else args.runtime[0]  # once a network
    requests = [
        MeasurementRequest(model, *common, runtime == trains, runtime, compared)
        for model in models
        for runtime in args.runtime
    ]
    answers = measure_all(requests, args.threads, args.out / "measured.json")
    console.print(measured_table(answers))
    return int(any(isinstance(answer, MeasurementFailure) for answer in answers))


def _bench(args: argparse.Namespace) -> int:
    console = PlainConsole()
    for found in measure_speed(installed(RUNTIMES), args.threads):
        if isinstance(found, SpeedRatio):
            ask.say(f"{found.what}: {found.ours}, {found.median:.2f} of {found.other}")
        else:
            console.print(ratio_table(found))
            console.print(f"wrote {found.write(args.out)}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
