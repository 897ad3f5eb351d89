"""What a machine with GPUs can do, in minutes: tests, throughput, trials."""

import argparse
import sys
from pathlib import Path

from experiments.speed.gpu_machine import find_gpus
from experiments.trials import command_line as ask
from experiments.trials.signals import Stopped, say_stopped, stopped_by_signals

HERE = Path(__file__).resolve().parent
RESULTS, README = HERE / "results" / "gpu", HERE / "speed" / "README.md"
NAMES = ("tests", "throughput", "trials")

DESCRIPTION = """\
Tests, throughput and trials on the GPUs of this machine, in this order.

  python -m experiments.gpu

Each part has a share of the time and writes its result as it ends, so that a
run that is stopped is still of use. Without a GPU nothing is done.
"""


def main(argv: list[str] | None = None) -> int:
    """0 where all was well, 1 where something failed, 2 without a GPU or for a wrong request, 130
    if stopped by Ctrl-C, 143 by SIGTERM."""
    args = parser().parse_args(argv)
    try:
        with stopped_by_signals():
            return _run(args)
    except Stopped as stopped:
        say_stopped("what has ended is kept")
        return stopped.status
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2


def _run(args: argparse.Namespace) -> int:
    # `--help` does without pydantic and rich.
    from experiments.comparison.gpu_run import GpuRequest, run_parts
    from experiments.comparison.gpu_trials import GpuTrials
    from experiments.reporting.console import PlainConsole
    from experiments.reporting.gpu_page import renew_gpu_page
    from experiments.speed.throughput import LECTURE

    if args.render:
        ask.say(renew_gpu_page(README, RESULTS))
        return 0
    trials = GpuTrials(args.recipe, args.models, args.data_root, args.seeds, args.per_device)
    trials.request()  # an unknown recipe or network is refused before any work
    machine, console = find_gpus(), PlainConsole()
    console.print(f"{machine.cards} x {machine.card}, torch {machine.torch}")
    request = GpuRequest(args.parts, 60 * args.minutes, args.out, args.models or LECTURE, trials)
    try:
        return run_parts(request, machine, console)
    finally:
        if args.out.resolve() == RESULTS:
            renew_gpu_page(README, RESULTS)


def parts(text: str) -> tuple[str, ...]:
    """Parts by name or number, in the order in which they run."""
    numbers = {str(number): name for number, name in enumerate(NAMES, 1)}
    asked = [numbers.get(part.strip(), part.strip()) for part in ask.words(text).split(",")]
    if not set(asked) <= set(NAMES):
        raise argparse.ArgumentTypeError(
            f"is {text!r}: give some of {', '.join(NAMES)}, or their numbers, as 1,2"
        )
    return tuple(name for name in NAMES if name in asked)


def parser() -> argparse.ArgumentParser:
    p = ask.Parser(
        prog="python -m experiments.gpu",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("--parts", type=parts, default=NAMES, metavar="PARTS",
        help="tests, throughput, trials or their numbers, as 1,2 (default: all)")  # fmt: skip
    add("--minutes", type=ask.whole(1, 1440), default=7, metavar="N",
        help="for all parts together (default: 7)")  # fmt: skip
    add("--models", type=ask.names, metavar="MODELS", help="commas between (default: the lecture's "
        "networks for throughput, those of compare for trials)")  # fmt: skip
    add("--recipe", type=ask.words, help=f"of the trials: {ask.RUNS_CODE} (default: camvid with "
        "--data-root, else demo)")  # fmt: skip
    add("--data-root", type=ask.path, metavar="DIR", help="folder of the data set of the trials "
        "(default: procedural streets)")  # fmt: skip
    add("--seeds", type=ask.seeds, default="0", help="of the trials, as 0,1 (default: 0)")
    add("--per-device", type=ask.whole(1, ask.MOST_PROCESSES), metavar="N", help="trials that "
        "share a GPU")  # fmt: skip
    add("--out", type=ask.folder, default=RESULTS, metavar="DIR", help="folder of the results, "
        "with one of each card's name (default: experiments/results/gpu)")  # fmt: skip
    add("--render", action="store_true", help="run nothing: have the README of speed show the "
        "results that are kept, as those brought from another machine")  # fmt: skip
    return p


if __name__ == "__main__":
    sys.exit(main())
