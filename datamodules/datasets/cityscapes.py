"""Cityscapes, 19 classes: the fine annotations.

Cordts et al.: "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016,
arXiv 1604.01685. 2975 training, 500 validation and 1525 test images of 2048x1024, in which no
city is in two splits; an image's group is its city. The test labels are not public, so models are
scored on `val`, and on the evaluation server with what `export` writes.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from datamodules.clutter import find
from datamodules.dataset import DatasetInfo
from datamodules.image_files import (
    ImageFileDataset,
    Sample,
    check_palette,
    check_root,
    check_split,
    read_ids,
    read_pixels,
)
from datamodules.labels import IGNORE, AbsentError, DataError, Label, LabelSet, RawLabels, UInt8

SPLITS = ("train", "val", "test")

# helpers/labels.py of cityscapesScripts. Its licence plate, -1, is in no file: label files are
# drawn without the polygons of negative ids.
CITYSCAPES = LabelSet(
    (
        #     id train name           colour
        Label(0, IGNORE, "unlabeled", (0, 0, 0)),
        Label(1, IGNORE, "ego vehicle", (0, 0, 0)),
        Label(2, IGNORE, "rectification border", (0, 0, 0)),
        Label(3, IGNORE, "out of roi", (0, 0, 0)),
        Label(4, IGNORE, "static", (0, 0, 0)),
        Label(5, IGNORE, "dynamic", (111, 74, 0)),
        Label(6, IGNORE, "ground", (81, 0, 81)),
        Label(7, 0, "road", (128, 64, 128)),
        Label(8, 1, "sidewalk", (244, 35, 232)),
        Label(9, IGNORE, "parking", (250, 170, 160)),
        Label(10, IGNORE, "rail track", (230, 150, 140)),
        Label(11, 2, "building", (70, 70, 70)),
        Label(12, 3, "wall", (102, 102, 156)),
        Label(13, 4, "fence", (190, 153, 153)),
        Label(14, IGNORE, "guard rail", (180, 165, 180)),
        Label(15, IGNORE, "bridge", (150, 100, 100)),
        Label(16, IGNORE, "tunnel", (150, 120, 90)),
        Label(17, 5, "pole", (153, 153, 153)),
        Label(18, IGNORE, "polegroup", (153, 153, 153)),
        Label(19, 6, "traffic light", (250, 170, 30)),
        Label(20, 7, "traffic sign", (220, 220, 0)),
        Label(21, 8, "vegetation", (107, 142, 35)),
        Label(22, 9, "terrain", (152, 251, 152)),
        Label(23, 10, "sky", (70, 130, 180)),
        Label(24, 11, "person", (220, 20, 60)),
        Label(25, 12, "rider", (255, 0, 0)),
        Label(26, 13, "car", (0, 0, 142)),
        Label(27, 14, "truck", (0, 0, 70)),
        Label(28, 15, "bus", (0, 60, 100)),
        Label(29, IGNORE, "caravan", (0, 0, 90)),
        Label(30, IGNORE, "trailer", (0, 0, 110)),
        Label(31, 16, "train", (0, 80, 100)),
        Label(32, 17, "motorcycle", (0, 0, 230)),
        Label(33, 18, "bicycle", (119, 11, 32)),
    )
)

# What a file of train ids may hold.
TRAIN_IDS = LabelSet(
    (
        *(label._replace(id=label.train_id) for label in CITYSCAPES.classes),
        Label(IGNORE, IGNORE, "unlabeled", (0, 0, 0)),
    )
)

# The label id of each class index; 0, unlabeled, of 255.
_LABEL_IDS = np.zeros(256, np.uint8)
_LABEL_IDS[: CITYSCAPES.num_classes] = [label.id for label in CITYSCAPES.classes]

INFO = DatasetInfo(
    title="Cityscapes",
    source="Cordts et al.: The Cityscapes Dataset for Semantic Urban Scene Understanding, 2016",
    licence="own terms: non-commercial research, no redistribution, login",
    tree="""
leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png  2048x1024 RGB
gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png   ids 0 to 33
                    or ..._gtFine_labelTrainIds.png            ids 0 to 18, 255
leftImg8bit/val/, leftImg8bit/test/, gtFine/val/
""",
    counts={"train": 2975, "val": 500, "test": 1525},
    block=10,  # 30-frame snippets of one drive follow each other
    steps=(
        "log in at cityscapes-dataset.com (own terms, non-commercial research), unpack "
        "leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB) into one "
        "folder and name it with --data-root"
    ),
    test_split="val",
)


def read_train_ids(sample: Sample) -> RawLabels:
    """The label ids, (H, W), of a file of train ids; 255 becomes 0, unlabeled.

    Raises:
        DataError: a file that cannot be read, or has other values.
    """
    raw = read_ids(sample)
    check_palette(raw, TRAIN_IDS)
    return RawLabels(_LABEL_IDS[TRAIN_IDS.to_train(raw)], raw.path)


# The kinds of label files, with what they hold; the first that is there is read.
_KINDS = {"labelIds": ("label ids", read_ids), "labelTrainIds": ("train ids", read_train_ids)}


def cityscapes(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split, from the names of its images and of its labels, which are label or train ids.

    Raises:
        DataError: no root, no folder of the split, or nothing in it.
    """
    check_split("cityscapes", split, SPLITS)
    root = check_root("cityscapes", root, INFO.steps)
    images, labels = root / "leftImg8bit" / split, root / "gtFine" / split
    for folder in (images,) if split == "test" else (images, labels):
        if not folder.is_dir():
            raise AbsentError(
                f"no Cityscapes at {root.absolute()} (looked for {folder.relative_to(root)}): "
                f"{INFO.steps}"
            )
    labelled = {kind: _ids(labels, f"gtFine_{kind}") for kind in _KINDS}
    kind = next((kind for kind in _KINDS if labelled[kind]), "labelIds")
    # What only one of both has is kept: the check names the other, which is missing.
    ids = sorted(_ids(images, "leftImg8bit") | labelled[kind])
    if not ids:
        raise DataError(f"{images} holds no */*_leftImg8bit.png: {INFO.steps}")
    unlabelled = split == "test" and not labelled[kind]
    samples = []
    for id in ids:
        city = id.split("_")[0]
        mask = None if unlabelled else labels / city / f"{id}_gtFine_{kind}.png"
        samples.append(Sample(id, city, images / city / f"{id}_leftImg8bit.png", mask))
    values, read = _KINDS[kind]
    notes = [] if unlabelled else [f"labels are read from *_gtFine_{kind}.png ({values})"]
    if split == "test":
        notes.append("the labels of the test split are not public: score the split val")
    return ImageFileDataset(CITYSCAPES, samples, read, notes=notes)


def _ids(folder: Path, what: str) -> set[str]:
    """The <city>_<seq>_<frame> of a split's files of one kind, in any city."""
    return {path.name.removesuffix(f"_{what}.png") for path in find(folder, f"*/*_{what}.png")}


def export(predictions: Path, ids: Sequence[str], target: Path) -> int:
    """Write predictions as the evaluation server takes them, and return how many there are.

    Each `<city>_<seq>_<frame>.png` of class indices becomes an 8-bit grey PNG of label ids, found
    by its name's first three parts, as in cityscapesScripts' evalPixelLevelSemanticLabeling. The
    folder appears whole or not at all.

    Raises:
        DataError: a target that holds something; predictions that are missing, cannot be read, or
            are no single channel of class indices.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} exists and is not empty: name a new folder for the export")
    missing = [id for id in ids if not (predictions / f"{id}.png").is_file()]
    if missing:
        raise DataError(
            f"{predictions} lacks {len(missing)} of {len(ids)} predictions, the first "
            f"{missing[0]}.png: every image of the split is needed, named by its id"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
            draft = Path(scratch) / "whole"
            draft.mkdir()
            for id in ids:
                label_ids = _label_ids(predictions / f"{id}.png")
                Image.fromarray(label_ids).save(draft / f"{id}_labelIds.png")
            draft.replace(target)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error.strerror}), for {len(ids)} PNGs of some 100 kB "
            "each: make room, or name another folder for the export"
        ) from None
    return len(ids)


def _label_ids(path: Path) -> UInt8:
    indices = read_pixels(path)
    if indices.ndim != 2 or indices.dtype != np.uint8:
        channels = 1 if indices.ndim == 2 else indices.shape[2]
        raise DataError(
            f"{path} holds {indices.dtype} in {channels} channels: one channel of 8-bit class "
            "indices is needed (modes L, P)"
        )
    last = CITYSCAPES.num_classes - 1
    wrong = indices[indices > last]
    if wrong.size:
        raise DataError(
            f"{path} has {wrong.size} pixels above {last}, up to {wrong.max()}: class indices "
            f"0 to {last} are needed everywhere"
        )
    label_ids: UInt8 = _LABEL_IDS[indices]
    return label_ids
