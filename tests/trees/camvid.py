"""A small CamVid in each of its two layouts, of random 64x48 images, and where the real one is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import ROOT

REAL = ROOT.parent / "shared/data/CamVid"
needs_real = pytest.mark.skipif(
    not (REAL / "train.txt").is_file(),
    reason="CamVid is not there (182 MB, research use, not redistributed): shared/data/CamVid",
)

# Real names, of which the rule of the splits puts each where the tutorial's lists have it.
NAMES = {
    "train": [
        *("0001TP_006690", "0001TP_008520", "0006R0_f00930", "0006R0_f03930"),
        *("0016E5_00390", "0016E5_07920", "0016E5_08190"),
    ],
    "val": ["0016E5_07959", "0016E5_08061", "0016E5_08159"],
    "test": ["0001TP_008550", "0001TP_010380", "Seq05VD_f00000", "Seq05VD_f05100"],
}

# The published label_colors.txt.
LABEL_COLOURS = """\
64 128 64	Animal
192 0 128	Archway
0 128 192	Bicyclist
0 128 64	Bridge
128 0 0		Building
64 0 128	Car
64 0 192	CartLuggagePram
192 128 64	Child
192 192 128	Column_Pole
64 64 128	Fence
128 0 192	LaneMkgsDriv
192 0 64	LaneMkgsNonDriv
128 128 64	Misc_Text
192 0 192	MotorcycleScooter
128 64 64	OtherMoving
64 192 128	ParkingBlock
64 64 0		Pedestrian
128 64 128	Road
128 128 192	RoadShoulder
0 0 192		Sidewalk
192 128 128	SignSymbol
128 128 128	Sky
64 128 192	SUVPickupTruck
0 0 64		TrafficCone
0 64 64		TrafficLight
192 64 128	Train
128 128 0	Tree
192 128 192	Truck_Bus
64 0 64		Tunnel
192 192 0	VegetationMisc
0 0 0		Void
64 192 0	Wall
"""


def build(root: Path) -> None:
    """The tutorial's layout: a list and two folders a split, ids 0 to 11 in each label."""
    rng = np.random.default_rng(0)
    for split, names in NAMES.items():
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(_image(rng)).save(root / split / f"{name}.png")
            Image.fromarray(_blocks(rng, 12)).save(root / f"{split}annot" / f"{name}.png")
        line = "/SegNet/CamVid/{0}/{1}.png /SegNet/CamVid/{0}annot/{1}.png\n"
        (root / f"{split}.txt").write_text("".join(line.format(split, name) for name in names))


def build_original(root: Path) -> None:
    """The original's layout: two folders, no lists, all 32 colours in each label."""
    rng = np.random.default_rng(0)
    colours = np.array([line.split()[:3] for line in LABEL_COLOURS.splitlines()], np.uint8)
    stills, painted = root / "701_StillsRaw_full", root / "LabeledApproved_full"
    stills.mkdir(parents=True)
    painted.mkdir()
    (root / "label_colors.txt").write_text(LABEL_COLOURS)
    for name in (name for names in NAMES.values() for name in names):
        Image.fromarray(_image(rng)).save(stills / f"{name}.png")
        Image.fromarray(colours[_blocks(rng, 32)]).save(painted / f"{name}_L.png")


def _image(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(256, size=(48, 64, 3), dtype=np.uint8)


def _blocks(rng: np.random.Generator, values: int) -> np.ndarray:
    """Each value in some of the 48 blocks of 8x8 pixels."""
    ids = rng.permutation(np.arange(48, dtype=np.uint8) % values).reshape(6, 8)
    return ids.repeat(8, axis=0).repeat(8, axis=1)
