"""Scores from label maps: the one place where reported accuracy is computed, without torch.

`python -m experiments.score PREDICTIONS --data camvid --split test` scores folders of anybody's
predictions; `--again RESULTS` those that finished trials have kept.
"""

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from datamodules import Dataset, about, open_data
from datamodules.check import checked
from experiments.audit import audit_table
from experiments.comparable import titles
from experiments.counts import Counts, ImageCounts, class_iou, confusion, count_split
from experiments.data import shown_progress
from experiments.evidence import evidence
from experiments.metrics import FullScores, Scores, full_scores, position_prior, score
from experiments.panel import choose, make_panel
from experiments.predictions import PredictionError, Predictions, open_predictions
from experiments.report import write_report
from experiments.store import (
    SCHEMA,
    Result,
    check_comparable,
    read_prior,
    read_results,
    separate,
    write_arrays,
    write_json,
)
from experiments.table import tables
from experiments.trial import slug, stale_results

__all__ = [  # what others score with is had here
    "Counts",
    "PredictionError",
    "Scores",
    "class_iou",
    "confusion",
    "position_prior",
    "score",
    "score_folder",
]

_INNER = re.compile(r"predictions|seed\d+.*")  # folders that say nothing of what made them


def score_folder(folder: Path, data: Dataset) -> FullScores:
    """Score the predictions of a folder, in this process alone.

    Raises:
        PredictionError: as `open_predictions`, or a prediction of another size or without a class.
    """
    return full_scores(data, count_split(data, open_predictions(folder, data)))


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
            scored = _again(args, console) if args.again else _score(args, keep, console)
            _show(scored, args, console)
    except KeyboardInterrupt:
        print("\nstopped; no result is half written", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _show(scored: list[Result], args: argparse.Namespace, console: Console) -> None:
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
            console.print(audit_table(result.label, result["metrics"]))
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


def _score(args: argparse.Namespace, keep: Path, console: Console) -> list[Result]:
    """Results of the folders, written to `keep`, and to a comparison that they are added to."""
    data = open_data(args.data, args.split, args.data_root)
    names = _names(args.folders, args.name)
    others = read_results(args.add) if args.add else []
    trained = {result["model"] for result in others if result.record.get("cost")}
    if trained.intersection(names):
        raise ValueError(
            f"{args.add} has a trained {min(trained.intersection(names))}: give another --name"
        )
    common = _record(args, data)
    if not args.allow_mixed:
        check_comparable([*others, Result(args.folders[0], {**common, "model": names[0]})])
    opened = [open_predictions(folder, data, args.ids, args.jobs) for folder in args.folders]
    for name, predictions in zip(names, opened, strict=True):
        console.print(f"{name} read as: {predictions.form}")
    results = []
    for name, predictions in zip(names, opened, strict=True):
        scores = _counted(data, predictions, args.jobs)
        record = {**common, "model": name, **_scored(scores)}
        inner = Path(slug(name), "seed0", "result.json")
        for folder in filter(None, (args.add and args.add / "scored", keep)):
            _write(folder / inner, record, scores)
        results.append(Result(keep / inner, record))
    _keep_pictures(results, opened, data)
    return results


def _keep_pictures(results: list[Result], opened: list[Predictions], data: Dataset) -> None:
    """Lay the predictions that a report shows beside their results, as palette PNGs."""
    for id in choose(results):
        index = data.ids.index(id)
        for result, predictions in zip(results, opened, strict=True):
            picture = Image.fromarray(predictions(index, data.mask(index)), mode="P")
            picture.putpalette(data.labels.palette)
            result.predictions.mkdir(exist_ok=True)
            picture.save(result.predictions / f"{id}.png")


def _again(args: argparse.Namespace, console: Console) -> list[Result]:
    """Renew the metrics of finished trials and nothing else, once all predictions were found."""
    finished = [result for result in read_results(args.again) if result.done]
    if not finished:
        raise ValueError(f"no finished trial in {args.again}: run a comparison first")
    opened = [_reopen(result, args) for result in finished]
    for result, (data, predictions) in zip(finished, opened, strict=True):
        before, scores = result["metrics"]["miou"], _counted(data, predictions, args.jobs)
        # Hashes of the data set would refuse results of versions that hashed it otherwise.
        if scores.confusion.sum(1).tolist() != [sum(row) for row in result["confusion"]]:
            raise ValueError(f"{result.path} is of other labels: name theirs by --data-root")
        record = {**result.record, **_scored(scores)}
        _write(result.path, record, scores)
        result.record.update(record)
        now, name = record["metrics"]["miou"], f"{result.label} seed {result['seed']}"
        console.print(f"{name}: mIoU {100 * before:.2f} % before, {100 * now:.2f} % now")
    return finished


def _reopen(result: Result, args: argparse.Namespace) -> tuple[Dataset, Predictions]:
    """The data set and the kept predictions of a finished trial."""
    name, split = result["data"]["name"], result["data"]["split"]
    if not result.predictions.is_dir():
        raise ValueError(f"{result.path} has no predictions beside it: only kept ones are scored")
    data = open_data(name, split, args.data_root)
    return data, open_predictions(result.predictions, data, "train", args.jobs)


def _names(folders: list[Path], given: list[str] | None) -> list[str]:
    """What tables call each folder: by default its last part but `predictions` and `seed0`."""
    names = given or [
        next(part for part in reversed(folder.resolve().parts) if not _INNER.fullmatch(part))
        for folder in folders
    ]
    if len(names) != len(folders):
        raise ValueError(
            f"{len(names)} --name for {len(folders)} folders: give one for each, in their order"
        )
    (name, times), *_ = Counter(map(slug, names)).most_common()
    if times > 1:
        raise ValueError(f"{times} folders are called {name}: give a --name for each, in order")
    return names


def _counted(data: Dataset, predictions: Predictions, jobs: int) -> FullScores:
    def watched() -> Iterator[ImageCounts]:
        for done, image in enumerate(count_split(data, predictions, jobs), 1):
            progress(done, len(data.ids))
            yield image

    with shown_progress("images") as progress:
        return full_scores(data, watched())


def _scored(scores: Scores) -> dict[str, Any]:
    return {"confusion": scores.confusion.tolist(), "metrics": scores.metrics()}


def _write(path: Path, record: dict[str, Any], scores: Scores) -> None:
    write_arrays(path.parent / "per_image.npz", scores.arrays())
    write_json(path, record)


def _record(args: argparse.Namespace, data: Dataset) -> dict[str, Any]:
    """A result without recipe, code and cost, which nobody told, and still without its scores.

    What it was trained on is unknown too: data have the scored split's fingerprint and no hash.
    """
    known = about(args.data)
    split = checked(args.data, args.data_root, [args.split]).splits[args.split]
    return {
        "schema": SCHEMA,
        "status": "done",
        "reason": None,
        "recipe": {"name": "unknown", "data": args.data, "test_split": args.split},
        "model": None,
        "seed": 0,
        "hashes": dict.fromkeys(("recipe", "data", "protocol", "code")),
        "data": {
            "name": args.data,
            "split": args.split,
            "num_images": len(data.ids),
            "classes": list(data.labels.names),
            "block": known.block if known else None,
            "fingerprints": {args.split: split.fingerprint},
        },
        "protocol": {"split": args.split, "size": "the label file's own"},
        "cost": None,
        "timing": None,
        "environment": {},
    }


if __name__ == "__main__":
    sys.exit(main())
