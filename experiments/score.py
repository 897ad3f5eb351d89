"""Scores from label maps: the one place where reported accuracy is computed, without torch.

`python -m experiments.score PREDICTIONS --data camvid --split test` scores folders of anybody's
predictions; `--again RESULTS` those that finished trials have kept.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from experiments.analysis.evidence import evidence
from experiments.comparison.external_predictions import score_again, score_folders
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.reporting.score_tables import variants_table
from experiments.reporting.tables import tables
from experiments.trials.comparability import separate, titles
from experiments.trials.result_types import TrialResult
from experiments.trials.results import read_prior, read_results
from experiments.trials.verification import stale_results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.score",
        description="Score folders of predicted label maps, from whatever made them.",
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="*", metavar="DIR", help="PNGs (grey or palette) or .npy "
        "arrays of ids, one an image, whose names begin with the image's id")  # fmt: skip
    add("--data", help="data set with its options, as camvid")
    add("--split", default="test", help="(default: test)")
    add("--data-root", type=Path, help="folder that holds the data set")
    add("--ids", choices=("train", "label"), help="what the values are: class ids from 0, or the "
        "ids of the data set's own label files (default: told from the values)")  # fmt: skip
    add("--name", action="append", help="what to call a DIR in tables; one for each, in order "
        "(default: the folder's name)")  # fmt: skip
    add("--add", type=Path, metavar="RESULTS", help="show them with a comparison, as runs/demo")
    add("--output", type=Path, metavar="RESULTS", help="keep results there, with a report.html")
    add("--again", type=Path, metavar="RESULTS", help="instead score the kept predictions of "
        "these finished trials once more and renew their results")  # fmt: skip
    add("--audit", action="store_true", help="also show what mIoU would be by wrong definitions")
    add("--allow-mixed", action="store_true", help="show results of other data, recipes or "
        "protocols in tables of their own")  # fmt: skip
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 with tables on the terminal, 2 for a request or predictions that cannot be scored."""
    args, console = _parser().parse_args(argv), Console(highlight=False, markup=False)
    try:
        _check_request(args)
        with tempfile.TemporaryDirectory() as scratch:
            keep = args.output or Path(scratch)
            scored = (
                score_again(args, console) if args.again else score_folders(args, keep, console)
            )
            _show(scored, args, console)
    except KeyboardInterrupt:
        print("\nstopped; no result is half written", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _show(scored: list[TrialResult], args: argparse.Namespace, console: Console) -> None:
    """Tables and the answer of each set of results that may share them, and the report."""
    folder = args.add or args.again
    shown = read_results(folder) if folder else scored
    sets = separate(shown) if args.allow_mixed else [shown]
    names = titles([[result.record for result in some] for some in sets])
    for name, some in zip(names, sets, strict=True):
        if len(sets) > 1:
            console.print(f"\n{name}", style="bold")
        prior = read_prior(folder, some) if folder else None
        known, stale = evidence(some, prior=prior["miou"] if prior else None), stale_results(some)
        for table in tables(some, stale, known):
            console.print(table)
        console.print(f"{known.question}\n{known.answer}")
    if args.audit:
        for result in scored:
            console.print(variants_table(result.label, result["metrics"]))
    if args.output:
        page = args.output / "report.html"
        panel = make_panel(scored, args.data_root)
        write_report(scored, page, stale=set(), prior=None, panel=panel)
        console.print(f"report: {page}", soft_wrap=True)


def _check_request(args: argparse.Namespace) -> None:
    new = args.folders or args.data or args.name or args.add or args.output or args.ids
    if args.again and new:
        raise ValueError("--again takes predictions and data set from the results: give no others")
    if not args.again and not (args.folders and args.data):
        raise ValueError("a DIR of predictions and --data, or --again with results, are needed")
    if args.jobs < 1:
        raise ValueError(f"--jobs is {args.jobs}: at least one process has to count")


if __name__ == "__main__":
    sys.exit(main())
