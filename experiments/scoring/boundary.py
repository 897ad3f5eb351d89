"""How well a prediction follows the true boundaries: bands around them, and Boundary IoU.

All are counts of one image, made to be added up over a data set. Whether a window holds more than
one class is read off its smallest and largest label. That needs no loop over classes and holds
however the classes are numbered; differences of labels, as detectron2 takes them, are no classes.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.labels import IGNORE, UInt8

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WIDTHS = (1, 2, 3, 5, 8, 12, 20)  # of bands, in pixels


def bands(
    truth: UInt8, prediction: UInt8, num_classes: int, widths: Sequence[int] = WIDTHS
) -> Counts:
    """tp, fp and fn of each class within each width of a true boundary, (len(widths), 3, K).

    A pixel is within d if the centre of a pixel that has another class in the truth lies at most d
    pixels away, in a straight line: pixels that share an edge with another class are within 1.
    Void is no class. Where one meets it is no boundary, as nobody knows what lies there; distances
    run across it, and its own pixels never count. Neither is the image's edge a boundary.

    Args:
        truth: (H, W) class indices, 255 for void.
        prediction: (H, W) class indices, 255 where it gives none: wrong. Anything at void.
        widths: in pixels, ascending.
    """
    assert list(widths) == sorted(widths)
    within = np.zeros(truth.shape, np.uint8)  # how many of the widths reach a pixel
    for width in widths:
        within += near_other_class(truth, width)
    counted = (within > 0) & (truth != IGNORE)
    band = len(widths) - within[counted].astype(np.int64)
    predicted = np.minimum(prediction[counted], num_classes)  # void is the last column
    cells = (band * num_classes + truth[counted]) * (num_classes + 1) + predicted
    shape = len(widths), num_classes, num_classes + 1
    matrices = np.bincount(cells, minlength=math.prod(shape)).reshape(shape).cumsum(0)
    tp = matrices.diagonal(axis1=1, axis2=2)
    return np.stack([tp, matrices.sum(1)[:, :-1] - tp, matrices.sum(2) - tp], axis=1)


def near_other_class(truth: UInt8, width: int) -> Mask:
    """Where a disc of this radius holds two classes, (H, W); undefined at void.

    A disc of pixels is a union of few rectangles (13 for a radius of 20), and OpenCV takes the
    extremes of one in a millisecond for 2048x1024: all of WIDTHS take 0.06 s, where an exact
    distance transform (DIST_MASK_PRECISE) of each of 19 classes takes 0.46 s.
    """
    # Void is the largest label, so the smallest of a disc leaves it out; the largest needs help.
    known = np.where(truth == IGNORE, np.uint8(0), truth)
    smallest, largest = truth, known
    heights = {math.isqrt(width**2 - y**2): y for y in range(width + 1)}  # of each half width
    for x, y in heights.items():
        kernel = np.ones((2 * y + 1, 2 * x + 1), np.uint8)
        smallest = np.minimum(smallest, cv2.erode(truth, kernel))
        largest = np.maximum(largest, cv2.dilate(known, kernel))
    return np.asarray(smallest != largest)


def interior(whole: Counts, within: Counts) -> Counts:
    """What lies beyond each band, (len(widths), 3, K), of tp, fp and fn of whole images, (3, K)."""
    return whole - within


def boundary_counts(
    truth: UInt8, prediction: UInt8, num_classes: int, fraction: float = 0.02
) -> Counts:
    """Intersection and union of the true and the predicted boundary of each class, (2, K).

    Boundary IoU of arXiv 2103.16562, section 4: of a class, the pixels within d of its contour
    are compared, in the truth and in the prediction. As in the authors' code, d counts steps to
    any of eight neighbours, and the image's edge is a contour. So is void, which is taken out of
    truth and prediction alike and never counts.

    Args:
        truth: (H, W) class indices, 255 for void.
        prediction: (H, W) class indices, 255 where it gives none: wrong. Anything at void.
        fraction: d as a part of the image's diagonal, at least 1 pixel. The authors' code
            (boundary-iou-api) takes 0.02 for COCO and LVIS and 0.005, 11 pixels, for Cityscapes.
    """
    distance = max(1, round(fraction * math.hypot(*truth.shape)))
    prediction = np.where(truth == IGNORE, np.uint8(IGNORE), prediction)
    true, predicted = _near_contour(truth, distance), _near_contour(prediction, distance)
    intersection = _histogram(truth[true & predicted & (truth == prediction)], num_classes)
    both = _histogram(truth[true], num_classes) + _histogram(prediction[predicted], num_classes)
    return np.stack([intersection, both - intersection])


def boundary_iou(counts: Counts) -> npt.NDArray[np.float64]:
    """Boundary IoU of each class, (K,), of summed counts, (2, K); NaN where the union is empty."""
    intersection, union = counts
    iou: npt.NDArray[np.float64] = np.full(union.shape, np.nan)
    np.divide(intersection, union, out=iou, where=union > 0)
    return iou


def _near_contour(labels: UInt8, distance: int) -> Mask:
    """Where the square of this half side holds two labels, of which void and outside are one."""
    kernel = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    smallest = cv2.erode(labels, kernel)  # outside lies the largest label, void, in both
    largest = cv2.dilate(labels, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=IGNORE)
    return np.asarray(smallest != largest)


def _histogram(labels: UInt8, num_classes: int) -> Counts:
    """Pixels of each class, (K,); void, which lies above all classes, falls out."""
    return np.bincount(labels, minlength=num_classes)[:num_classes]
