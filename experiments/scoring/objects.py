"""What becomes of single objects: the connected parts of each class in the truth, by size.

Pixels of a class belong to one object if they touch by an edge or a corner (8-connected). Void
is no class: it parts objects, and its pixels never count.
"""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datamodules.labels import IGNORE, UInt8

OBJECT = np.dtype(
    [("class", "u1"), ("area", "u4"), ("width", "f4"), ("hits", "u4"), ("union", "u4")]
)
Objects = npt.NDArray[np.void]  # of OBJECT
Index = npt.NDArray[np.int64]

# Lower edges of all bins but the first. Areas in pixels: small, medium and large are COCO's
# (cocodataset.org/#detection-eval), and 16 x 16 is one cell of features at an output stride of 16.
AREAS = (16**2, 32**2, 96**2)
WIDTHS = (3, 5, 9, 17)  # pixels: 1-2, 3-4, 5-8, 9-16, and more

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def objects(truth: UInt8, prediction: UInt8) -> Objects:
    """One row an object of one image, in no promised order.

    area: pixels. width: see `_widths`. hits: pixels predicted as the object's class, so that
    hits / area is its recall. union: its area and the false positives of every predicted object
    of its class that shares a pixel with it, so that hits / union is its IoU. A predicted object
    that several overlap counts for each. Predicted objects are found with void taken out.

    Args:
        truth: (H, W) class indices, 255 for void.
        prediction: (H, W) class indices, 255 where it gives none: missed. Anything at void.
    """
    prediction = np.where(truth == IGNORE, np.uint8(IGNORE), prediction)
    starts = _starts(truth, prediction)
    lengths = np.diff(starts, append=truth.size)
    true, predicted = truth.ravel()[starts], prediction.ravel()[starts]
    pairs = _touching(starts, truth.shape[1])
    own, other = _connected(true, pairs), _connected(predicted, pairs)  # (runs,) numbers of objects
    hit = true == predicted

    found = np.zeros(own.max() + 1, OBJECT)
    found["class"][own] = true
    found["area"] = np.bincount(own, lengths)
    found["hits"] = np.bincount(own, lengths * hit)
    np.maximum.at(found["width"], own, np.maximum.reduceat(_widths(truth).ravel(), starts))
    false = np.bincount(other, lengths * ~hit)
    overlaps = np.unique(own[hit] * len(false) + other[hit])  # each pair of objects once
    extra = np.bincount(overlaps // len(false), false[overlaps % len(false)], len(found))
    found["union"] = found["area"] + extra
    kept: Objects = found[found["class"] != IGNORE]
    return kept


def binned(
    rows: Objects, num_classes: int, edges: tuple[float, ...], by: Literal["area", "width"]
) -> Index:
    """Objects, their pixels, true positives and unions of each class and bin, (K, bins, 4).

    They add up over images; true positives / pixels is the recall, true positives / union the IoU.

    Args:
        rows: of one image or of many, concatenated.
        edges: ascending lower edges of all bins but the first, as AREAS or WIDTHS.
    """
    cells = rows["class"].astype(np.int64), np.digitize(rows[by], edges)
    counts = np.zeros((num_classes, len(edges) + 1, 4), np.int64)
    values = np.stack([np.ones(len(rows)), *(rows[n] for n in ("area", "hits", "union"))], axis=1)
    np.add.at(counts, cells, values.astype(np.int64))
    return counts


def _starts(truth: UInt8, prediction: UInt8) -> Index:
    """First pixels, as flat indices, of the runs in a row that share truth and prediction.

    All the rest but widths works on runs: 100 thousand of them stand for 2 million pixels.
    """
    starts = np.ones(truth.shape, bool)
    starts[:, 1:] = (truth[:, 1:] != truth[:, :-1]) | (prediction[:, 1:] != prediction[:, :-1])
    return np.flatnonzero(starts)


def _touching(starts: Index, columns: int) -> tuple[Index, Index]:
    """Pairs of runs that touch by an edge or a corner, as indices."""
    number = np.arange(len(starts))
    row = starts // columns
    beside = number[1:][row[1:] == row[:-1]]
    # Above a run lie those from its upper left pixel to its upper right one, in the same row.
    left, right = row * columns, (row + 1) * columns - 1
    ends = np.append(starts[1:], starts[-1] + columns)
    first = np.searchsorted(starts, np.maximum(starts - 1, left) - columns, "right") - 1
    last = np.searchsorted(starts, np.minimum(ends, right) - columns, "right") - 1
    above = np.where(row > 0, last - first + 1, 0)
    lower = np.repeat(number, above)
    upper = np.arange(len(lower)) + np.repeat(first - (np.cumsum(above) - above), above)
    return np.concatenate([beside - 1, upper]), np.concatenate([beside, lower])


def _connected(labels: UInt8, pairs: tuple[Index, Index]) -> Index:
    """The number of the object, from 0, that each run belongs to."""
    same = labels[pairs[0]] == labels[pairs[1]]
    first, second = pairs[0][same], pairs[1][same]
    graph = coo_array((np.ones(len(first), bool), (first, second)), (len(labels), len(labels)))
    numbers: Index = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def _widths(truth: UInt8) -> npt.NDArray[np.float32]:
    """Diameters, whose maximum over an object is its inscribed width, (H, W).

    The depth of a pixel is the Euclidean distance to the nearest contour pixel of its object,
    which is one with a neighbour across an edge that is void, of another class or outside the
    image. A disc about a pixel has the diameter 2 depth + 1; one about the corner of four pixels
    of the object, 2 (depth of the shallowest) + 2. A line of w pixels so has the width w, even or
    odd. At each pixel stands the larger, of the disc about it and about its lower right corner.
    """
    # A way out of an object leads over its contour, so one transform serves all objects at once.
    inside = _uniform(truth, CROSS, (1, 1))
    # Of OpenCV's modes only this one is exact; a 5x5 mask was 2 pixels off on a large map.
    depth = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    block = np.ones((2, 2), np.uint8)
    four = _uniform(truth, block, (0, 0))
    shallowest = cv2.erode(depth, block, anchor=(0, 0))
    widths: npt.NDArray[np.float32] = 1 + 2 * np.maximum(depth, (shallowest + 0.5) * four)
    return widths


def _uniform(labels: UInt8, kernel: UInt8, anchor: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where all pixels of a window have one label; outside the image lies void."""
    smallest = cv2.erode(labels, kernel, anchor=anchor)
    largest = cv2.dilate(
        labels, kernel, anchor=anchor, borderType=cv2.BORDER_CONSTANT, borderValue=IGNORE
    )
    return np.asarray(smallest == largest)
