"""Procedural street scenes with CamVid's eleven classes: nothing to download, any size.

A scene is a list of flat shapes in metres, seen by a pinhole camera and painted back to front, so
one scene can be drawn at any size: twice the size is the same picture with finer edges. It is a
pure function of split and index, whatever was drawn before and in whichever process.

Hues are plain, so that a short training can show that a network learns: sky is blue, walls are
warm, leaves green, the ground is grey, and cars are warm or green too. But the camera is a noisy
one: its grain hides the hue of any single pixel, so that no colour table replaces a network, which
looks around the pixel. Road and pavement are even painted alike in each image, so that only their
place between kerbs, lane marks and houses tells them apart.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE, DataError, UInt8

GENERATOR = 4  # part of every seed and fingerprint: raise it whenever a change alters a picture
SPLITS = ("train", "val", "test")  # the position is part of every seed
DRIVE = 8  # consecutive images that share palette, light and town
MIN_SIDE = 33  # below, poles, signs and people merge into single pixels
GRID = 96  # noise samples per image height: as fine as a pixel at the default size
GRAIN = 34.0  # standard deviation of the camera's noise in each channel, in grey levels

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
VOID = 15  # ignore, within the four bits that a label has on the canvas
PLAIN, WALL, LEAVES, GROUND, SHADE = range(5)  # materials; shade darkens ground, and has no label
# Amplitude of fine and of coarse noise by material, in grey levels.
NOISE = np.array([(2, 4), (6, 8), (10, 16), (5, 6), (0, 0)], np.float32)

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Span = tuple[float, float]
Rng = np.random.Generator
TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
DISC = np.stack([np.cos(TURN), np.sin(TURN)], axis=-1)
SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
BLACK = np.full(3, 30.0)
WARM, GREEN, BLUE = np.array([(1.0, 0.0, -1.0), (-0.4, 1.0, -0.6), (-1.0, 0.0, 1.0)])


class Shape(NamedTuple):
    """Convex polygons of one colour; `points` is (M, N, 3), metres right, up and ahead."""

    depth: float  # farther shapes are painted first; equal depths in the order given
    label: int
    colour: Floats  # RGB, 0 to 255, before the light
    points: Floats
    material: int = PLAIN
    line: float = 0.0  # metres; above 0 the polygons are outlines that wide, at least a pixel


class Style:
    """What the images of one drive share; colours are RGB, 0 to 255, before the light."""

    def __init__(self, rng: Rng) -> None:
        self.sky = _tone(rng, 110, 220, 7) + BLUE * rng.uniform(15, 40)
        self.ground = _tone(rng, 70, 190, 8)
        self.leaf = _paint(rng, GREEN)
        self.walls = [_paint(rng, WARM) for _ in range(5)]
        contrast, exposure, tint = rng.uniform(0.8, 1.1), rng.uniform(0.75, 1.1), (0.97, 1.03)
        self.gain = (contrast * exposure * rng.uniform(*tint, 3)).astype(np.float32)
        self.lift = np.float32(110 * (1 - contrast))  # grey levels
        self.built = rng.uniform(0.4, 1.0)  # share of the frontage that has houses
        self.green, self.busy = rng.uniform((0.3, 0.5), 1.5)  # how many trees, and road users
        self.sunny, self.bonnet = rng.random() < 0.6, rng.random() < 0.3


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


def _paint(rng: Rng, *hues: Floats) -> Floats:
    """A tone pulled towards one of these hues."""
    return _tone(rng, 70, 190, 8) + hues[rng.integers(len(hues))] * rng.uniform(40, 70)


def _places(rng: Rng, near: float, far: float, mean: float) -> Floats:
    """Distances of `mean` things on average, spread evenly over the picture, not the street."""
    return np.exp(rng.uniform(np.log(near), np.log(far), rng.poisson(mean)))


def _upright(x: float, z: float, outline: npt.ArrayLike) -> Floats:
    """Outlines (M, N, 2) in metres, stood on the ground at `x`, `z`, facing the camera."""
    flat = np.asarray(outline, np.float64)
    points = np.empty((*flat.shape[:-1], 3))
    points[..., :2], points[..., 2] = flat, z
    points[..., 0] += x
    return points


def _strip(x: Span, y: Span, cuts: npt.ArrayLike) -> Floats:
    """Between two lines along the street, at `x[i]`, `y[i]`: M quads of M + 1 cuts, (M, 4, 3).

    Ground, roofs and walls are all strips; only cutting the long ones lets them follow a bend.
    """
    z = np.asarray(cuts, np.float64)
    points = np.empty((len(z) - 1, 4, 3))
    points[..., 0], points[..., 1] = (*x, *x[::-1]), (*y, *y[::-1])
    points[:, :2, 2], points[:, 2:, 2] = z[:-1, None], z[1:, None]
    return points


def _box(
    depth: float, label: int, x: float, half: float, y: Span, z: Span, *paint: Floats
) -> Iterator[Shape]:
    """The faces in sight of a box around `x`: its top, side and end, in these three paints."""
    x0, x1, material = x - half, x + half, WALL if label == BUILDING else PLAIN
    flank = x0 if x0 > 0 else x1
    yield Shape(depth, label, paint[0], _strip((x0, x1), (y[1], y[1]), z), material)
    if abs(x) > half:
        yield Shape(depth, label, paint[1], _strip((flank, flank), y, z), material)
    end = [[(x0, y[0]), (x1, y[0]), (x1, y[1]), (x0, y[1])]]
    yield Shape(depth, label, paint[2], _upright(0, z[0], end), material)


def _house(rng: Rng, style: Style, x: float, z: float, length: float) -> Iterator[Shape]:
    """A facade at `x` with a window for every 2.6 m and every 3 m storey.

    Its depth is that of its far end: whatever stands in the street stands before the facade.
    """
    height, side, far = rng.uniform(5, 17), np.sign(x), z + length
    wall = style.walls[rng.integers(5)] + rng.normal(0, 7, 3)
    lit = wall * (0.72 if style.sunny and side > 0 else 1.0)
    paint = wall, lit, wall * 0.88
    half = length / 2  # as deep as it is long
    yield from _box(far, BUILDING, x + side * half, half, (0, height), (z, far), *paint)
    if z > 30:  # windows are smaller than a pixel
        return
    u, v = np.arange(1.4, length - 0.8, 2.6), np.arange(1.8, height - 0.9, 3.0)
    panes = np.empty((2, len(u), len(v), 4, 3))  # of the facade, and of the end beside it
    panes[0, ..., 0], panes[0, ..., 2] = x, z + u[:, None, None] + SQUARE[:, 0] * 0.65
    panes[1, ..., 0], panes[1, ..., 2] = x + side * (panes[0, ..., 2] - z), z
    panes[..., 1] = v[:, None] + SQUARE[:, 1] * 0.8
    yield Shape(far, BUILDING, _tone(rng, 30, 190, 12), panes.reshape(-1, 4, 3))


def _fence(rng: Rng, x: float, z: float, length: float) -> Iterator[Shape]:
    """A panel with its slats; the gaps count as fence too, as CamVid's annotators have it."""
    top, depth, slat = rng.uniform(1.0, 1.8), z + length, _tone(rng, 60, 220, 14)
    panel = _strip((x, x), (0, top), (z, depth))
    yield Shape(depth, FENCE, slat * rng.uniform(0.4, 0.6), panel)
    starts = np.arange(z, depth - 0.2, 0.4 if z < 12 else 0.9)[:, None, None]
    slats = _strip((x, x), (0.1, top + 0.1), (0, 0.17)) + starts * (0, 0, 1)
    rail = _strip((x, x), (top * 0.75, top * 0.85), (z, depth))
    yield Shape(depth, FENCE, slat, np.concatenate([slats, rail]))


def _tree(rng: Rng, style: Style, x: float, z: float) -> Iterator[Shape]:
    radius, stem = rng.uniform(1.2, 2.4), rng.uniform(1.8, 3.2)
    trunk = SQUARE * (0.14, stem / 2 + 0.5) + (0, stem / 2 + 0.5)
    yield Shape(z, TREE, _tone(rng, 40, 110, 10), _upright(x, z, trunk[None]))
    blobs = rng.uniform((-0.8, 0, 0.5), (0.8, 1.6, 0.9), (6, 1, 3)) * radius
    crown = _upright(x, z, blobs[..., :2] + DISC * blobs[..., 2:] + (0, stem))
    leaf = style.leaf + rng.normal(0, 8, 3)
    yield Shape(z, TREE, leaf, crown[:4], LEAVES)
    yield Shape(z, TREE, leaf * 1.25, crown[4:], LEAVES)


def _pole(rng: Rng, x: float, z: float) -> Iterator[Shape]:
    """A lamp over the road, or a sign; 8 cm thick, which is one to three pixels of 96 rows."""
    lamp, colour = rng.random() < 0.4, _tone(rng, 25, 95, 5)
    height = rng.uniform(5, 8) if lamp else rng.uniform(2.3, 3.2)
    yield Shape(z, POLE, colour, _upright(x, z, [SQUARE * (0.04, height / 2) + (0, height / 2)]))
    if lamp:
        arm = SQUARE * (0.65, 0.06) + (-0.65 * np.sign(x), height)
        yield Shape(z, POLE, colour, _upright(x, z, [arm]))
        return
    board = (DISC, DISC[[1, 4, 8, 11]], SQUARE)[rng.integers(3)] * rng.uniform(0.4, 0.65)
    for size, face in (1.0, _tone(rng, 190, 250, 8)), (0.7, _tone(rng, 60, 180, 75)):
        yield Shape(z, SIGN, face, _upright(x, z, [board * size + (0, height)]))


def _person(rng: Rng, x: float, z: float, label: int = PEDESTRIAN) -> Iterator[Shape]:
    """Someone on foot; or in the saddle, which is 35 cm higher, and leaning forward."""
    lean, lift = (rng.choice((-0.3, 0.3)), 0.35) if label == BICYCLIST else (0.0, 0.0)
    tall, step = rng.uniform(1.5, 1.9), rng.uniform(0.06, 0.18)
    leg = np.array([(step, 0), (step + 0.09, 0), (0.14, 0.5), (0, 0.5)])
    torso = [(-0.15, 0.45), (0.15, 0.45), (lean + 0.14, 0.84), (lean - 0.14, 0.84)]
    head = DISC * (0.06, 0.085) + (lean * 1.2, 0.92)
    for colour, outline in (
        (_tone(rng, 20, 150, 22), [leg, leg * (-1, 1)]),
        (_tone(rng, 20, 235, 48), [torso]),
        (_tone(rng, 70, 210, 14), [head]),
    ):
        yield Shape(z, label, colour, _upright(x, z, np.array(outline) * tall + (0, lift)))


def _cyclist(rng: Rng, x: float, z: float) -> Iterator[Shape]:
    """Wheels are rings: what shows between the spokes keeps its own label."""
    turn = np.array([rng.uniform(0.3, 1.0), 1.0])  # the street's direction shortens the bicycle
    wheels = [(DISC * 0.35 + (side * 0.52, 0.35)) * turn for side in (-1, 1)]
    frame = np.array([[(-0.52, 0.35), (0.0, 0.4), (0.4, 0.95), (-0.2, 0.9)]]) * turn
    yield Shape(z, BICYCLIST, BLACK, _upright(x, z, wheels), line=0.06)
    yield Shape(z, BICYCLIST, _tone(rng, 20, 200, 40), _upright(x, z, frame), line=0.06)
    yield from _person(rng, x, z, BICYCLIST)


def _car(rng: Rng, x: float, z: float) -> Iterator[Shape]:
    van = rng.random() < 0.2
    half, waist, tall, back = (1.0, 1.2, 2.1, 0.1) if van else (0.88, 0.9, 1.45, 0.7)
    far, paint, glass = z + 4.4, _paint(rng, WARM, GREEN), _tone(rng, 25, 110, 8)
    yield Shape(z, VOID, BLACK, _strip((x - half, x + half), (0, 0), (z, far)), SHADE)
    yield from _box(z, CAR, x, half, (0.3, waist), (z, far), paint * 1.1, paint * 0.85, paint)
    cabin = (z + back, far - 1.1)
    yield from _box(z, CAR, x, half * 0.85, (waist, tall), cabin, paint * 1.1, glass, glass)
    pair = np.array([[(-0.75 * half, 0.0)], [(0.75 * half, 0.0)]])
    tyres, lamps = SQUARE * (0.13, 0.18) + (0, 0.18), SQUARE * (0.1, 0.1) + (0, 0.7)
    yield Shape(z, CAR, BLACK, _upright(x, z, pair + tyres))
    yield Shape(z, CAR, np.array([200.0, 40.0, 40.0]), _upright(x, z, pair + lamps))
    if abs(x) > half:
        wheel = np.insert(DISC * (0.32, 0.34) + (0.32, 0), 0, x - np.sign(x) * half, axis=-1)
        yield Shape(z, CAR, BLACK, wheel + np.array([[(0, 0, z + 0.8)], [(0, 0, z + 3.5)]]))


def _ground(rng: Rng, style: Style, left: float, right: float) -> Iterator[Shape]:
    """Road between two pavements in one paint; kerbs and lane marks share another one.

    Shadows cross the whole street, so that they do not tell road from pavement either.
    """
    cuts, stone = np.geomspace(1.1, 160, 16), style.ground * rng.uniform(1.25, 1.6)
    yield Shape(300, PAVEMENT, style.ground, _strip((-80, 80), (0, 0), cuts), GROUND)
    yield Shape(299, ROAD, style.ground, _strip((left, right), (0, 0), cuts), GROUND)
    for x in (left - 0.25, right):
        yield Shape(298, PAVEMENT, stone, _strip((x, x + 0.25), (0, 0), cuts), GROUND)
    centre, period = (left + right) / 2 + np.array([-0.09, 0.09]), rng.uniform(3.5, 6)
    starts = np.arange(rng.uniform(1.2, 4), 50, period)[:, None, None]
    dash = _strip((centre[0], centre[1]), (0, 0), (0, period / 2))
    yield Shape(298, ROAD, stone, dash + starts * (0, 0, 1), GROUND)
    if rng.random() < 0.3:  # a zebra crossing
        starts = np.arange(left + 0.4, right - 0.6, 1.1)[:, None, None]
        bar = _strip((0, 0.5), (0, 0), rng.uniform(5, 14) + np.array([0.0, 3.0]))
        yield Shape(298, ROAD, stone, bar + starts * (1, 0, 0), GROUND)
    for z in _places(rng, 2, 35, 2.0 * style.sunny):
        yield Shape(298, VOID, BLACK, _strip((-80, 80), (0, 0), (z, z * 1.3)), SHADE)


def _sky(rng: Rng, style: Style) -> Iterator[Shape]:
    """Brighter towards the horizon, with clouds and a skyline that closes the street."""
    for k, up in enumerate((750, 260, 170, 100, 45)):
        band = SQUARE * (3000, 500) + (0, up - 500)
        yield Shape(1000, SKY, style.sky * (0.9 + 0.05 * k), _upright(0, 900, [band]))
    for _ in range(rng.integers(0, 7)):
        x, y, rx, ry = rng.uniform((-500, 80, 40, 15), (500, 450, 160, 60))
        puff = _upright(x, 890, [DISC * (rx, ry) + (0, y)])
        yield Shape(890, SKY, _tone(rng, 120, 250, 6), puff)
    for x in range(-150, 151, 30):
        block = _upright(x, 150, [SQUARE * (16, rng.uniform(5, 22))])
        if rng.random() < style.built:
            yield Shape(400, BUILDING, style.walls[rng.integers(5)], block, WALL)
        else:
            yield Shape(400, TREE, style.leaf, block, LEAVES)


def _side(rng: Rng, style: Style, kerb: float, paved: float) -> Iterator[Shape]:
    """One side of the street: houses or gaps, `paved` metres from the kerb, and what is between."""
    side = float(np.sign(kerb))
    front, z, built = kerb + side * paved, rng.uniform(1.3, 6), style.built * rng.uniform(0.5, 1.2)
    while z < 75:
        length = rng.uniform(6, 13) + z * 0.25
        if rng.random() < built:
            yield from _house(rng, style, front, z, length)
        else:
            if rng.random() < 0.7:
                yield from _fence(rng, front, z, length)
            for near in z + length * rng.uniform(0.1, 0.9, rng.poisson(1.3 * style.green)):
                yield from _tree(rng, style, front + side * rng.uniform(1.5, 6), near)
        z += length
    for z in _places(rng, 6, 45, 1.0 * style.green):
        yield from _tree(rng, style, kerb + side * 0.7, z)
    for z in rng.uniform(6, 9.5) * np.array([1.0, 1.7, 3.0]):
        yield from _pole(rng, kerb + side * 0.4, z)
    for z in _places(rng, 4, 24, 2.6 * style.busy):
        yield from _person(rng, kerb + side * paved * rng.uniform(0.25, 0.85), z)
    for z in _places(rng, 6, 40, 0.8 * style.busy):
        yield from _car(rng, kerb - side * 1.2, z)
    if rng.random() < 0.25:
        yield from _fence(rng, kerb + side * 0.2, rng.uniform(5, 15), rng.uniform(4, 12))
    if rng.random() < 0.2:  # a bin: CamVid has no class for it
        z, paint = rng.uniform(3.5, 9), _tone(rng, 30, 200, 30)
        yield from _box(z, VOID, kerb + side * 0.8, 0.3, (0, 1), (z, z + 0.6), paint, paint, paint)


def _scene(rng: Rng, style: Style, aspect: float) -> tuple[View, list[Shape]]:
    """The camera and the shapes in painting order, for an image `aspect` heights wide."""
    low, high = (0.1 * aspect, 0.24, 0.8, 1.3, -0.006), (0.9 * aspect, 0.74, 1.1, 2.2, 0.006)
    view = View(*rng.uniform(low, high).tolist())
    left, right = rng.uniform((-5.0, 1.6), (-1.6, 5.0)).tolist()
    shapes = [*_sky(rng, style), *_ground(rng, style, left, right)]
    for kerb in (left, right):
        shapes += _side(rng, style, kerb, rng.uniform(1.5, 6))
    for z in _places(rng, 7, 50, 1.0 * style.busy):
        shapes += _car(rng, rng.uniform(left + 1, right - 1), z)
    for z in _places(rng, 4.5, 22, 1.5 * style.busy):
        shapes += _cyclist(rng, rng.uniform(left + 0.4, right - 0.4), z)
    if rng.random() < 0.3:  # someone crosses
        shapes += _person(rng, rng.uniform(left, right), rng.uniform(5, 15))
    if style.bonnet:  # of the camera's own car, a metre ahead, at the bottom of the image
        middle, rim = (aspect / 2 - view.x) / view.focal, view.eye - (1 - view.y) / view.focal
        shapes.append(Shape(0, VOID, BLACK, _upright(middle, 1, [DISC * (0.6, 0.09) + (0, rim)])))
    return view, sorted(shapes, key=lambda shape: -shape.depth)


def _draw(view: View, shapes: list[Shape], height: int, width: int) -> tuple[UInt8, UInt8]:
    """Paint a canvas (H, W, 4) of RGB and material * 16 + label; and where shade is, (H, W)."""
    canvas, shade = np.zeros((height, width, 4), np.uint8), np.zeros((height, width), np.uint8)
    world = np.concatenate([shape.points.reshape(-1, 3) for shape in shapes])
    # Sixteenths of a pixel, from the centre of the first one.
    pixels = np.rint((view.project(world) * height - 0.5) * 16).astype(np.int32)
    start = 0
    for shape in shapes:
        count, corners = shape.points.shape[:2]
        outlines = pixels[start : start + count * corners].reshape(count, corners, 2)
        start += count * corners
        ink = (*shape.colour.tolist(), shape.material * 16 + shape.label)
        if shape.line:
            thick = max(1, round(shape.line * view.focal / shape.depth * height))
            cv2.polylines(canvas, list(outlines), True, ink, thick, shift=4)
            continue
        plane = shade if shape.material == SHADE else canvas
        for outline in outlines:
            cv2.fillConvexPoly(plane, outline, ink, shift=4)
    return canvas, shade


@cache
def _noise() -> tuple[Floats32, Floats32]:
    """Noise that wraps around: standard noise of materials, fine and 4 samples coarse,
    (256, 256, 2), and the grain of three channels, (256, 256, 3)."""
    fine, coarse, *grain = np.random.default_rng(GENERATOR).standard_normal((5, 256, 256))
    blurred = cv2.GaussianBlur(np.tile(coarse, (3, 3)), (0, 0), 1.5)[256:512, 256:512]
    material = np.stack([fine, blurred / blurred.std()], axis=-1)
    return material.astype(np.float32), (GRAIN * np.stack(grain, axis=-1)).astype(np.float32)


def _window(rng: Rng, tile: Floats32, columns: int) -> Floats32:
    """A random part of a tile, (GRID, columns, ...)."""
    row, column = rng.integers(256, size=2)
    rows = tile.take(row + np.arange(GRID), axis=0, mode="wrap")
    window: Floats32 = rows.take(column + np.arange(columns), axis=1, mode="wrap")
    return window


def _develop(canvas: UInt8, shade: UInt8, style: Style, rng: Rng) -> UInt8:
    """Shadows, texture, blur, light and the camera's grain: the image (H, W, 3)."""
    height, width = shade.shape
    material, size = canvas[..., 3] >> 4, (width, height)
    image = canvas[..., :3].astype(np.float32)
    image[(shade > 0) & (material == GROUND)] *= 0.6
    texture, grain = (_window(rng, tile, round(GRID * width / height)) for tile in _noise())
    image += np.einsum("hwc,hwc->hw", NOISE[material], cv2.resize(texture, size))[..., None]
    lit = cv2.GaussianBlur(image, (0, 0), 0.5 * height / GRID) * style.gain + style.lift
    # Not interpolated, which would average grain away in larger images.
    lit += cv2.resize(grain, size, interpolation=cv2.INTER_NEAREST)
    developed: UInt8 = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
    return developed


def _labels(canvas: UInt8) -> UInt8:
    label = canvas[..., 3] & 15
    return np.where(label == VOID, np.uint8(IGNORE), label)


class Streets:
    """One split of the generated streets."""

    labels = CAMVID

    def __init__(
        self,
        split: str,
        root: Path | None = None,
        *,
        height: int = 96,
        width: int = 128,
        train: int = 400,
        val: int = 40,
        test: int = 80,
    ) -> None:
        """`root` is ignored: every data set takes one, and this one reads no file.

        Raises:
            DataError: an unknown split, an image under 33 pixels, or a split without images.
        """
        if split not in SPLITS:
            raise DataError(f"streets has no split {split!r}: ask for one of {', '.join(SPLITS)}")
        counts = {"train": train, "val": val, "test": test}
        for name, value in {"height": height, "width": width, **counts}.items():
            least = 1 if name in counts else MIN_SIDE
            if value < least:
                raise DataError(f"streets came with {name}={value}: raise it to {least} or more")
        self.split, self.height, self.width = split, height, width
        self.ids = [f"{split}_{index:04d}" for index in range(counts[split])]
        self.groups = [f"{split}_drive_{i // DRIVE:03d}" for i in range(counts[split])]

    def __len__(self) -> int:
        return len(self.ids)

    def _render(self, index: int) -> tuple[UInt8, UInt8, Style, Rng]:
        index = range(len(self))[index]  # IndexError past the end, which ends iteration
        code, aspect = SPLITS.index(self.split), self.width / self.height
        style = Style(np.random.default_rng([GENERATOR, code, index // DRIVE, 1]))
        rng = np.random.default_rng([GENERATOR, code, index, 2])
        return *_draw(*_scene(rng, style, aspect), self.height, self.width), style, rng

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        """Image (H, W, 3) RGB and mask (H, W) of class indices with 255 for ignore."""
        canvas, shade, style, rng = self._render(index)
        return _develop(canvas, shade, style, rng), _labels(canvas)

    def mask(self, index: int) -> UInt8:
        """The mask alone, (H, W)."""
        return _labels(self._render(index)[0])

    def fingerprint(self) -> str:
        """A hash of what the pictures follow from: generator, split, count and size."""
        source = (GENERATOR, self.split, len(self), self.height, self.width)
        return hashlib.sha256(repr(source).encode()).hexdigest()
