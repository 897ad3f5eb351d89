"""Run one trial: train, predict, score, measure, and write one result file.

`python -m experiments.run --model unet:width=9 --recipe camvid-quick --data-root CamVid`
`compare` starts one such process for every cell of its table.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from experiments.training.trial_runner import die_with_parent, lend, run_trial
from experiments.trials.atomic_io import write_json
from experiments.trials.data_check import data_hash
from experiments.trials.environment import global_rank
from experiments.trials.overrides import load_recipe
from experiments.trials.trial import BusyError, Trial
from models import parse_model


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m experiments.run", description=__doc__)
    p.add_argument("--model", required=True, help="network with its options, as unet:width=9")
    p.add_argument("--recipe", default="demo", help="name, or file.py:function")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes")
    p.add_argument("--name", help="what the recipe is called, where --set says too much")
    p.add_argument("--data", help="data set with its options instead of the recipe's")
    p.add_argument("--data-root", type=Path, help="folder of the data set")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--repeat", type=int, default=0, help="which run of the same seed")
    p.add_argument("--devices", type=int, default=1, help="processes on this machine")
    p.add_argument("--num-nodes", type=int, default=1)
    p.add_argument("--workers", type=int, help="processes that read data; speed only")
    p.add_argument("--out", type=Path, default=Path("runs"))
    p.add_argument("--wandb", choices=("online", "offline", "off"))
    p.add_argument("--group", help="W&B group: the comparison's id")
    return p


def main(argv: list[str] | None = None) -> int:
    """0 when the result is there, 1 when the trial failed (its reason is in the result), 2 for
    arguments that name nothing, 3 when another process holds the trial."""
    args = parser().parse_args(argv)
    die_with_parent()
    # Threads of OpenMP spin while they wait, which makes two busy processes up to ten times
    # slower instead of twice; without any spinning one alone takes twice as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        recipe = load_recipe(args.recipe, args.changes, args.data)
        recipe = replace(recipe, name=args.name or recipe.name)
        parse_model(args.model)
        trial = Trial(recipe, args.model, args.seed, args.out, args.repeat)
        identity = trial.identity(data_hash(recipe, args.data_root))
        if global_rank() > 0:
            return lend(trial, args)
        with trial.lock():
            if not trial.prepare(identity["hashes"]["data"]):
                print(f"done already: {trial.result_path}")
                return 0
            for draft in trial.folder.glob(".*"):  # of a process that was killed while writing
                draft.unlink()
            write_json(trial.folder / "trial.json", identity)
            return run_trial(trial, identity, args)
    except BusyError as error:
        print(f"{error}; wait for it, or end it and try again", file=sys.stderr)
        return 3
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
