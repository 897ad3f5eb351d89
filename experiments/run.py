"""Run one trial: train, predict, score, measure, and write one result file.

  python -m experiments.run --model unet:width=9 --recipe camvid-quick --data-root CamVid

`compare` starts one such process for every trial.
"""

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from datamodules.json_file import as_object, parse_json
from experiments.training.trial_request import Resources, TrialRequest
from experiments.trials import command_line as ask
from experiments.trials.environment import die_with_parent, spin_briefly, starts_ranks
from experiments.trials.launch import Place, take_place
from experiments.trials.recipe import RecipeRequest
from experiments.trials.signals import asked_to_end, say_stopped, stopped_by_signals
from experiments.trials.temporary_files import own_temporary_files
from experiments.trials.tuning_budget import TuningBudget


def parser() -> argparse.ArgumentParser:
    p = ask.Parser(
        prog="python -m experiments.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--model", type=ask.words, required=True, help="network with its options, as unet:width=9"
    )
    p.add_argument("--recipe", type=ask.words, default="demo", help=ask.RUNS_CODE)
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes")
    p.add_argument(
        "--name", type=ask.words, help="what the recipe is called, where --set says too much"
    )
    p.add_argument(
        "--data", type=ask.words, help="data set with its options instead of the recipe's"
    )
    p.add_argument("--data-root", type=ask.path, help="folder of the data set")
    p.add_argument("--seed", type=ask.seed, default=0)
    p.add_argument("--repeat", type=ask.whole(0), default=0, help="which run of the same seed")
    processes = ask.whole(1, ask.MOST_PROCESSES)
    p.add_argument("--devices", type=processes, default=1, help="processes on this machine")
    p.add_argument("--num-nodes", type=processes, default=1)
    workers = ask.whole(0, ask.MOST_PROCESSES)
    p.add_argument("--workers", type=workers, help="processes that read data; speed only")
    p.add_argument("--out", type=ask.folder, default=Path("runs"))
    p.add_argument(
        "--wandb", choices=("online", "offline", "off"), help="as of compare; before WANDB_MODE"
    )
    p.add_argument("--group", help="W&B group: the comparison's id")
    # What other commands say: values and search of a tuned trial, that only its first losses are
    # wanted, and the code that it was submitted with.
    p.add_argument("--own", action="append", default=[], help=argparse.SUPPRESS)
    p.add_argument("--tuning", type=_tuning, help=argparse.SUPPRESS)
    p.add_argument("--first-losses", type=ask.whole(1), help=argparse.SUPPRESS)
    p.add_argument("--code", help=argparse.SUPPRESS)
    p.add_argument("--perturb", action="store_true", help=argparse.SUPPRESS)
    return p


def _tuning(text: str) -> TuningBudget:
    said, remedy = "it", "leave it to compare"
    try:
        record = as_object(parse_json(text, said, remedy), said, remedy)
        return TuningBudget(**record)  # type: ignore[arg-type]  # which it checks itself
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"is no budget of a search: {error}") from None


def request_of(args: argparse.Namespace) -> TrialRequest:
    return TrialRequest(
        model=args.model,
        recipe=RecipeRequest(args.recipe, tuple(args.changes), args.data),
        own=tuple(args.own),
        tuning=args.tuning,
        name=args.name,
        seed=args.seed,
        repeat=args.repeat,
        out=args.out,
        code=args.code,
        resources=Resources(
            data_root=args.data_root,
            devices=args.devices,
            num_nodes=args.num_nodes,
            workers=args.workers,
            wandb=args.wandb,
            group=args.group,
        ),
    )


def main(argv: list[str] | None = None) -> int:
    """0 when the result is there, 1 when the trial failed (its reason is in the result), 2 for
    arguments that name nothing, 3 when another process holds the trial, 75 (EX_TEMPFAIL) when
    SIGTERM or SIGUSR1 asked it to end and the same command goes on, 130 if stopped by Ctrl-C."""
    die_with_parent()
    args = parser().parse_args(argv)
    try:
        place = take_place(args.devices, args.num_nodes)
    except ValueError as error:
        ask.complain(error)
        return 2
    own_files = own_temporary_files() if place.starts else nullcontext(int)
    with own_files as remove_temporary_files, starts_ranks():

        def end(status: int) -> None:
            """Every file is whole at any moment, and an orderly end would wait for other ranks."""
            if place.rank == 0:
                say_stopped("the same command goes on from the last checkpoint")
            remove_temporary_files()
            os._exit(status)

        with stopped_by_signals(end), asked_to_end(end):
            return _run(args, place)


def _run(args: argparse.Namespace, place: Place) -> int:
    spin_briefly()
    # `--help` does without them.
    from experiments.training.trial_runner import first_steps, run_other_rank, run_trial
    from experiments.trials.folder_lock import BusyError

    request, keeps_results = request_of(args), place.rank == 0
    try:
        if args.first_losses is not None:
            trained = first_steps(request, args.first_losses, args.perturb)
            if keeps_results:
                print(trained.model_dump_json())
            return 0
        failure = run_trial(request) if keeps_results else run_other_rank(request)
    except BusyError as error:
        ask.complain(f"{error}; wait for it, or end it and try again")
        return 3
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2
    if failure is not None:
        ask.complain(f"failed: {failure.reason}")
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main())
