"""What images have in common, within a split and across splits: pictures, views, clips.

A score on an image that training shows too, or shows a moment later, says little about others.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.image_files import Sample
from datamodules.validation.image_checks import Finding, ImageCheck

# Bits of 64 by which perceptual hashes of one view may differ. At 8, all of CamVid's neighbours at
# 15 Hz are one view, of those a second apart 15 %, of those ten seconds apart 6 % (the car waits),
# and none of the 171,779 pairs of frames from different clips, of which the nearest differ by 10.
NEAR = 8
# Seconds between frames of one stretch of video: frames at 1 Hz make one, though one be left out.
GAP = 2.0
CHUNK_PAIRS = 1 << 22  # pairs of hashes compared at a time, in 32 MB

Hashes = npt.NDArray[np.uint64]


class CheckedImage(NamedTuple):
    """An image and what its check has found."""

    sample: Sample
    check: ImageCheck


class Split(NamedTuple):
    name: str
    images: Sequence[CheckedImage]


class Clip(NamedTuple):
    """What a split shows of a group; stretches and seconds are 0 where it is no video."""

    name: str
    images: int
    stretches: int
    seconds: float

    @property
    def things(self) -> str:
        thing = "frame" if self.stretches else "image"
        return f"{self.images} {thing}{'' if self.images == 1 else 's'}"

    @property
    def rate(self) -> float:
        """Frames a second."""
        return (self.images - self.stretches) / self.seconds

    def __str__(self) -> str:
        if not self.stretches:
            return f"{self.things} of group {self.name}"
        if not self.seconds:
            return f"{self.things} of clip {self.name}"
        time = f"{self.seconds:.{1 if self.seconds < 10 else 0}f}"
        if self.stretches == 1:
            return f"{self.things} of one {time}-second stretch of clip {self.name}"
        return f"{self.things} of {self.stretches} stretches of clip {self.name}, {time} s in all"


def leakage(splits: Sequence[Split], nested: Collection[tuple[str, str]]) -> Iterator[Finding]:
    """What splits repeat, and what they share unless one is meant to be a part of the other.

    Args:
        nested: pairs of splits, of which the first is a part of the second.
    """
    for split in splits:
        yield from _repeated(split)
    for earlier, later in combinations(splits, 2):
        parts = [{a for a, b in nested if b == split.name} for split in (earlier, later)]
        meant = earlier.name in parts[1] or later.name in parts[0]
        third = parts[0] & parts[1]  # two that hold it overlap by it
        same = _samples(earlier) == _samples(later)
        if not (meant or third or same):  # the same: one serves as the other, which was not given
            yield from _shared(earlier, later)
            yield from _resembling(earlier, later)
            yield from _same_groups(earlier, later)


def _samples(split: Split) -> list[Sample]:
    return [image.sample for image in split.images]


def _repeated(split: Split) -> Iterator[Finding]:
    """Names that occur twice, each an error, and pictures that do, in one warning."""
    names: dict[str, CheckedImage] = {}
    pictures: dict[str, CheckedImage] = {}
    copies = []
    for image in split.images:
        path, content = str(image.sample.image), image.check.content
        other = names.setdefault(image.sample.id, image)
        if other is not image:
            text = (
                f"is named {image.sample.id} in {split.name}, as {other.sample.image} is: "
                "predictions are written by that name, so rename one or take it off the list"
            )
            yield Finding("error", "same name", path, text)
        if content and pictures.setdefault(content, image) is not image:
            copies.append((path, pictures[content].sample.image))
    if copies:
        text = (
            f"shows what {copies[0][1]} shows: {split.name} repeats {len(copies)} of its "
            f"{len(split.images)} images"
        )
        yield Finding("warning", "repeated image", copies[0][0], text)


def _shared(earlier: Split, later: Split) -> Iterator[Finding]:
    """Images whose decoded pixels are those of one of the earlier split, however encoded."""
    pictures = {image.check.content: image.sample.image for image in earlier.images}
    for image in later.images:
        if image.check.content and image.check.content in pictures:
            text = (
                f"of {later.name} shows what {pictures[image.check.content]} of {earlier.name} "
                "shows: take it out of one of them"
            )
            yield Finding("error", "shared image", str(image.sample.image), text)


def _resembling(earlier: Split, later: Split) -> Iterator[Finding]:
    """Images that are nearly, but not quite, one of the earlier split."""
    pictures = {image.check.content for image in earlier.images}
    these = [image for image in _comparable(later) if image.check.content not in pictures]
    those = _comparable(earlier)
    if not these or not those:
        return
    distances, indices = nearest(_hashes(these), _hashes(those))
    near = np.flatnonzero(distances <= NEAR)
    if near.size:
        text = (
            f"resembles {those[indices[near[0]]].sample.image}: {len(near)} of the "
            f"{len(later.images)} images of {later.name} resemble one of {earlier.name} "
            f"(perceptual hashes at most {NEAR} of 64 bits apart)"
        )
        yield Finding("warning", "resemblance", str(these[near[0]].sample.image), text)


def _same_groups(earlier: Split, later: Split) -> Iterator[Finding]:
    """Clips, drives or scenes that both splits show, at most three of them named."""
    others = {clip.name: clip for clip in clips(earlier)}
    shown = clips(later)
    both = [clip for clip in shown if clip.name in others]
    if both:
        parts = [f"{clip}, of which {earlier.name} has {others[clip.name].things}" for clip in both]
        more = f"; and {len(both) - 3} more" if len(both) > 3 else ""
        verb = "is" if len(shown) == 1 else "has"
        text = f"{later.name} {verb} {'; '.join(parts[:3])}{more}"
        yield Finding("warning", "same group", "", text)


def clips(split: Split) -> list[Clip]:
    """The groups of a split, by their names."""
    groups: dict[str, list[float | None]] = defaultdict(list)
    for image in split.images:
        groups[image.sample.group].append(image.sample.second)
    all_clips = []
    for name, seconds in sorted(groups.items()):
        times = np.sort([second for second in seconds if second is not None])
        steps = np.diff(times)
        video = len(times) == len(seconds)
        stretches = 1 + int((steps > GAP).sum()) if video else 0
        all_clips.append(Clip(name, len(seconds), stretches, float(steps[steps <= GAP].sum())))
    return all_clips


def num_views(split: Split) -> int:
    """Images, clip by clip in order of time, that are near to none of the views before."""
    order = sorted(_comparable(split), key=lambda i: (i.sample.group, i.sample.second or 0.0))
    views = np.empty(len(order), np.uint64)
    num = 0
    for view in _hashes(order):
        if not (np.bitwise_count(views[:num] ^ view) <= NEAR).any():
            views[num] = view
            num += 1
    return num


def nearest(these: Hashes, those: Hashes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """For each of `these` the distance in bits to the nearest of `those`, and its index."""
    rows = max(1, CHUNK_PAIRS // len(those))
    distances = np.empty(len(these), np.uint8)
    indices = np.empty(len(these), np.intp)
    for start in range(0, len(these), rows):
        part = slice(start, start + rows)
        bits = np.bitwise_count(these[part, None] ^ those)
        indices[part] = bits.argmin(1)
        distances[part] = bits.min(1)
    return distances, indices


def _comparable(split: Split) -> list[CheckedImage]:
    return [image for image in split.images if image.check.view is not None]


def _hashes(images: Sequence[CheckedImage]) -> Hashes:
    return np.array([image.check.view for image in images], np.uint64)
