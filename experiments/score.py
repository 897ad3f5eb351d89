"""Scores from label-map PNGs: the one place where reported accuracy is computed, without torch.

`python -m experiments.score PREDICTIONS --data camvid --split test` scores any folder of id PNGs.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console

from datamodules import Dataset, open_data
from datamodules.check import checked
from datamodules.labels import IGNORE, UInt8
from experiments.recipes import short_hash
from experiments.store import SCHEMA, Result, check_comparable, load_results, write_json
from experiments.table import tables
from experiments.trial import slug, stale_results

Counts = npt.NDArray[np.int64]


class PredictionError(ValueError):
    """Predictions that cannot be scored; the message names the file and what is needed."""


@dataclass(frozen=True)
class Scores:
    """Counts over a split, from which every metric follows.

    Attributes:
        confusion: (K, K), rows truth, columns prediction, over the whole split.
        tp, fp, fn: (n, K) for each image.
    """

    names: tuple[str, ...]
    ids: list[str]
    groups: list[str]
    confusion: Counts
    tp: Counts
    fp: Counts
    fn: Counts

    def metrics(self) -> dict[str, Any]:
        """mIoU over the whole split, per class, pixel accuracy, and the same for each group."""
        tp, fp, fn = self.tp.sum(0), self.fp.sum(0), self.fn.sum(0)
        iou = class_iou(tp, fp, fn)
        groups = {}
        for group in dict.fromkeys(self.groups):
            rows = np.array([g == group for g in self.groups])
            part = [counts[rows].sum(0) for counts in (self.tp, self.fp, self.fn)]
            groups[group] = {**_summary(*part), "num_images": int(rows.sum())}
        return {
            **_summary(tp, fp, fn),
            "num_classes_counted": int(np.isfinite(iou).sum()),
            "iou": {
                name: float(v) if np.isfinite(v) else None
                for name, v in zip(self.names, iou, strict=True)
            },
            "groups": groups,
        }


def class_iou(tp: Counts, fp: Counts, fn: Counts) -> npt.NDArray[np.float64]:
    """tp / (tp + fp + fn), (K,); NaN for a class that neither truth nor prediction has.

    As in cityscapesScripts' evaluator. A class that is predicted but absent counts as 0.
    """
    union = tp + fp + fn
    iou: npt.NDArray[np.float64] = np.full(tp.shape, np.nan)
    np.divide(tp, union, out=iou, where=union > 0)
    return iou


def _summary(tp: Counts, fp: Counts, fn: Counts) -> dict[str, float | None]:
    iou, pixels = class_iou(tp, fp, fn), int((tp + fn).sum())
    return {
        "miou": float(np.nanmean(iou)) if np.isfinite(iou).any() else None,
        "pixel_accuracy": float(tp.sum() / pixels) if pixels else None,
    }


def confusion(truth: UInt8, prediction: UInt8, num_classes: int) -> Counts:
    """Counts (K, K) of one image; pixels whose truth is 255 never count."""
    valid = truth != IGNORE
    cells = truth[valid].astype(np.int64) * num_classes + prediction[valid]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def score(data: Dataset, predict: Callable[[int], UInt8]) -> Scores:
    """Score `predict(index)`, class indices (H, W), on every image of a split."""
    k = data.labels.num_classes
    per_image = [confusion(data.mask(i), predict(i), k) for i in range(len(data.ids))]
    matrices = np.stack(per_image)
    tp = matrices.diagonal(axis1=1, axis2=2)
    return Scores(
        names=data.labels.names,
        ids=list(data.ids),
        groups=list(data.groups),
        confusion=matrices.sum(0),
        tp=tp,
        fp=matrices.sum(1) - tp,
        fn=matrices.sum(2) - tp,
    )


def score_folder(folder: Path, data: Dataset) -> Scores:
    """Score the PNGs of a folder, one an image, named by the image's id.

    Raises:
        PredictionError: no folder, a missing or unreadable file, one of another size or mode, or
            with values that are no class.
    """
    if not folder.is_dir():
        raise PredictionError(f"no folder of predictions at {folder.absolute()}: give one of PNGs")
    missing = [id for id in data.ids if not (folder / f"{id}.png").is_file()]
    if missing:
        raise PredictionError(
            f"{folder} lacks {len(missing)} of {len(data.ids)} predictions, the first "
            f"{missing[0]}.png: every image of the split is needed, named by its id"
        )
    return score(data, lambda i: _read(folder / f"{data.ids[i]}.png", data, i))


def _read(path: Path, data: Dataset, index: int) -> UInt8:
    try:
        with Image.open(path) as file:
            mode, ids = file.mode, np.array(file)
    except (OSError, SyntaxError) as error:
        raise PredictionError(f"{path} cannot be read ({error}): write it again") from None
    if mode not in ("L", "P"):
        raise PredictionError(f"{path} has mode {mode}: one channel of class ids is needed (L, P)")
    truth = data.mask(index)
    if ids.shape != truth.shape:
        raise PredictionError(
            f"{path} is {ids.shape[1]}x{ids.shape[0]} and its label "
            f"{truth.shape[1]}x{truth.shape[0]}: predict at the label's own size"
        )
    wrong = ids >= data.labels.num_classes
    if wrong.any():
        values, counts = np.unique(ids[wrong], return_counts=True)
        raise PredictionError(
            f"{path} has the value {values[0]} in {counts[0]} pixels: "
            f"class indices 0 to {data.labels.num_classes - 1} are needed everywhere"
        )
    return ids.astype(np.uint8, copy=False)


def position_prior(train: Dataset, test: Dataset) -> Scores:
    """Score the most frequent training class at each position: what needs no image at all.

    Positions are relative to the image's size, on a grid of the first training label's size.
    """
    height, width = train.mask(0).shape
    counts = np.zeros((train.labels.num_classes, height, width), np.int32)
    for index in range(len(train.ids)):
        mask = _resample(train.mask(index), height, width)
        for k in range(len(counts)):
            counts[k] += mask == k
    prior = counts.argmax(0).astype(np.uint8)
    return score(test, lambda i: _resample(prior, *test.mask(i).shape))


def _resample(mask: UInt8, height: int, width: int) -> UInt8:
    """Nearest neighbour by pixel centres."""
    rows = (np.arange(height) + 0.5) * mask.shape[0] // height
    columns = (np.arange(width) + 0.5) * mask.shape[1] // width
    resampled: UInt8 = mask[rows.astype(int)[:, None], columns.astype(int)]
    return resampled


def main(argv: list[str] | None = None) -> int:
    """0 with a table on the terminal, 2 for a request or predictions that cannot be scored."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.score",
        description="Score a folder of label-map PNGs, from whatever made them.",
    )
    add = parser.add_argument
    add("predictions", type=Path, help="PNGs of class ids, one an image, named by the image's id")
    add("--data", required=True, help="data set with its options, as camvid")
    add("--split", default="test", help="(default: test)")
    add("--data-root", type=Path, help="folder that holds the data set")
    add("--name", help="what to call them in tables (default: the folder's name)")
    add("--add", type=Path, metavar="DIR", help="show them with this comparison, as runs/demo")
    args = parser.parse_args(argv)
    try:
        data = open_data(args.data, args.split, args.data_root)
        record = _record(args, score_folder(args.predictions, data), data)
        result = Result(args.predictions / "result.json", record)
        others = load_results(args.add) if args.add else []
        check_comparable([*others, result])
        if args.add:
            folder = args.add / "scored" / slug(record["model"]) / "seed0"
            write_json(folder / "result.json", record)
            others = load_results(args.add)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(highlight=False)
    for shown in tables(others or [result], stale_results(others)):
        console.print(shown)
    return 0


def _record(args: argparse.Namespace, scores: Scores, data: Dataset) -> dict[str, Any]:
    """A result without recipe, code and cost, which nobody told."""
    splits = checked(args.data, args.data_root, list(dict.fromkeys(["train", args.split]))).splits
    return {
        "schema": SCHEMA,
        "status": "done",
        "reason": None,
        "recipe": {"name": "unknown", "data": args.data, "test_split": args.split},
        "model": args.name or args.predictions.resolve().name,
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
        },
        "protocol": {"split": args.split, "size": "the label file's own"},
        "confusion": scores.confusion.tolist(),
        "metrics": scores.metrics(),
        "cost": None,
        "timing": None,
        "environment": {},
    }


if __name__ == "__main__":
    sys.exit(main())
