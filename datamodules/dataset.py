"""What a data set is: the contract of a split, and what a published one says of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from datamodules.labels import LabelSet, UInt8


class Dataset(Protocol):
    """One split of a data set.

    `ids` are unique and become file names; `groups` name the clip, drive or city of each image,
    because neighbouring frames are not independent.
    """

    labels: LabelSet
    ids: list[str]
    groups: list[str]

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        """Image (H, W, 3) RGB and mask (H, W) of class indices with 255 for ignore."""
        ...

    def mask(self, index: int) -> UInt8:
        """The mask alone, (H, W), at the file's own size."""
        ...

    def fingerprint(self) -> str:
        """A hash of everything that this split holds: file names, bytes, or the generator."""
        ...


Progress = Callable[[int, int], None]  # is called with what is done and what there is to do


class Download(NamedTuple):
    """A file that may be fetched without an account."""

    url: str
    target: str
    """Where it goes under the root; an archive (.zip, .tar, .tgz) is unpacked there."""
    size: int
    """Bytes."""
    digest: str
    """As `sha256:...`, `sha1:...` or `md5:...`, whichever its authors or users have published."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What a published data set is, where it comes from and how it has to lie on disk."""

    title: str
    source: str
    """The paper."""
    licence: str
    tree: str
    """The files below the root that are needed, as an indented list."""
    counts: dict[str, int]
    """Published number of images of each split; empty for a user's own data."""
    steps: str
    """How to get it, in a sentence that follows a colon."""
    test_split: str = "test"
    """The split that is scored where a recipe was made for another data set."""
    splits: Callable[[Path], Sequence[str]] | None = None
    """Finds the splits below a root, where they are not those of `counts`."""
    nested: frozenset[tuple[str, str]] = frozenset()
    """Pairs of splits of which the first is meant to be a part of the second."""
    block: int | None = 1
    """Neighbouring images of a group that statistics resample together, because they resemble each
    other: 1 for independent photos, None for whole groups."""
    downloads: Callable[[], Sequence[Download]] = field(default=tuple)
