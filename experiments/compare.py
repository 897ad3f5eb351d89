"""The main command: runs the trials of a comparison and shows what came of them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.comparison.listing import listing
from experiments.comparison.request import DEFAULT_MODELS, ComparisonRequest
from experiments.engines.request import add_arguments as add_engine
from experiments.engines.request import request_of as engine_request
from experiments.engines.request import settings
from experiments.training.trial_request import Resources
from experiments.trials import command_line as ask
from experiments.trials.command import process_of_trials
from experiments.trials.recipe import RecipeRequest


def main(argv: list[str] | None = None) -> int:
    """0 when every trial has a result or all are submitted, 1 when one failed, 2 for a wrong
    request, 130 if stopped by Ctrl-C, 143 by SIGTERM."""
    args = parser().parse_args(argv)
    if args.list:
        print(listing())
        return 0
    # `--help` and `--list` do without pydantic, rich and what else these bring.
    from experiments.comparison.comparison_runner import run_comparison
    from experiments.comparison.dry_run import print_plan
    from experiments.comparison.on_cluster import print_submission, run_on_cluster
    from experiments.comparison.presentation import show
    from experiments.reporting.console import PlainConsole

    try:
        with process_of_trials(args.num_nodes if args.engine == "local" else 1):
            request = request_of(args, sys.argv[1:] if argv is None else argv)
            console = PlainConsole()
            if args.dry_run:
                print_submission(print_plan(request, console), request, console)
                return 0
            ended = run_on_cluster(request, run_comparison, console)
            if ended is None:
                return 0
            lacking = show(ended, request, console)
            return int(bool(ended.notes or lacking))
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2


def request_of(args: argparse.Namespace, command: Sequence[str] = ()) -> ComparisonRequest:
    """What the arguments ask for.

    Args:
        command: the arguments as they were typed.

    Raises:
        ValueError: as `engines.request.request_of`.
    """
    if args.measure_on is not None and args.engine != "slurm":
        raise ValueError(
            "--measure-on is for a job of SLURM: add --engine slurm; here, "
            "python -m experiments.cost --again RESULTS times them once more"
        )
    if args.engine != "local" and max(args.jobs, args.per_device) > 1:
        raise ValueError(
            "--jobs and --per-device are for this machine: a cluster finds places for trials "
            "itself, for so many at a time with --engine-set parallel=8 on SLURM"
        )
    return ComparisonRequest(
        models=args.models,
        recipe=RecipeRequest(args.recipe, tuple(args.changes), args.data),
        match=args.match,
        at=args.at,
        seeds=args.seeds,
        repeats=args.repeats,
        tune=args.tune,
        jobs=args.jobs,
        per_device=args.per_device,
        out=args.out,
        rerun=args.rerun,
        allow_mixed=args.allow_mixed,
        verify=args.verify,
        engine=engine_request(args),
        measure_on=args.measure_on,
        command=tuple(command),
        resources=Resources(
            data_root=args.data_root,
            devices=args.devices,
            num_nodes=args.num_nodes,
            wandb=args.wandb,
        ),
    )


DESCRIPTION = """\
Compare segmentation networks: same recipe, batches and protocol, with costs.

  python -m experiments.compare --models hrnet,deeplabv3p,unet

Every network and seed is a trial in a process of its own. What has finished is
kept and skipped; what was stopped goes on from its last checkpoint when the
same command is given again.
"""


def parser() -> argparse.ArgumentParser:
    p = ask.Parser(
        prog="python -m experiments.compare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, processes = p.add_argument, ask.whole(1, ask.MOST_PROCESSES)
    add("--models", type=ask.names, default=DEFAULT_MODELS, metavar="MODELS",
        help="commas between (default: %(default)s)")  # fmt: skip
    add("--recipe", type=ask.words, default="demo", help=f"{ask.RUNS_CODE} (default: demo)")
    add("--set", action="append", default=[], dest="changes", metavar="FIELD=VALUE",
        help="change a field of the recipe, as lr=0.02; may be repeated")  # fmt: skip
    add("--data", type=ask.words, help="another data set, as streets:height=192:width=256")
    add("--data-root", type=ask.path, metavar="DIR", help="folder that holds the data set")
    add("--match", type=ask.words, metavar="KIND=VALUE", help="give each network the width that "
        "costs nearest to gmacs=2.7 (1e9 multiply-adds a forward pass), params=9.6 (millions), "
        "latency=40 (ms a forward pass of one image here) or train-time=0.5 (s a training step of "
        "two images here)")  # fmt: skip
    add("--at", type=ask.size, metavar="HEIGHTxWIDTH", help="the image that --match counts or "
        "times (default: the recipe's crop, on which training runs)")  # fmt: skip
    add("--seeds", type=ask.seeds, default="0", help="as 0,1,2: a trial for each (default: 0)")
    add("--repeats", type=ask.whole(1, 1000), default=1, metavar="N", help="runs of each trial "
        "with the same seeds, which shows the noise of the machine (default: 1)")  # fmt: skip
    add("--tune", type=ask.whole(2, 1000), metavar="N", help="train each network also with its own "
        "learning rate and weight decay, the best of N short trials on the training set "
        "alone")  # fmt: skip
    add("--devices", type=processes, default=1, metavar="N", help="processes a trial (default: 1)")
    add("--num-nodes", type=processes, default=1, metavar="N", help="machines a trial (default: 1)")
    add("--jobs", type=processes, default=1, metavar="N", help="trials at a time, each on GPUs of "
        "its own where there are any (default: 1)")  # fmt: skip
    add("--per-device", type=processes, default=1, metavar="K", help="trials that may share a GPU "
        "whose memory holds so many (default: 1)")  # fmt: skip
    add("--out", type=ask.folder, default=Path("runs"), metavar="DIR", help="(default: runs)")
    add("--wandb", choices=("online", "offline", "off"),
        help="goes before WANDB_MODE (default: WANDB_MODE, else online with an account, else "
        "offline)")  # fmt: skip
    add_engine(p)
    add("--measure-on", type=settings, metavar="NAME=VALUE,...", help="in the end time all "
        "networks in one job that has a node for itself, as constraint=a100 (--engine "
        "slurm)")  # fmt: skip
    add("--rerun", choices=("failed", "stale", "all"), default="failed",
        help="what to do again: failed trials (default), also those made by other code or "
        "another recipe, or all")  # fmt: skip
    add("--verify", type=ask.whole(1), nargs="?", const=50, metavar="K", help="train the first K "
        "steps of every finished trial again (50 without a number) and compare the "
        "losses")  # fmt: skip
    add("--allow-mixed", action="store_true", help="show results of other recipes, data or "
        "protocols in tables of their own")  # fmt: skip
    add("--dry-run", action="store_true", help="print the plan and its cost, run nothing")
    add("--list", action="store_true", help="print models, recipes and data sets")
    return p


if __name__ == "__main__":
    sys.exit(main())
