r"""Predict a split with trained weights under any protocol, and score it.

  python -m experiments.evaluate runs/demo/hrnet/seed0 --protocol multi-scale
  python -m experiments.evaluate hrnet_w48_cityscapes.pth --model hrnet \
    --data cityscapes --data-root CITYSCAPES --protocol flip

Of a trial's folder the last checkpoint is taken. A stopped command goes on from
the images that it has predicted.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from experiments.analysis.evidence import evidence
from experiments.reporting.tables import tables
from experiments.training.evaluation import evaluate
from experiments.training.evaluation_request import evaluation_request
from experiments.trials.protocols import PROTOCOLS
from experiments.trials.recipe import PRECISIONS
from experiments.trials.staleness import stale_results


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("checkpoint", type=Path, help="a trial's folder, a checkpoint in it, or any weights")
    add("--model", help="network with its options (default: the trial's)")
    named = ", ".join(PROTOCOLS)
    add("--protocol", default="single", help=f"{named}, or options, as scales=0.5,1:flip")
    add("--data", help="data set with its options (default: the trial's)")
    add("--data-root", type=Path, help="folder of the data set")
    add("--split", help="(default: the one on which this data set is scored)")
    add("--precision", choices=PRECISIONS, help="(default: the recipe's, else 32-true)")
    add("--out", type=Path, help="(default: evaluated/DATA-SPLIT-PROTOCOL beside the weights)")
    add("--add", type=Path, metavar="DIR", help="show it with this comparison, as runs/demo")
    return p


def main(argv: list[str] | None = None) -> int:
    """0 with predictions and, where there are labels, tables; 2 for a request that cannot be met;
    130 if stopped."""
    args = parser().parse_args(argv)
    try:
        shown = evaluate(evaluation_request(args), args.add)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last image", file=sys.stderr)
        return 130
    console = Console(highlight=False, markup=False)
    if shown:
        known = evidence(shown)
        for table in tables(shown, stale_results(shown), known):
            console.print(table)
        console.print(known.answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
