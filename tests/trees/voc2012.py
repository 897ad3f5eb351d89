"""A small VOC 2012 with SBD: the published folders, names and modes, photos of several sizes."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

TRAIN = [f"2007_{number:06d}" for number in (32, 39, 63, 68, 121, 170)]
VAL = [f"2007_{number:06d}" for number in (33, 42, 61)]
# SBD's own division: images of both of VOC's lists, and further ones.
SBD_TRAIN = ["2007_000063", "2007_000042", *(f"2008_{number:06d}" for number in (2, 3, 7))]
SBD_VAL = ["2007_000033", "2007_000068", "2008_000015"]
FURTHER = ["2008_000002", "2008_000003", "2008_000007", "2008_000015"]

SIZES = [(48, 64), (64, 48), (45, 60)]  # height, width


def build(root: Path) -> None:
    """VOCdevkit/VOC2012 and SBD's release beside VOCdevkit: all four splits can be opened."""
    rng = np.random.default_rng(0)
    folder = root / "VOCdevkit/VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    lists = {"train": TRAIN, "val": VAL, "trainval": sorted(TRAIN + VAL)}
    for split, ids in lists.items():
        _write_list(folder / f"ImageSets/Segmentation/{split}.txt", ids)
    for id in TRAIN + VAL + FURTHER:
        pixels = rng.integers(256, size=(*_size(id), 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"JPEGImages/{id}.jpg")
    for id in TRAIN + VAL:
        label = Image.fromarray(_with_border(_labels(rng, id)))
        label.putpalette(_palette())
        label.save(folder / f"SegmentationClass/{id}.png")
    _build_release(root / "benchmark_RELEASE/dataset", folder / "JPEGImages", rng)


def build_png(root: Path) -> None:
    """Add what most people have of SBD instead: SegmentationClassAug and trainaug.txt."""
    rng = np.random.default_rng(1)
    folder = root / "VOCdevkit/VOC2012"
    (folder / "SegmentationClassAug").mkdir()
    _write_list(folder / "ImageSets/Segmentation/trainaug.txt", sorted(TRAIN + FURTHER))
    for id in TRAIN + VAL + FURTHER:
        label = Image.fromarray(_labels(rng, id))
        label.save(folder / f"SegmentationClassAug/{id}.png")


def _build_release(folder: Path, images: Path, rng: np.random.Generator) -> None:
    for name in ("cls", "img"):
        (folder / name).mkdir(parents=True)
    _write_list(folder / "train.txt", SBD_TRAIN)
    _write_list(folder / "val.txt", SBD_VAL)
    for id in SBD_TRAIN + SBD_VAL:
        shutil.copy(images / f"{id}.jpg", folder / "img")
        label = _labels(rng, id)
        present = np.unique(label[label > 0]).reshape(-1, 1)
        content = {"Segmentation": label, "CategoriesPresent": present}
        savemat(folder / f"cls/{id}.mat", {"GTcls": content}, do_compression=True)


def _write_list(path: Path, ids: list[str]) -> None:
    path.write_text("".join(f"{id}\n" for id in ids))


def _size(id: str) -> tuple[int, int]:
    return SIZES[int(id[-6:]) % 3]


def _labels(rng: np.random.Generator, id: str) -> np.ndarray:
    """Squares of random ids, 0 to 20."""
    height, width = _size(id)
    ids = rng.permutation(np.arange(64, dtype=np.uint8) % 21).reshape(8, 8)
    return ids.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def _with_border(label: np.ndarray) -> np.ndarray:
    """255 between the squares, as between objects."""
    label = label.copy()
    label[7::8], label[:, 7::8] = 255, 255
    return label


def _palette() -> bytes:
    """The development kit's sequence: the bits of an id go round the channels, highest first."""
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            plane = np.arange(256) >> (3 * bit + channel) & 1
            colours[:, channel] |= (plane << (7 - bit)).astype(np.uint8)
    return colours.tobytes()
