"""Lists of a split as people and tools write them, each line taken as the image that it names.

A line is the path of an image below images/, with or without its suffix; or, as darknet, YOLO and
PaddleSeg have it, from the folder that holds images/, or absolute, and may be followed by its mask.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from datamodules.file_names import one_form
from datamodules.image_files import listed
from datamodules.labels import DataError

# Those of images and masks; of what follows a last dot, nothing else is taken for a suffix.
SUFFIXES = frozenset({".png", ".tif", ".tiff", ".webp", ".bmp", ".jpg", ".jpeg"})

SPLIT_NAMES = {  # that people give to the folders and files of splits
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}


def name_of(path: str) -> str:
    """A path, of a file or in a list, without the suffix of an image, in one form of Unicode."""
    is_image = PurePosixPath(path).suffix.lower() in SUFFIXES
    return one_form(path.rpartition(".")[0] if is_image else path)


def plain_path(text: str) -> str:
    """A path in a list, as a walk through the folder writes it."""
    return os.path.normpath(text.replace("\\", "/")) if text else ""


def listed_images(
    root: Path, path: Path, how: str, images: Sequence[str], masks: dict[str, str]
) -> list[str]:
    """The images of a list, there or not, in its order.

    Args:
        how: to go on without a list.
        images: those that are there, below images/.
        masks: files below masks/ by the names of their images.

    Raises:
        DataError: no list; or a line that names a file outside `root`, or another mask than the
            one that has its image's name.
    """
    lines = _Lines(root, path, images, masks)
    chosen = [image for line in listed(path, "list of a split", how) for image in lines.read(line)]
    if not chosen:
        raise DataError(f"{path} lists no images: list one a line")
    return chosen


class _Lines:
    """The lines of one list, read with what is there."""

    def __init__(
        self, root: Path, path: Path, images: Sequence[str], masks: dict[str, str]
    ) -> None:
        self.root, self.path, self.masks = root, path, masks
        self.inside = [name for name in ("images", "masks") if (root / name / name).is_dir()]
        self.whole = {one_form(image): image for image in images}
        self.by_name: dict[str, list[str]] = {}
        for image in images:
            self.by_name.setdefault(name_of(image), []).append(image)

    def read(self, line: str) -> list[str]:
        """The images of a line: one, none of a comment, several of a name that several have."""
        if images := self._there(line) or self._pair(line):
            return images
        if line.startswith("#"):
            return []
        path = self._below(line, "images")
        bare = path == name_of(path)
        return [f"{path}.png" if bare else path]  # not there, which the check says

    def _there(self, text: str) -> list[str]:
        """Images that are there and that the text names."""
        plain = one_form(plain_path(text))
        if plain not in self.whole and plain not in self.by_name:
            plain = one_form(self._below(text, "images", strict=False))
        return [self.whole[plain]] if plain in self.whole else self.by_name.get(plain, [])

    def _pair(self, line: str) -> list[str]:
        """The image of a line that goes on with its mask."""
        for gap in re.finditer(r"[\s,;]+", line):
            image, mask = line[: gap.start()], line[gap.end() :]
            images = self._there(image) if image and mask else []
            if images and (plain_path(mask).startswith("/") or PureWindowsPath(mask).suffix):
                self._check_mask(line, images[0], one_form(self._below(mask, "masks")))
                return images
        return []

    def _check_mask(self, line: str, image: str, mask: str) -> None:
        by_name = self.masks.get(name_of(image), f"{name_of(image)}.png")
        if one_form(by_name) != mask:
            raise DataError(
                f"{self.path} has the line {line!r}, and the mask of an image is that of its name, "
                f"here masks/{by_name}: rename the mask, or list the image alone"
            )

    def _below(self, text: str, name: str, *, strict: bool = True) -> str:
        """A path below images/ or masks/, of one that may start at the root or be absolute.

        Raises:
            DataError: one that lies elsewhere, if `strict`.
        """
        plain = plain_path(text)
        windows = bool(PureWindowsPath(text).drive)
        if plain.startswith("/") and not windows:
            for top in dict.fromkeys((self.root / name, (self.root / name).resolve())):
                real = Path(plain) if Path(plain).is_relative_to(top) else Path(plain).resolve()
                if real.is_relative_to(top):
                    return real.relative_to(top).as_posix()
        elif not windows and plain.split("/")[0] != "..":
            # From a folder above the root; of a blank there, another path may have begun.
            inner = re.sub(rf"^(\S*/)?{re.escape(self.root.name)}/{name}/", "", plain)
            return inner if name in self.inside else inner.removeprefix(f"{name}/")
        if strict:
            raise DataError(
                f"{self.path} has the line {text!r}, which is not below {self.root / name}: list "
                "paths from there on, as a/01.png"
            )
        return plain
