"""Scores from label maps: the one place where reported accuracy is computed, without torch.

`python -m experiments.score PREDICTIONS --data camvid --split test` scores folders of anybody's
predictions; `--again RESULTS` those that finished trials have kept.
"""

import argparse
import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from datamodules import Dataset, about, open_data
from datamodules.check import checked
from experiments.audit import audit_table
from experiments.counts import Counts, ImageCounts, class_iou, confusion, count_split
from experiments.data import shown_progress
from experiments.metrics import FullScores, Scores, full_scores, position_prior, score
from experiments.predictions import PredictionError, Predictions, open_predictions
from experiments.recipes import short_hash
from experiments.store import (
    SCHEMA,
    Result,
    check_comparable,
    read_results,
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

BAND = 3  # pixels on either side of a true boundary that the table looks at
_INNER = re.compile(r"predictions|seed\d+")  # folders that say nothing of what made them


def score_folder(folder: Path, data: Dataset) -> FullScores:
    """Score the predictions of a folder, in this process alone.

    Raises:
        PredictionError: as `open_predictions`, or a prediction of another size or without a class.
    """
    return full_scores(data, count_split(data, open_predictions(folder, data)))


def boundary_table(results: list[Result]) -> Table:
    """Quality at boundaries, of thin things and of single images in percent; a row a model."""
    columns: dict[str, Callable[[dict[str, Any]], float | None]] = {
        "Boundary\nIoU": lambda m: m["boundary_iou"]["mean"],
        f"mIoU\n<= {BAND} px": lambda m: m["bands"]["within"][m["bands"]["pixels"].index(BAND)],
        f"mIoU\n> {BAND} px": lambda m: m["bands"]["beyond"][m["bands"]["pixels"].index(BAND)],
        "thin\nrecall": lambda m: m["objects"]["width"]["recall"][0],
        "image\nmean": lambda m: m["image_miou"]["mean"],
        "worst\ntenth": lambda m: m["image_miou"]["worst_decile"],
    }
    by_model: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if result.done:
            by_model.setdefault(result["model"], []).append(result["metrics"])
    caption = (
        f"Boundary IoU: arXiv 2103.16562; <= {BAND} px: from a true boundary; thin: objects 1-2 "
        "px wide; worst tenth: of the images, by their own mIoU"
    )
    old = [name for name, seeds in by_model.items() if any("bands" not in m for m in seeds)]
    if old:
        caption += "; -: scored before boundaries were counted: experiments.score --again DIR"
    table = Table(title="Where it is right, %", box=box.SIMPLE, pad_edge=False, caption=caption)
    table.add_column("model", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for model, seeds in by_model.items():
        cells = []
        for value in columns.values():
            found = [f for m in seeds if "bands" in m and (f := value(m)) is not None]
            cells.append(f"{100 * statistics.fmean(found):.1f}" if found else "-")
        table.add_row(model, *cells)
    return table


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
    add("--output", type=Path, metavar="RESULTS", help="keep results there, for experiments.report")
    add("--again", type=Path, metavar="RESULTS", help="instead score the kept predictions of "
        "these finished trials once more and renew their results")  # fmt: skip
    add("--audit", action="store_true", help="also show what mIoU would be by wrong definitions")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 with tables on the terminal, 2 for a request or predictions that cannot be scored."""
    args, console = _parser().parse_args(argv), Console(highlight=False, markup=False)
    try:
        _check_request(args)
        scored = _again(args, console) if args.again else _score(args, console)
        shown = read_results(args.add) if args.add else scored
        found = tables(shown, stale_results(shown))
    except KeyboardInterrupt:
        print("\nstopped; no result is half written", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    found.append(boundary_table(shown))
    if args.audit:
        found += [audit_table(result["model"], result["metrics"]) for result in scored]
    for table in found:
        console.print(table)
    return 0


def _check_request(args: argparse.Namespace) -> None:
    new = args.folders or args.data or args.name or args.add or args.output or args.ids
    if args.again and new:
        raise ValueError("--again takes predictions and data set from the results: give no others")
    if not args.again and not (args.folders and args.data):
        raise ValueError("a DIR of predictions and --data, or --again with results, are needed")
    if args.jobs < 1:
        raise ValueError(f"--jobs is {args.jobs}: at least one process has to count")


def _score(args: argparse.Namespace, console: Console) -> list[Result]:
    """Results of the folders, written where they are to be kept."""
    data = open_data(args.data, args.split, args.data_root)
    names = _names(args.folders, args.name)
    others = read_results(args.add) if args.add else []
    trained = {result["model"] for result in others if result.record.get("cost")}
    if trained.intersection(names):
        raise ValueError(
            f"{args.add} has a trained {min(trained.intersection(names))}: give another --name"
        )
    common = _record(args, data)
    check_comparable([*others, Result(args.folders[0], {**common, "model": names[0]})])
    opened = [open_predictions(folder, data, args.ids, args.jobs) for folder in args.folders]
    for name, predictions in zip(names, opened, strict=True):
        console.print(f"{name} read as: {predictions.form}")
    results = []
    for folder, name, predictions in zip(args.folders, names, opened, strict=True):
        scores = _counted(data, predictions, args.jobs)
        record = {**common, "model": name, **_scored(scores)}
        for kept in (args.add and args.add / "scored", args.output):
            if kept:
                _write(kept / slug(name) / "seed0" / "result.json", record, scores)
        results.append(Result(folder / "result.json", record))
    return results


def _again(args: argparse.Namespace, console: Console) -> list[Result]:
    """Renew the metrics of finished trials and nothing else, once all predictions were found."""
    finished = [result for result in read_results(args.again) if result.done]
    if not finished:
        raise ValueError(f"no finished trial in {args.again}: run a comparison first")
    opened = [_reopen(result, args) for result in finished]
    for result, (data, predictions) in zip(finished, opened, strict=True):
        scores = _counted(data, predictions, args.jobs)
        # Hashes of the data set would refuse results of versions that hashed it otherwise.
        if scores.confusion.sum(1).tolist() != [sum(row) for row in result["confusion"]]:
            raise ValueError(f"{result.path} is of other labels: name theirs by --data-root")
        record = {**result.record, **_scored(scores)}
        _write(result.path, record, scores)
        before, now = (100 * metrics["miou"] for metrics in (result["metrics"], record["metrics"]))
        name = f"{result['model']} seed {result['seed']}"
        console.print(f"{name}: mIoU {before:.2f} % before, {now:.2f} % now")
    return read_results(args.again)


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
    """A result without recipe, code and cost, which nobody told, and still without its scores."""
    known = about(args.data)
    splits = checked(args.data, args.data_root, list(dict.fromkeys(["train", args.split]))).splits
    return {
        "schema": SCHEMA,
        "status": "done",
        "reason": None,
        "recipe": {"name": "unknown", "data": args.data, "test_split": args.split},
        "model": None,
        "seed": 0,
        "hashes": {
            "recipe": None,
            "protocol": None,
            "code": None,
            "data": short_hash([splits[name].fingerprint for name in ("train", args.split)]),
        },
        "data": {
            "name": args.data,
            "split": args.split,
            "num_images": len(data.ids),
            "classes": list(data.labels.names),
            "block": known.block if known else None,
        },
        "protocol": {"split": args.split, "size": "the label file's own"},
        "cost": None,
        "timing": None,
        "environment": {},
    }


if __name__ == "__main__":
    sys.exit(main())
