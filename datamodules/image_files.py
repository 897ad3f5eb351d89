"""Data sets that lie on disk as image and label files: their samples, and reading them."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, NamedTuple, TypeVar

import cv2
import numpy as np
import platformdirs
from PIL import Image

from datamodules.image_decoding import (
    DecodingError,
    is_png,
    label_pixels,
    open_image,
    photograph_pixels,
)
from datamodules.labels import (
    IGNORE,
    AbsentError,
    DataError,
    LabelSet,
    RawLabels,
    UInt8,
    occurring,
)
from datamodules.palettes import agrees, contradiction

T = TypeVar("T")


def cache_home() -> Path:
    """Where decoded copies and reports of checks are kept: SEGMENTATION_LAB_CACHE, if set."""
    named = os.environ.get("SEGMENTATION_LAB_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("segmentation-lab")


class Sample(NamedTuple):
    """An image with its labels."""

    id: str
    """Unique in its split, and the name of the prediction's file."""
    group: str
    """Clip, drive, city or scene: what neighbouring, and so dependent, images share."""
    image: Path
    mask: Path | None
    """The file that holds its labels; None where they are not public."""
    second: float | None = None
    """When a frame of a video was taken, from the start of its group."""


def read_ids(sample: Sample) -> RawLabels:
    """The ids of a label file of one channel, (H, W), 8 or 16 bits; a palette is not applied.

    Raises:
        DataError: a file that cannot be read, or one of several channels.
    """
    path = sample.mask
    assert path is not None
    pixels, palette = read_labels(path)
    if pixels.ndim != 2 or pixels.dtype.kind != "u":
        channels = pixels.shape[2] if pixels.ndim > 2 else 1
        raise DataError(
            f"{path} has {channels} channels of type {pixels.dtype}: labels are single-channel ids "
            "of 8 or 16 bits (modes L, P, I;16)"
        )
    return RawLabels(pixels, path, palette)


class ImageFileDataset:
    """One split of a data set whose images and labels are files, read when asked for.

    Args:
        read_labels: reads those of a sample; has to be picklable, for the processes that read.
        notes: what was found out on opening and a user should know, as the kind of labels.
        annotation_files: those beside the samples' own that decide over labels, as COCO's JSON.
    """

    def __init__(
        self,
        labels: LabelSet,
        samples: Sequence[Sample],
        read_labels: Callable[[Sample], RawLabels] = read_ids,
        *,
        notes: Sequence[str] = (),
        annotation_files: Sequence[Path] = (),
    ) -> None:
        self.labels, self.samples, self.read_labels = labels, list(samples), read_labels
        self.notes, self.annotation_files = list(notes), list(annotation_files)
        self.ids = [sample.id for sample in samples]
        self.groups = [sample.group for sample in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        image, mask = self.image(index), self.mask(index)
        if image.shape[:2] != mask.shape:
            sample = self.samples[index]
            raise DataError(
                f"{sample.image} is {_size(image)} but its label {sample.mask} is {_size(mask)}: "
                "both must have one size; fetch the pair again"
            )
        return image, mask

    def image(self, index: int) -> UInt8:
        """(H, W, 3) RGB."""
        check_regular(self.samples[index].image)
        return read_image(self.samples[index].image)

    def mask(self, index: int) -> UInt8:
        """(H, W) class indices; all ignore where there are no labels."""
        sample = self.samples[index]
        if sample.mask is None:
            return np.full(self.image(index).shape[:2], IGNORE, np.uint8)
        check_regular(sample.mask)
        return self.classes(self.read_labels(sample))

    def classes(self, raw: RawLabels) -> UInt8:
        """Class indices (H, W), with 255 for ignore, of what a label file holds.

        Raises:
            DataError: a value that the table does not list, or a palette that contradicts it.
        """
        mask = self.labels.to_train(raw)
        check_palette(raw, self.labels)
        return mask

    def fingerprint(self) -> str:
        """A hash of the label table and of each id with the bytes of its files."""
        rows = [
            (s.id, file_hash(s.image), file_hash(s.mask) if s.mask else "") for s in self.samples
        ]
        return self.identity(rows)

    def identity(self, rows: Sequence[tuple[str, str, str]]) -> str:
        """`fingerprint`, for whoever has the hashes: id, that of the image and that of the labels.

        Args:
            rows: one a sample, in their order.
        """
        annotations = [file_hash(path) for path in self.annotation_files]
        facts = (self.labels.labels, list(rows), annotations)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def check_palette(raw: RawLabels, labels: LabelSet) -> None:
    """Refuse a palette that contradicts a label table.

    Raises:
        DataError: it gives an id that occurs the colour of another label.
    """
    if agrees(raw.palette, labels.colour_rows):  # so that no look at the pixels is needed
        return
    wrong = contradiction(raw.palette, labels.colour_rows, occurring(raw.ids))
    if wrong:
        names = {label.id: label.name for label in labels.labels}
        (id, name), (other, painted) = ((i, names[i]) for i in wrong)
        raise DataError(
            f"{raw.path} has a palette that contradicts the label table: id {id} is {name}, its "
            f"colour in the file is that of {painted}, id {other}: save the mask as grey ids, "
            "without a palette, or painted in the table's colours (RGB)"
        )


def check_regular(path: Path) -> None:
    """Refuse what a reader would wait for without an end, as a pipe; not what is not there.

    Raises:
        DataError: a pipe, a socket, a device or a folder.
    """
    try:
        regular = S_ISREG(os.stat(path).st_mode)
    except OSError:
        return
    if not regular:
        raise DataError(f"{path} is no regular file: fetch it again")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, shortened; read again only once size or time of change differ.

    Raises:
        DataError: a file that is not there or cannot be read.
    """
    try:
        check_regular(path)
        stat = os.stat(path)
        return _file_hash(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): fetch it again") from None


@lru_cache(maxsize=64)  # for label files that many images share
def _file_hash(path: Path, size: int, modified: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def read_image(path: Path) -> UInt8:
    """An image file as RGB (H, W, 3): turned as its EXIF data say, without alpha, 8 bits.

    Of 16 bits the upper 8 are taken, whatever the range that is used: a scale of its own for each
    image, or for each folder, would show one brightness as many. Of more bands the first three are.

    Raises:
        DataError: a file that is not there, is damaged, too large or is no image.
    """
    if path.suffix.lower() == ".png" and _attempt(path, lambda: is_png(path)):
        # A tenth faster than Pillow; what it cannot read, Pillow says more about. Of other content
        # it shows the first picture of several, or half of one that was cut, without a word.
        pixels = cv2.imread(os.fspath(path), cv2.IMREAD_COLOR_RGB)
        if pixels is not None:
            return pixels.astype(np.uint8, copy=False)
    return _rgb(read_pixels(path, upright=True))


def read_pixels(path: Path, *, upright: bool = False) -> np.ndarray:
    """The pixels of a file as they are: (H, W) or (H, W, channels), 8 or 16 bits; ids of palettes.

    Args:
        upright: of a photograph, which EXIF data may turn and which may be lossy; else of labels.

    Raises:
        DataError: a file that is not there, is damaged, too large or is no image; labels that are
            turned or lossy.
    """
    if upright:
        return decoded(path, photograph_pixels, photograph=True)
    return read_labels(path)[0]


def read_labels(path: Path) -> tuple[np.ndarray, bytes]:
    """As `read_pixels`, of labels, with the RGB of each index of a palette; empty without one."""
    pixels, palette = decoded(path, label_pixels, photograph=False)
    return (pixels.astype(np.uint8) if pixels.dtype == bool else pixels), palette


def read_colours(path: Path) -> UInt8:
    """The colours (H, W, 3) of a label file that is painted or has a palette.

    Raises:
        DataError: as `read_pixels`.
    """
    pixels, palette = read_labels(path)
    if palette:
        return apply_palette(pixels, palette)
    return _rgb(pixels[..., :3] if pixels.ndim == 3 and pixels.shape[2] > 2 else pixels)


def apply_palette(ids: np.ndarray, palette: bytes) -> UInt8:
    """The colours (H, W, 3) of a palette's indices (H, W); black beyond its end."""
    colours: UInt8 = np.frombuffer(palette.ljust(768, b"\0"), np.uint8).reshape(-1, 3)[ids]
    return colours


def decoded(
    path: Path, decode: Callable[[Image.Image, BinaryIO, Path], T], *, photograph: bool
) -> T:
    """What `decode` makes of an image file of one page.

    Raises:
        DataError: as `read_pixels`.
    """

    def read() -> T:
        # From a stream: of a path, Pillow maps plain TIFFs and then turns them wrongly.
        with path.open("rb") as stream, open_image(stream, path, photograph=photograph) as file:
            pages = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)
            if pages > 1:  # but those of a telephone's MPO, of which the first is the photograph
                raise DataError(f"{path} has {pages} pages: save each as a file of its own")
            return decode(file, stream, path)

    return _attempt(path, read)


def _attempt(path: Path, read: Callable[[], T]) -> T:
    """What `read` returns, or what is wrong in a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that Pillow leaves out
            return read()
    except DataError:
        raise
    except DecodingError as error:
        raise DataError(str(error)) from None
    except (MemoryError, Exception) as error:  # whatever a damaged file makes a decoder raise
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}): fetch the file again") from None


def _rgb(pixels: np.ndarray) -> UInt8:
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    rgb: UInt8 = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    return rgb


def listed(path: Path, what: str, how: str) -> list[str]:
    """The lines of a list of a split that are not empty, without blanks around them.

    Raises:
        DataError: no such file, or nothing in it.
    """
    if not path.is_file():
        raise AbsentError(f"no {what} at {path.parent.absolute()} (looked for {path.name}): {how}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8: save it as such") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): {how}") from None
    if "\0" in text:
        raise DataError(f"{path} is no text, as it holds zero bytes: {how}")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{path} lists no images: {how}")
    return lines


def check_split(name: str, split: str, splits: Sequence[str]) -> None:
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}: name one of {', '.join(splits)}")


def check_root(name: str, root: Path | None, how: str) -> Path:
    if root is None:
        raise DataError(f"{name} needs a folder and none was given: {how}")
    try:
        os.stat(root)
    except (FileNotFoundError, NotADirectoryError):
        return root  # what is to lie in it is not there either, which says more
    except (OSError, ValueError) as error:  # a loop of links, a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{str(root)!a} cannot be opened ({reason}): {how}") from None
    return root


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
