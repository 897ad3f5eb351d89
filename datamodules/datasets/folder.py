"""Your own images and masks in a folder, divided into splits by `folder_splits`.

A table names the labels (`label_table`).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from datamodules.dataset import DatasetInfo
from datamodules.datasets.folder_splits import (
    IMAGES,
    LOSSY,
    MASKS,
    SPLITS,
    STEPS,
    deal_groups,
    find_files,
    read_groups,
    serving_split,
    split_folders,
    splits,
)
from datamodules.datasets.label_table import (
    MaskValues,
    Value,
    draft_rows,
    read_mask,
    read_table,
    values_of,
)
from datamodules.datasets.split_lists import listed_images, name_of
from datamodules.file_names import file_id
from datamodules.image_files import (
    ImageFileDataset,
    Sample,
    check_regular,
    check_root,
    check_split,
)
from datamodules.labels import IGNORE, MAX_CLASSES, DataError
from datamodules.whole_file import write_whole

INFO = DatasetInfo(
    title="your own folder",
    source="yourself",
    licence="yours",
    tree="""
images/a/01.jpg  PNG, JPEG, TIFF or WebP of any sizes, in folders or not
masks/a/01.png   of the same names: PNG, TIFF, lossless WebP or BMP
labels.csv       id,name and, if wanted, colour and ignore
splits/          if wanted: train.txt, val.txt and test.txt, an image a line (a/01);
                 or images/train/, images/val/ and images/test/
groups.csv       if wanted: id,group of images that depend on each other (a/01,monday)
""",
    counts={},
    block=None,
    steps=STEPS,
    splits=splits,
)


def folder(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split, as `splits/` lists it or as whole groups are dealt out; images are opened later.

    Raises:
        DataError: no root, images, masks or labels, or a table or list that cannot be used.
    """
    check_split("folder", split, SPLITS)
    root = check_root("folder", root, STEPS)
    images, others = find_files(root, "images", IMAGES)
    masks = _masks(root)
    if not any(name_of(image) in masks for image in images):
        raise DataError(
            f"{root.absolute()} has no mask for any image (one is images/{images[0]}, a mask is "
            f"masks/{min(masks.values())}): give both the same name, up to the suffix"
        )
    table = read_table(root / "labels.csv")
    if (root / "splits").is_dir():
        source, notes = serving_split(root, split)
        path = root / "splits" / f"{source}.txt"
        samples = _samples(root, listed_images(root, path, STEPS, images, masks), masks)
    elif folders := split_folders(root):
        source, notes = serving_split(root, split)
        chosen = [image for image in images if image.startswith(f"{folders[source]}/")]
        samples = _samples(root, chosen, masks)
    else:
        samples, notes = deal_groups(root, split, _samples(root, images, masks))
    orphans = len(masks.keys() - {name_of(image) for image in images})
    if orphans:
        notes.append(f"{orphans} files in masks/ are left out: they have no image")
    if others:
        notes.append(f"{others} files in images/ are left out: no PNG, JPEG, TIFF or WebP")
    return ImageFileDataset(table.labels, samples, partial(read_mask, table=table), notes=notes)


def _masks(root: Path) -> dict[str, str]:
    """Mask files below masks/ by their names without suffix."""
    masks: dict[str, str] = {}
    for file in find_files(root, "masks", MASKS)[0]:
        if Path(file).suffix.lower() in LOSSY:
            raise DataError(
                f"{root / 'masks' / file} is a JPEG, which is lossy and so changes labels: save "
                "the mask as PNG, from where it was drawn"
            )
        other = masks.setdefault(name_of(file), file)
        if other != file:
            raise DataError(f"{root / 'masks'} has both {other} and {file}: keep one of them")
    return masks


def _samples(root: Path, images: Sequence[str], masks: dict[str, str]) -> list[Sample]:
    names = [name_of(image) for image in images]
    groups = read_groups(root / "groups.csv", names)
    return [
        Sample(
            file_id(name),
            groups[name],
            root / "images" / image,
            root / "masks" / masks.get(name, f"{name}.png"),
        )
        for name, image in zip(names, images, strict=True)
    ]


def draft_labels(root: Path) -> Path:
    """Write `labels.csv` with a row for each value, or colour, that the masks hold.

    Raises:
        DataError: a table that is there already, or masks that hold no labels.
    """
    path = root / "labels.csv"
    if path.exists():
        raise DataError(f"{path} is there already: move it away if a draft is wanted")
    values: set[Value] = set()
    masks: set[MaskValues] = set()
    for file in _masks(root).values():
        check_regular(root / "masks" / file)
        masks.add(found := values_of(root / "masks" / file))
        values |= found.values
        if len(values - {(IGNORE,)}) > MAX_CLASSES:
            raise DataError(
                f"{root / 'masks'} has more than {MAX_CLASSES} values up to {file}: these are no "
                "labels (were they resized, or saved as JPEG?), so save masks anew"
            )
    lines = draft_rows(masks, root / "masks")
    write_whole(path, ("\n".join(lines) + "\n").encode(), "make room or allow it, and draft again")
    return path
