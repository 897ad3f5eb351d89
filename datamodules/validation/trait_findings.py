"""What files of a data set have in common that may mean something else than it seems."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from datamodules.image_files import Sample
from datamodules.labels import IGNORE, LabelSet
from datamodules.validation.image_checks import Finding, ImageCheck
from datamodules.validation.traits import BANDS, BLACK_AND_WHITE, IDS, PAINTED, TURNED

Checked = tuple[Sample, ImageCheck]

_FULL = 15  # of 16 bits: a camera's 10, 12 or 14 leave photographs dark
_SHARE = 0.1  # of the 16-bit images: from so many on it is the camera, below it is the night


def trait_findings(images: Sequence[Checked], labels: LabelSet) -> Iterator[Finding]:
    """Warnings of the images and labels of all splits."""
    photos = {sample.image: check for sample, check in images if check.size}
    masks = {s.mask: check for s, check in images if s.mask and _kind(check)}
    yield from _shared(
        "EXIF",
        photos,
        lambda check: TURNED in check.traits,
        "is turned or mirrored by its EXIF data and keeps its size {}: labels that were drawn "
        "on it as it lies in the file fit in size and are wrong, so look: data show",
    )
    yield from _shared(
        "bands",
        photos,
        lambda check: BANDS in check.traits,
        "has further bands {}, which are left out: the first three are red, green and blue",
    )
    yield from _narrow({path: check for path, check in photos.items() if check.bits})
    if any(map(_is_ids, masks.values())):
        yield from _shared(
            "mask kinds",
            masks,
            lambda check: PAINTED in check.traits,
            "is painted in colours {}, the others hold ids: see that both mean the same",
        )
    if all(label.train_id == IGNORE for label in labels.labels if label.id == IGNORE):
        yield from _shared(
            "0 and 255",
            masks,
            lambda check: BLACK_AND_WHITE in check.traits,
            "holds 0 and 255 alone {}, and 255 is not scored: if it means an object, list it "
            "as a class",
        )
    yield from _palettes({path: check.colours for path, check in masks.items() if check.colours})


def _kind(check: ImageCheck) -> bool:
    return bool({IDS, PAINTED}.intersection(check.traits))


def _is_ids(check: ImageCheck) -> bool:
    return IDS in check.traits


def _shared(
    kind: str,
    files: Mapping[Path, ImageCheck],
    holds: Callable[[ImageCheck], bool],
    text: str,
) -> Iterator[Finding]:
    """A warning of the files of which something holds, with the first of them and their share."""
    found = [path for path, check in files.items() if holds(check)]
    if found:
        yield Finding("warning", kind, str(found[0]), text.format(_share(len(found), len(files))))


def _share(found: int, of: int) -> str:
    return f"({found} of {of} files, {100 * found / of:.3g} %)"


def _narrow(deep: Mapping[Path, ImageCheck]) -> Iterator[Finding]:
    """Of 16-bit images that use fewer bits, as those of cameras do.

    Nothing is scaled: one image, or one folder, would be brighter than the next at equal values.
    """
    narrow = {path: check.bits or 0 for path, check in deep.items() if (check.bits or 0) < _FULL}
    if len(narrow) < max(1, _SHARE * len(deep)):
        return
    bits = max(narrow.values())
    levels = 2 ** max(0, bits - 8)
    text = (
        f"uses, as others, at most {bits} of 16 bits {_share(len(narrow), len(deep))}: the upper 8 "
        f"are read, so that networks see dark images of {levels} levels; save all images anew, "
        "scaled by one factor"
    )
    yield Finding("warning", "bit depth", str(next(iter(narrow))), text)


def _palettes(masks: Mapping[Path, dict[str, str]]) -> Iterator[Finding]:
    """Of an id that palettes paint differently: is it numbered by each file as it likes?"""
    files: dict[str, dict[str, list[Path]]] = {}
    for path, colours in masks.items():
        for id, colour in colours.items():
            files.setdefault(id, {}).setdefault(colour, []).append(path)
    differing = {id: paths for id, paths in files.items() if len(paths) > 1}
    if not differing:
        return
    id, by_colour = max(differing.items(), key=lambda item: len(item[1]))
    usual, *others = sorted(by_colour.items(), key=lambda item: -len(item[1]))
    odd = sum(len(paths) for _, paths in others)
    text = (
        f"paints {id} {others[0][0]} and {usual[1][0]} {usual[0]}; palettes differ in that "
        f"{_share(odd, len(masks))}: if colours name labels, give labels.csv their colours and no "
        "ids, else save masks without palettes"
    )
    yield Finding("warning", "palettes", str(others[0][1][0]), text)
