"""What scoring takes of a machine as images grow in number.

    python -m tests.experiments.many_predictions --images 1000000 --folder /tmp/many

A Cityscapes of so many images is made of hard links to one small PNG, so that names, listings,
counts and results are those of the real thing, and pixels are not; what these take is measured
beside, on images of the real size. Each stage runs in a process of its own.
"""

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from datamodules import open_data
from datamodules.parts import Part, stretch
from experiments.comparison.scored_presentation import show_scored
from experiments.comparison.scoring_request import ScoringRequest
from experiments.scoring.counts import Gathered, count
from experiments.scoring.metrics import scores_of
from experiments.scoring.part_counts import count_part
from experiments.scoring.part_files import PartFile, write_part
from experiments.scoring.part_identity import identity
from experiments.scoring.predictions import Predictions, open_predictions
from experiments.trials.results import finished, read_results, write_result
from tests.experiments.made import trial

LINKS = 60_000  # of one file, of which ext4 takes 65,000
CITIES, PARTS = 100, 256


def build(root: Path, num: int, side: tuple[int, int] = (32, 64)) -> None:
    """Images, labels and predictions of the split val below a folder."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 34, side, dtype=np.uint8)
    contents = {
        "leftImg8bit/val/{0}/{1}_leftImg8bit.png": rng.integers(0, 256, (*side, 3), dtype=np.uint8),
        "gtFine/val/{0}/{1}_gtFine_labelIds.png": ids,
        "predictions/{1}.png": ids,
    }
    for name, pixels in contents.items():
        source = root / "source.png"
        for i in range(num):
            city = f"city{i * CITIES // num:03}"
            path = root / name.format(city, f"{city}_{i:06}_000019")
            if i % LINKS == 0:
                source.unlink(missing_ok=True)
                Image.fromarray(pixels).save(source)
            if i % max(1, num // CITIES) == 0 or i == 0:
                path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, path)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, path)
        source.unlink()


def opened(root: Path) -> Predictions:
    return open_predictions(root / "predictions", open_data("cityscapes", "val", root))


def _stage_open(root: Path) -> None:
    """Names of images and labels."""
    open_data("cityscapes", "val", root)


def _stage_list(root: Path) -> None:
    """The same, and those of predictions, each matched to its image."""
    opened(root)


def _stage_identity(root: Path) -> None:
    """The same, and sizes and times of change of labels and predictions."""
    data, predictions = open_data("cityscapes", "val", root), opened(root)
    identity("cityscapes", "val", Part(1, 1), data, predictions)


def _stage_part(root: Path) -> None:
    """One part of 256 counted and left."""
    data, predictions = open_data("cityscapes", "val", root), opened(root)
    part = Part(1, PARTS)
    images = part.images(len(data.ids))
    paths = predictions.paths[images.start : images.stop]
    some, few = stretch(data, images), replace(predictions, paths=paths)
    counted = count_part(some, few, 1, lambda done, num: None)
    write_part(root / "part.npz", identity("cityscapes", "val", part, some, few), counted)


def _stage_merge(root: Path) -> None:
    """All 256 parts gathered, of which each is the first; metrics; the two files of the result."""
    data = open_data("cityscapes", "val", root)
    num = len(data.ids)
    with np.load(root / "part.npz") as file:
        about = json.loads(file["about"].tobytes())
    gathered = Gathered(num, data.labels.num_classes)
    part = PartFile(root / "part.npz", True, {}, about["hashes"])
    for _ in range(PARTS):
        part.add_to(gathered)
    scores = scores_of(data, gathered)
    _told("gathered")
    metrics = scores.metrics()
    _told("metrics")
    told = {"name": "cityscapes", "split": "val", "num_images": num, "classes": [*scores.names]}
    done = trial(
        root / "results",
        "some",
        None,
        data=told,
        protocol={"split": "val", "passes": {}},
        metrics=metrics.model_dump(mode="json", by_alias=True),
        confusion=scores.confusion.tolist(),
        unpredicted=scores.unpredicted,
    )
    write_result(done, scores.arrays())
    _told("written")


def _stage_tables(root: Path) -> None:
    """Tables and intervals of the result, and the report."""
    request = ScoringRequest(output=root / "results", data_root=root)
    show_scored(finished(read_results(root / "results")), request, Console(quiet=True))


_begun = 0.0


def _told(what: str) -> None:
    print(f"    {what} after {time.perf_counter() - _begun:.1f} s", flush=True)


STAGES: dict[str, Callable[[Path], None]] = {
    "open": _stage_open,
    "list": _stage_list,
    "identity": _stage_identity,
    "part": _stage_part,
    "merge": _stage_merge,
    "tables": _stage_tables,
}


def _memory() -> int:
    """Bytes of this process that are of no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def _run(stage: str, root: Path, told: Connection) -> None:
    global _begun
    peak, over = [_memory()], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak.append(max(peak.pop(), _memory()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    _begun = time.perf_counter()
    before = time.process_time()
    STAGES[stage](root)
    took = time.perf_counter() - _begun, time.process_time() - before
    over.set()
    watcher.join()
    told.send((*took, peak[0]))


def measure(stage: str, root: Path) -> tuple[float, float, int]:
    """Seconds, those of a core, and the peak of bytes of a stage in a process of its own."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_run, args=(stage, root, theirs))
    process.start()
    theirs.close()
    try:
        found: tuple[float, float, int] = ours.recv()
    finally:
        process.join()
    return found


def seconds_per_image(height: int, width: int, num: int = 8) -> dict[str, float]:
    """Of reading both files and counting, on images of blobs as large as real ones, of one core."""
    import cv2

    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    small = rng.integers(0, 19, (num, height // 16, width // 16), dtype=np.uint8)
    total = dict.fromkeys(("read", "count"), 0.0)
    path = Path(tempfile.gettempdir()) / f"many-predictions-{os.getpid()}.png"
    for blobs in small:
        truth = cv2.resize(blobs, (width, height), interpolation=cv2.INTER_NEAREST)
        noise = rng.random(truth.shape) < 0.02
        prediction = np.where(noise, np.uint8(0), np.roll(truth, 3, axis=1))
        Image.fromarray(prediction).save(path)
        begun = time.process_time()
        for _ in range(2):  # the label, and the prediction
            with Image.open(path) as file:
                found = np.array(file)
        total["read"] += time.process_time() - begun
        begun = time.process_time()
        count(truth, found, 19)
        total["count"] += time.process_time() - begun
    path.unlink()
    return {what: seconds / num for what, seconds in total.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--stages", nargs="*", default=[*STAGES], choices=STAGES)
    parser.add_argument("--folder", type=Path, required=True, help="is made, and removed")
    args = parser.parse_args()
    begun = time.perf_counter()
    num = args.images // PARTS * PARTS  # parts of one size
    build(args.folder, num)
    print(f"{num} images are there after {time.perf_counter() - begun:.0f} s", flush=True)
    for stage in args.stages:
        seconds, core, peak = measure(stage, args.folder)
        line = f"{stage:10} {seconds:8.1f} s, {core:8.1f} s of a core, {peak / 1e6:8.0f} MB"
        print(line, flush=True)
    print(f"part file  {(args.folder / 'part.npz').stat().st_size / 1e6:.2f} MB")
    results = [path for path in (args.folder / "results").rglob("*") if path.is_file()]
    for path in results:
        print(f"{path.name:14} {path.stat().st_size / 1e6:.2f} MB")
    shutil.rmtree(args.folder)
    for size in ((360, 480), (1024, 2048)):
        print(size, {k: round(v, 4) for k, v in seconds_per_image(*size).items()})


if __name__ == "__main__":
    main()
