"""Procedural street scenes with CamVid's eleven classes: nothing to download, any size.

A scene is a list of flat shapes in metres, seen by a pinhole camera and painted back to front, so
one scene can be drawn at any size: twice the size is the same picture with finer edges. It is a
pure function of split and index, whatever was drawn before and in whichever process.

Colour says little, on purpose: sky, walls, ground, cars and clothes draw from overlapping ranges
and every drive has its own light. Road and pavement are even painted alike in each image, so that
only their place between kerbs, lane marks and houses tells them apart.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.labels import CAMVID, IGNORE, DataError, UInt8

GENERATOR = 1  # part of every seed and fingerprint: raise it whenever a change alters a picture
SPLITS = ("train", "val", "test")  # the position is part of every seed
DRIVE = 8  # consecutive images that share palette, light and town
MIN_SIDE = 33  # below, poles, signs and people merge into single pixels
GRID = 96  # noise samples per image height: as fine as a pixel at the default size

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
VOID = 15  # ignore, within the four bits that a label has on the canvas
PLAIN, WALL, LEAVES, GROUND, SHADE = range(5)  # materials; shade only darkens the ground
# Amplitude of fine and of coarse noise by material, in grey levels; walls have the ground's.
NOISE = np.array([(3, 5), (8, 9), (16, 30), (8, 9), (0, 0)], np.float32)

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
DISC = np.stack([np.cos(TURN), np.sin(TURN)], axis=-1)
SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
BLACK = np.full(3, 30.0)


class Shape(NamedTuple):
    """Convex polygons of one colour; `points` is (M, N, 3), metres right, up and ahead."""

    depth: float  # farther shapes are painted first; equal depths in the order given
    label: int
    colour: Floats  # RGB, 0 to 255, before the light
    points: Floats
    material: int = PLAIN
    line: float = 0.0  # metres; above 0 the polygons are outlines that wide, at least a pixel


class Style(NamedTuple):
    """What the images of one drive share."""

    sky: Floats
    ground: Floats
    leaf: Floats
    walls: Floats  # five colours, (5, 3)
    light: Floats  # gain of each channel: exposure and tint
    contrast: float
    built: float  # share of the frontage that has houses
    green: float  # how many trees, around 1
    busy: float  # how many people and cars, around 1
    sunny: bool
    bonnet: bool


class View(NamedTuple):
    """Camera above a bending street; `x`, `y` is the vanishing point in image heights."""

    x: float
    y: float
    focal: float  # image heights
    eye: float  # metres above the ground
    bend: float  # metres aside per square metre ahead

    def project(self, world: Floats) -> Floats:
        """Metres (..., 3) to image heights (..., 2) from the top left corner."""
        right, up, ahead = world[..., 0], world[..., 1], world[..., 2]
        right = right + self.bend * np.minimum(ahead, 60.0) ** 2  # farther on, it runs straight
        x = self.x + self.focal * right / ahead
        return np.stack([x, self.y + self.focal * (self.eye - up) / ahead], axis=-1)


def _tone(rng: Rng, low: float, high: float, spread: float) -> Floats:
    """A grey between `low` and `high`, its channels pulled apart by `spread`."""
    return rng.uniform(low, high) + rng.normal(0, spread, 3)


def _places(rng: Rng, near: float, far: float, mean: float) -> Floats:
    """Distances of `mean` things on average, spread evenly over the picture, not the street."""
    return np.exp(rng.uniform(np.log(near), np.log(far), rng.poisson(mean)))


def _upright(x: float, z: float, outline: npt.ArrayLike) -> Floats:
    """Outlines (M, N, 2) in metres, stood on the ground at `x`, `z`, facing the camera."""
    flat = np.asarray(outline, np.float64)
    points = np.full((*flat.shape[:-1], 3), z)
    points[..., :2] = flat
    points[..., 0] += x
    return points


def _along(x0: float, x1: float, y0: float, y1: float, cuts: npt.ArrayLike) -> Floats:
    """A strip along the street in pieces between M + 1 distances, (M, 4, 3), to follow a bend."""
    z = np.asarray(cuts, np.float64)
    points = np.empty((len(z) - 1, 4, 3))
    points[:, :, 0], points[:, :, 1] = (x0, x1, x1, x0), (y0, y1, y1, y0)
    points[:, :2, 2], points[:, 2:, 2] = z[:-1, None], z[1:, None]
    if x0 == x1:  # a wall: both lower corners first
        points[:, :, 1], points[:, 1::2, 2] = (y0, y0, y1, y1), points[:, 2::-2, 2].copy()
    return points
