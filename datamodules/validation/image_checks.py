"""One look at each image and its labels: what is wrong with them, and what to compare them by."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

import imagehash
import numpy as np
from PIL import Image

from datamodules.dataset import Dataset
from datamodules.image_decoding import has_16_bits, open_image, photograph_pixels
from datamodules.image_files import ImageFileDataset, check_regular, decoded, file_hash
from datamodules.labels import IGNORE, DataError, LabelSet, RawLabels, UInt8, value_counts
from datamodules.parent_process import WAS_KILLED, end_with_parent
from datamodules.validation.traits import image_traits, label_traits, palette_colours, used_bits

_FEW = 64  # pairs, below which starting processes takes longer than reading them here

Place = tuple[int, int]  # position of a split in a list of them, and an index in it
T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """A fault, which refuses a data set (level error), or what its user should know (warning)."""

    level: Literal["error", "warning"]
    kind: str
    file: str
    """Below the root; empty where it is about a whole split."""
    text: str
    """What follows the file's name."""

    def __str__(self) -> str:
        return f"{self.file} {self.text}".lstrip()


@dataclass(frozen=True)
class ImageCheck:
    """What is wrong with an image and its labels, and what to compare them with others by."""

    findings: list[Finding]
    size: tuple[int, int] | None = None
    """Height and width; None where the image cannot be read."""
    content: str | None = None
    """Hash of the decoded pixels; None where they show nothing, being of one colour."""
    view: int | None = None
    """Perceptual hash of 64 bits, None with `content`."""
    pixels: list[int] | None = None
    """Count of each class, and of ignore at the end; None without labels."""
    files: tuple[str, str] | None = None
    """Hashes of the image's and the labels' bytes, empty without labels; None if not readable."""
    traits: list[str] = field(default_factory=list)
    """What is no fault but tells much beside other files (`validation.traits`)."""
    bits: int | None = None
    """Of 16 those that are used; None for an image of 8."""
    colours: dict[str, str] = field(default_factory=dict)
    """What a palette paints each id in that occurs, as #ff8000."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ImageCheck":
        """From what `dataclasses.asdict` makes of one, through JSON, which has no tuples."""
        pairs = {name: value[name] and tuple(value[name]) for name in ("size", "files")}
        findings = [Finding(**finding) for finding in value["findings"]]
        return cls(**{**value, **pairs, "findings": findings})


def inspect_all(
    data: Sequence[Dataset],
    places: Sequence[Place],
    jobs: int | None = None,
) -> Iterator[ImageCheck]:
    """A check for each place, in their order; what is not files is read in this process."""
    if (
        len(places) < _FEW
        or jobs == 1
        or not all(isinstance(split, ImageFileDataset) for split in data)
    ):
        yield from (inspect(data[split], i) for split, i in places)
        return
    workers = jobs or min(os.cpu_count() or 1, len(places) * 2 // _FEW)
    # Not forked: a progress display runs threads beside.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (list(data),))
    try:
        yield from pool.map(_run, places, chunksize=8)
    except BrokenProcessPool:
        raise DataError(WAS_KILLED) from None
    finally:
        pool.shutdown(cancel_futures=True)


_splits: list[Dataset] = []  # told to each process that reads once, because lists may be long


def _start(data: list[Dataset]) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it stops it
    _splits.extend(data)


def _run(place: Place) -> ImageCheck:
    return inspect(_splits[place[0]], place[1])


def inspect(data: Dataset, index: int) -> ImageCheck:
    """Decode an image and its labels in full; one finding for each fault."""
    findings: list[Finding] = []
    if not isinstance(data, ImageFileDataset):
        pair = _attempt("image", Path(data.ids[index]), lambda: _pair(data, index), findings)
        image, mask = pair or (None, None)
        return _describe(image, mask, data.labels, findings)
    sample = data.samples[index]
    photo = _attempt("image", sample.image, lambda: _decode(sample.image), findings)
    image = photo.pixels if photo else None
    mask = raw = None
    if sample.mask is not None:
        labels = _attempt("label", sample.mask, lambda: _labels(data, index), findings)
        raw, mask = labels or (None, None)
    if image is not None and mask is not None and image.shape[:2] != mask.shape:
        (height, width), (rows, columns) = image.shape[:2], mask.shape
        text = f"is {width}x{height} but its label {sample.mask} is {columns}x{rows}: both must "
        findings.append(Finding("error", "size", str(sample.image), text + "have one size"))
    check = _describe(image, mask, data.labels, findings)
    check.traits.extend([*(photo.traits if photo else []), *(label_traits(raw) if raw else [])])
    colours = palette_colours(raw) if raw else {}
    check = replace(check, bits=photo.bits if photo else None, colours=colours)
    try:
        files = file_hash(sample.image), file_hash(sample.mask) if sample.mask else ""
        return replace(check, files=files)
    except DataError:  # it has its finding
        return check


def _pair(data: Dataset, index: int) -> tuple[UInt8, UInt8]:
    """Of a data set that is not files, which may break the rules of one."""
    image, mask = data[index]
    id, classes = data.ids[index], data.labels.num_classes
    if image.shape != (*mask.shape, 3):
        raise DataError(f"{id} has an image {image.shape} and labels {mask.shape}: mend data[i]")
    if not np.array_equal(mask, data.mask(index)):
        raise DataError(f"{id} has other labels in mask(i) than in data[i]: mend one of them")
    wrong = np.setdiff1d(mask, [*range(classes), IGNORE])
    if wrong.size:
        raise DataError(f"{id} has the label {wrong[0]}, which is no class: map it in data[i]")
    return image, mask


def _attempt(kind: str, path: Path, read: Callable[[], T], findings: list[Finding]) -> T | None:
    """What `read` returns, or None and a finding."""
    try:
        return read()
    except FileNotFoundError:
        text = f"is missing: fetch this {kind}, or take its pair out of the split"
        kind = "missing"
    except OSError as error:
        text = f"cannot be read ({error.strerror or error}): fetch it again"
    except DataError as error:
        text = str(error).removeprefix(f"{path} ")
    except Exception as error:  # whatever a damaged file makes a decoder raise
        text = f"cannot be read ({type(error).__name__}: {error}): fetch it again"
    findings.append(Finding("error", kind, str(path), text))
    return None


class _Photo(NamedTuple):
    """RGB (H, W, 3), and what its file says beyond them."""

    pixels: UInt8
    traits: list[str]
    bits: int | None


def _look(file: Image.Image, stream: BinaryIO, path: Path) -> _Photo:
    deep, pixels = has_16_bits(file, stream), photograph_pixels(file, stream, path)
    bits = used_bits(pixels) if deep else None
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    rgb = np.asarray(Image.fromarray(pixels).convert("RGB"))
    return _Photo(rgb, image_traits(file), bits)


def _decode(path: Path) -> _Photo:
    """By Pillow alone: OpenCV's reader prints what it finds in a damaged PNG."""
    _present(path)
    photo = decoded(path, _look, photograph=True)
    with path.open("rb") as stream, open_image(stream, path, photograph=True) as file:
        file.verify()  # a PNG that lost its end may decode all the same
    return photo


def _labels(data: ImageFileDataset, index: int) -> tuple[RawLabels, UInt8]:
    path = data.samples[index].mask
    assert path is not None
    _present(path)
    raw = data.read_labels(data.samples[index])
    return raw, data.classes(raw)


def _present(path: Path) -> None:
    check_regular(path)
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty, a file of 0 bytes: fetch it again")


def _describe(
    image: UInt8 | None, mask: UInt8 | None, labels: LabelSet, findings: list[Finding]
) -> ImageCheck:
    size = content = view = pixels = None
    if image is not None:
        size = image.shape[:2]
        if (image != image[0, 0]).any():
            content = hashlib.sha256(repr(size).encode() + image.tobytes()).hexdigest()[:32]
            view = int(str(imagehash.phash(Image.fromarray(image))), 16)
    if mask is not None:
        counts = value_counts(mask)
        pixels = [*counts[: labels.num_classes].tolist(), int(counts[IGNORE])]
    return ImageCheck(findings, size, content, view, pixels)
