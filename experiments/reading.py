"""How fast one process reads training crops, against what is usually done.

  python -m experiments.reading

Makes pairs of 2048x1024 PNGs with the statistics of photographs, at least 2 MB
an image, and reads random crops of 512x1024 at scales of 0.5 to 2, one way
after the other, several rounds, each in a process of its own:

  albumentations  decode with OpenCV, scale the whole image, crop, normalise
  torchvision     the same with torchvision's decoder and transforms v2
  files           ours, from the PNGs
  cache           ours, from the decoded copy

Ours gives bytes: normalising is left to the device.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from datamodules.datasets.cityscapes import CITYSCAPES
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.imagenet_statistics import MEAN, STD
from datamodules.loading.cache import DecodedCopy, open_decoded
from datamodules.loading.cache_writer import build
from datamodules.loading.transforms import Augmentation
from datamodules.parent_process import end_with_parent
from experiments.reporting.console import PlainConsole
from experiments.trials import command_line as ask
from experiments.trials.atomic_io import check_writable, write_json
from experiments.trials.environment import ALLOCATOR

SIZE, CROP, SCALE = (1024, 2048), (512, 1024), (0.5, 2.0)

Reader = Callable[[int, int], object]  # (epoch, index) to a sample


def field(rng: np.random.Generator, size: tuple[int, int], power: float) -> np.ndarray:
    """Random values (H, W) of mean 0 and deviation 1, with amplitudes of 1 / frequency^power."""
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(size)) / frequency**power
    values: np.ndarray = np.fft.irfft2(spectrum, s=size)
    values /= values.std()
    return values


def photograph(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """RGB (H, W, 3) whose amplitudes fall as 1 / frequency, as those of photographs do.

    Field: Relations between the statistics of natural images, JOSA A 1987. The channels share most
    of their structure, and a grey level of noise stands for the camera's.
    """
    shared = field(rng, size, 1)
    channels = [128 + 50 * (shared + 0.3 * field(rng, size, 1)) / np.hypot(1, 0.3) for _ in "rgb"]
    noisy = np.stack(channels, axis=-1) + rng.normal(0, 1, (*size, 3))
    pixels: np.ndarray = noisy.round().clip(0, 255).astype(np.uint8)
    return pixels


def make_pairs(folder: Path, number: int, size: tuple[int, int] = SIZE) -> ImageFileDataset:
    """PNGs of photographs, and of label maps whose regions have smooth outlines."""
    samples = []
    for index in range(number):
        rng = np.random.default_rng(index)
        image, mask = folder / f"{index}.png", folder / f"{index}_ids.png"
        Image.fromarray(photograph(rng, size)).save(image)
        ids = (20 + 6 * field(rng, size, 2)).clip(7, 33)  # those that Cityscapes scores
        Image.fromarray(ids.astype(np.uint8)).save(mask)
        samples.append(Sample(str(index), str(index), image, mask))
    return ImageFileDataset(CITYSCAPES, samples)


def albumentations_reader(data: ImageFileDataset) -> Reader:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A
    import cv2

    cv2.setNumThreads(0)
    transform = A.Compose(
        [
            A.RandomScale((SCALE[0] - 1, SCALE[1] - 1), interpolation=cv2.INTER_LINEAR, p=1),
            A.RandomCrop(*CROP, pad_if_needed=True),
            A.HorizontalFlip(),
            A.Normalize(MEAN, STD),
        ]
    )

    def read(epoch: int, index: int) -> object:
        sample = data.samples[index]
        image = cv2.imread(os.fspath(sample.image), cv2.IMREAD_COLOR_RGB)
        mask = cv2.imread(os.fspath(sample.mask or ""), cv2.IMREAD_UNCHANGED)
        return transform(image=image, mask=mask)

    return read


def torchvision_reader(data: ImageFileDataset) -> Reader:
    import torch
    from torchvision import tv_tensors
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    transform = v2.Compose(
        [
            v2.ScaleJitter(SIZE, SCALE, antialias=False),
            v2.RandomCrop(CROP, pad_if_needed=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def read(epoch: int, index: int) -> object:
        sample = data.samples[index]
        image = decode_image(os.fspath(sample.image), ImageReadMode.RGB)
        mask = decode_image(os.fspath(sample.mask or ""))
        return transform(tv_tensors.Image(image), tv_tensors.Mask(mask))

    return read


def our_reader(data: ImageFileDataset | DecodedCopy) -> Reader:
    # Torch takes seconds, which `--help` does not need.
    from datamodules.loading.samples import TrainData

    stream = TrainData(data, seed=0, augmentation=Augmentation(CROP, SCALE, True, "none"))
    return lambda epoch, index: stream[epoch, index]


def cache_reader(data: ImageFileDataset) -> Reader:
    copy = open_decoded(data.labels, _copy(data), data.fingerprint(), "make it again")
    assert copy is not None
    return our_reader(copy)


READERS: dict[str, Callable[[ImageFileDataset], Reader]] = {
    "albumentations": albumentations_reader,
    "torchvision": torchvision_reader,
    "files": our_reader,
    "cache": cache_reader,
}


def _copy(data: ImageFileDataset) -> Path:
    return data.samples[0].image.parent / "decoded"


def _time(data: ImageFileDataset, name: str, number: int) -> tuple[list[float], int]:
    """Seconds of each of `number` crops after a first pass, and bytes of private memory."""
    import psutil

    warnings.simplefilter("ignore")  # of those we compare with
    read = READERS[name](data)
    size = len(data)
    idle = psutil.Process().memory_full_info().uss
    for index in range(size):
        read(0, index)
    seconds, most = [], idle
    for position in range(number):
        epoch = 1 + position // size
        index = int(np.random.default_rng([0, epoch]).permutation(size)[position % size])
        start = time.perf_counter()
        read(epoch, index)
        seconds.append(time.perf_counter() - start)
        most = max(most, psutil.Process().memory_full_info().uss)
    return seconds, most - idle


def measure(data: ImageFileDataset, number: int, rounds: int) -> dict[str, dict[str, float]]:
    """images_per_second and private_mb of each way, by the median crop of all rounds."""
    os.environ.update(ALLOCATOR)  # as `compare` starts trials, for every way alike
    context = multiprocessing.get_context("spawn")
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    memory = dict.fromkeys(READERS, 0)
    for _ in range(rounds):
        for name in READERS:
            with ProcessPoolExecutor(1, context, end_with_parent) as pool:
                part, private = pool.submit(_time, data, name, number).result()
            seconds[name] += part
            memory[name] = max(memory[name], private)
    return {
        name: {
            "images_per_second": round(1 / statistics.median(values), 2),
            "private_mb": round(memory[name] / 1e6, 1),
        }
        for name, values in seconds.items()
    }


def _parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, some = parser.add_argument, ask.whole(1, 10_000)
    add("--images", type=some, default=12, metavar="N", help="pairs to make (default: 12)")
    add("--crops", type=some, default=48, metavar="N", help="crops a round (default: 48)")
    add("--rounds", type=some, default=3, metavar="N", help="(default: 3)")
    add("--output", type=ask.file, metavar="FILE", help="also write the figures as JSON")
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 with the figures on the terminal, 2 where files cannot be written, 130 if stopped."""
    args, console = _parser().parse_args(argv), PlainConsole()
    try:
        if args.output:
            check_writable(args.output.parent)
        with tempfile.TemporaryDirectory() as folder:
            console.print(f"making {args.images} pairs of PNGs ...")
            data = make_pairs(Path(folder), args.images)
            least = min(sample.image.stat().st_size for sample in data.samples)
            build(data, [SIZE] * len(data), data.fingerprint(), _copy(data))
            figures = measure(data, args.crops, args.rounds)
        console.print(_table(figures, least))
        if args.output:
            write_json(args.output, {"smallest_png_mb": round(least / 1e6, 2), "readers": figures})
    except (OSError, ValueError) as error:
        ask.complain(error)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _table(figures: dict[str, dict[str, float]], least: int) -> Table:
    usual = max(figures[name]["images_per_second"] for name in ("albumentations", "torchvision"))
    table = Table(title=f"one process, PNGs of at least {least / 1e6:.1f} MB")
    for title in ("", "images/s", "of the better usual way", "private MB above its start"):
        table.add_column(title, justify="right" if title else "left")
    for name, row in figures.items():
        speed = row["images_per_second"]
        table.add_row(name, f"{speed:.1f}", f"{speed / usual:.2f}", f"{row['private_mb']:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
