"""COCO's JSON as semantic masks: outlines of instances, or panoptic PNGs.

Lin et al.: "Microsoft COCO: Common Objects in Context", ECCV 2014, arXiv 1405.0312. Kirillov et
al.: "Panoptic Segmentation", CVPR 2019, arXiv 1801.00868. Many competitions give their data so.

Of instances: background is class 0, and the categories follow by their ids; one that is itself
named background is class 0, and none is added. Where objects overlap, the larger is drawn first,
so that the smaller lies on top; of equals, the higher annotation id does. Crowds lie below all.

Of panoptic segments: the categories by their ids, no background; what has no segment is ignored.
"""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle

from datamodules.dataset import DatasetInfo
from datamodules.datasets.coco_files import below, find_images, find_listings, split_of
from datamodules.datasets.coco_json import Annotation, Id, is_panoptic, read_listing
from datamodules.image_files import ImageFileDataset, Sample, check_root, check_split, read_pixels
from datamodules.labels import DataError, RawLabels

_STEPS = (
    "put the JSON of each split and the images it names below one folder, as COCO of "
    "cocodataset.org has them, and name it with --data-root"
)
INFO = DatasetInfo(
    title="COCO, or data in its form",
    source="Lin et al.: Microsoft COCO, ECCV 2014; Kirillov et al.: Panoptic Segmentation, 2019",
    licence="COCO: photos under Flickr's terms of use, annotations CC BY 4.0; else its owner's",
    tree="""
train.json, val.json, ...             of instances; file_name below the root
batch_01/0001.jpg
or, as COCO,
annotations/instances_train2017.json  of instances; any year, or none
train2017/000000000009.jpg
or
annotations/panoptic_train2017.json
annotations/panoptic_train2017/000000000009.png
train2017/000000000009.jpg
or, as Roboflow,
train/_annotations.coco.json          beside the images; valid/ is the split val
""",
    counts={},
    steps=_STEPS,
    test_split="val",
    splits=lambda root: list(find_listings(root, _STEPS)[0]),
    nested=frozenset({("train", "train_all"), ("val", "train_all")}),
)


def coco(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split, from its JSON and in its order; an image's group is the folder that its name has,
    else the image itself.

    A JSON without annotations, as competitions publish of their test images, has no labels.

    Raises:
        DataError: no root, JSON or images; several JSONs of the split; one that is damaged, refers
            to what it does not list, or has other categories than the next split's.
    """
    root = check_root("coco", root, _STEPS)
    path, notes = _path(root, split)
    labels, pictures, said = read_listing(path)
    images = find_images(root, split, path, next(iter(pictures.values())).name)
    panoptic = is_panoptic(path)
    labelled = any(picture.annotations or picture.png for picture in pictures.values())
    masks = path.with_suffix("")  # the folder of panoptic PNGs
    if labelled and panoptic and not masks.is_dir():
        raise DataError(f"{path} is there without its labels: unpack its PNGs as {masks}")
    samples = []
    for id, picture in pictures.items():
        name, png = picture.name, picture.png
        group = str(name.parent) if len(name.parts) > 1 else id
        mask = below(root, path, masks, png) if labelled and png else path
        image = below(root, path, images, name)
        samples.append(Sample(id, group, image, mask if labelled else None))
    note = f"labels are drawn from the annotations of {path.name}"
    if not labelled:
        note = f"{path.name} has no annotations: no pixel of {split} is scored"
    read = partial(read_segments, path) if panoptic else draw
    notes = [note, *said, *notes]
    return ImageFileDataset(labels, samples, read, notes=notes, annotation_files=[path])


def _path(root: Path, split: str) -> tuple[Path, list[str]]:
    """The JSON of a split, whose categories are those of the next split, and what to say of it."""
    listings, strays = find_listings(root, _STEPS)
    split = split if split in listings else split_of(split)
    check_split("coco", split, list(listings))
    if len(listings[split]) > 1:
        names = ", ".join(str(path.relative_to(root)) for path in listings[split])
        raise DataError(f"{root} has several files of the split {split} ({names}): keep one there")
    path = listings[split][0]
    other = next((paths[0] for name, paths in listings.items() if name != split), path)
    here, there = (
        {f"{row.id} {row.name}" for row in read_listing(p).labels.labels} for p in (path, other)
    )
    if here != there:
        raise DataError(
            f"{path} and {other} differ in their categories: only the first has "
            f"{', '.join(sorted(here - there)) or 'none'}, only the second "
            f"{', '.join(sorted(there - here)) or 'none'}, and all splits need the same"
        )
    names = ", ".join(stray.name for stray in strays[:3])
    text = f"{len(strays)} JSON files are left out: they list no images and categories ({names})"
    return path, [text] * bool(strays)


def draw(sample: Sample) -> RawLabels:
    """The category of each pixel, (H, W), at the size that the JSON gives.

    Raises:
        DataError: an annotation that cannot be drawn.
    """
    path = sample.mask
    assert path is not None
    labels, pictures, _ = read_listing(path)
    size, annotations = pictures[sample.id].size, pictures[sample.id].annotations
    ids = np.full(size, labels.classes[0].id, np.uint16)
    top = np.full(size, 2 * ids.size)  # pixels of the object on top; of crowds, more than any has
    for one in sorted(annotations, key=lambda one: (isinstance(one.id, str), one.id)):
        pixels = _pixels(path, one, size)
        depth = pixels.sum() + (ids.size if one.crowd else 0)
        above = pixels & (depth <= top)
        ids[above], top[above] = one.category, depth
    return RawLabels(ids, path)


def _pixels(path: Path, one: Annotation, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where an object is, which is given as polygons or as run lengths."""
    shape, (height, width) = one.shape, size
    try:
        if isinstance(shape, list):
            polygons = _polygons(shape)
            # pycocotools takes memory by the length of the outline: all of it for NaN.
            if not all(np.abs(part).max() < 10 * max(size) for part in polygons):
                raise ValueError("a point is far outside the image")
            counts = rle.merge(rle.frPyObjects(polygons, height, width))["counts"].decode()
        elif not isinstance(shape, dict):
            what = "null" if shape is None else type(shape).__name__
            raise ValueError(f"its segmentation is {what}, neither polygons nor run lengths")
        elif not isinstance(shape.get("size"), list) or tuple(shape["size"]) != size:
            raise ValueError(f"its size is {shape.get('size')} and that of the image {list(size)}")
        else:
            counts = shape.get("counts")
            if not isinstance(counts, str | list):
                raise ValueError("its counts are neither a list nor text")
        runs = _runs(counts) if isinstance(counts, str) else counts
        if sum(runs) != height * width:
            raise ValueError(f"its runs cover {sum(runs)} pixels of {height * width}")
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    except Exception as error:  # pycocotools raises any
        raise DataError(
            f"{path} has an annotation, id {one.id}, that cannot be drawn ({error}): mend or "
            "remove it"
        ) from None


def _polygons(shape: list[object]) -> list[list[float]]:
    """Lists of x, y, x, y, ...; of one polygon some tools leave out the brackets around it."""
    parts = [shape] if shape and not any(isinstance(part, list) for part in shape) else shape
    if not parts or not all(isinstance(part, list) for part in parts):
        raise ValueError("its segmentation has no polygons")
    polygons = [np.asarray(part, np.float64) for part in parts]  # also of numbers as text
    if any(part.ndim != 1 or len(part) < 6 or len(part) % 2 for part in polygons):
        raise ValueError("pairs of x and y are needed, at least three a polygon")
    return [part.tolist() for part in polygons]


def _runs(packed: str) -> list[int]:
    """Run lengths of COCO's compressed form: signed numbers of 5 bits a character, lowest first,
    which from the fourth on are differences to the run before the last.

    pycocotools would decode them too, but where runs end early it returns memory as it was.
    """
    runs: list[int] = []
    value = shift = 0
    for code in packed.encode():
        value |= (code - 48 & 31) << shift
        shift += 5
        if code - 48 < 32:  # the last of a number, whose highest bit is the sign
            value -= (value >> (shift - 1)) << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def read_segments(listing: Path, sample: Sample) -> RawLabels:
    """The category of each pixel, (H, W), of a panoptic PNG, whose ids are R + 256 G + 65536 B.

    Raises:
        DataError: a file that cannot be read, is not in colour or has segments not in the JSON.
    """
    path = sample.mask
    assert path is not None
    colours = read_pixels(path)
    if colours.ndim != 3:
        raise DataError(f"{path} has one channel: panoptic ids are in three; fetch it again")
    labels, pictures, _ = read_listing(listing)
    category: dict[Id, int] = {0: labels.labels[-1].id}
    category |= {part.id: part.category for part in pictures[sample.id].annotations}
    ids = colours[..., :3].astype(np.int32) @ np.array([1, 256, 65536], np.int32)
    values, place = np.unique(ids, return_inverse=True)
    if unknown := [value for value in values.tolist() if value not in category]:
        raise DataError(
            f"{path} has {len(unknown)} segments that {listing} does not list, the first "
            f"{unknown[0]}: fetch both again"
        )
    return RawLabels(np.array([category[i] for i in values.tolist()], np.uint16)[place], path)
