"""Small sets in COCO's form, with random photos: a competition's, COCO's own, and panoptic."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Row = dict[str, Any]

# Of a recycling competition, whose images lie in batches; background is not among them.
TRASH = [
    *("General trash", "Paper", "Paper pack", "Metal", "Glass"),
    *("Plastic", "Styrofoam", "Plastic bag", "Battery", "Clothing"),
]
# Some of COCO's: its ids have gaps.
THINGS = {1: "person", 3: "car", 13: "stop sign", 90: "toothbrush"}
STUFF = {1: "person", 3: "car", 149: "road", 187: "sky-other-merged"}

SIZES = [(48, 64), (64, 48), (45, 60)]  # height, width


def build(root: Path) -> None:
    """<split>.json at the root; test has no labels, and train_all is train and val."""
    rng = np.random.default_rng(0)
    names = [f"batch_{1 + n // 5:02d}_vt/{n % 5 + 3:04d}.jpg" for n in range(12)]
    images = [_image(rng, root, n, name) for n, name in enumerate(names)]
    categories = [{"id": i, "name": name, "supercategory": name} for i, name in enumerate(TRASH, 1)]
    splits = {"train": images[:7], "val": images[7:10], "train_all": images[:10]}
    objects = _objects(rng, images[:10], list(range(1, 11)))
    for split, members in splits.items():
        ids = {image["id"] for image in members}
        write(
            root / f"{split}.json",
            members,
            [o for o in objects if o["image_id"] in ids],
            categories,
        )
    write(root / "test.json", images[10:], [], categories)


def build_coco(root: Path) -> None:
    """annotations/instances_<split>2017.json; one object of each image is a crowd."""
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": i, "name": name, "supercategory": "thing"} for i, name in THINGS.items()]
    for split, numbers in {"train": [9, 25, 30, 34, 36, 42], "val": [139, 285]}.items():
        folder = root / f"{split}2017"
        images = [_image(rng, folder, n, f"{n:012d}.jpg") for n in numbers]
        objects = _objects(rng, images, list(THINGS)) + [_crowd(image) for image in images]
        write(root / f"annotations/instances_{split}2017.json", images, objects, categories)


def build_panoptic(root: Path) -> None:
    """annotations/panoptic_<split>2017.json and its PNGs, in which 0 is no segment."""
    rng = np.random.default_rng(0)
    categories = [{"id": i, "name": n, "isthing": int(i < 91)} for i, n in STUFF.items()]
    for split, numbers in {"train": [9, 25, 30, 34, 36, 42], "val": [139, 285]}.items():
        images = [_image(rng, root / f"{split}2017", n, f"{n:012d}.jpg") for n in numbers]
        masks = root / f"annotations/panoptic_{split}2017"
        masks.mkdir(parents=True)
        rows = [_segments(rng, masks, image) for image in images]
        write(masks.with_suffix(".json"), images, rows, categories)


def write(
    path: Path, images: Sequence[Row], annotations: Sequence[Row], kinds: Sequence[Row]
) -> None:
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations}
    path.write_text(json.dumps({**content, "categories": kinds}))


def _image(rng: np.random.Generator, folder: Path, number: int, name: str) -> Row:
    height, width = SIZES[number % 3]
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return {"id": number, "file_name": name, "height": height, "width": width}


def _objects(rng: np.random.Generator, images: Sequence[Row], ids: list[int]) -> list[Row]:
    """A rectangle of each category in each image, at a random place."""
    rows: list[Row] = []
    for image in images:
        for category in ids:
            width, height = (int(side) for side in rng.integers(6, 20, size=2))
            x = int(rng.integers(0, image["width"] - width))
            y = int(rng.integers(0, image["height"] - height))
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            row = {"id": len(rows) + 1, "image_id": image["id"], "category_id": category}
            shape = {"segmentation": [corners], "bbox": [x, y, width, height], "iscrowd": 0}
            rows.append({**row, **shape, "area": width * height})
    return rows


def _crowd(image: Row) -> Row:
    """Persons in the upper ten lines, as run lengths, which go down the columns."""
    height, width = image["height"], image["width"]
    counts = [0, *[10, height - 10] * width]
    shape = {"size": [height, width], "counts": counts}
    row = {"id": 900100000000 + image["id"], "image_id": image["id"], "category_id": 1}
    return {**row, "segmentation": shape, "area": 10 * width, "iscrowd": 1}


def _segments(rng: np.random.Generator, folder: Path, image: Row) -> Row:
    """Squares of a dozen segments of any 24-bit ids, one of which is none."""
    ids = np.append(0, 1 + rng.choice(2**24 - 1, size=11, replace=False))
    grid = rng.permutation(np.arange(64) % 12).reshape(8, 8)
    where = grid.repeat(8, axis=0).repeat(8, axis=1)[: image["height"], : image["width"]]
    segments = ids[where]
    colours = np.stack([segments % 256, segments // 256 % 256, segments // 65536], axis=-1)
    name = image["file_name"].replace(".jpg", ".png")
    Image.fromarray(colours.astype(np.uint8)).save(folder / name)
    info = [
        {"id": int(id), "category_id": list(STUFF)[n % 4], "iscrowd": 0}
        for n, id in enumerate(ids[1:])
    ]
    return {"image_id": image["id"], "file_name": name, "segments_info": info}
