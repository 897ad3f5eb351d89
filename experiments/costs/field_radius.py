"""How far a map of energy reaches from its centre; no torch.

The map is an effective receptive field (`receptive_field`), but whatever is not negative will do.
Distances are between the centres of pixels, in pixels. The centre is pixel (H // 2, W // 2), of an
even side the later one of the two in the middle.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def centre(height: int, width: int) -> tuple[int, int]:
    """Row and column of the pixel that distances are from."""
    return height // 2, width // 2


def _cumulative(energy: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Squared distances that occur, ascending, and the share of the energy up to each of them.

    Raises:
        ValueError: no map, one with a negative value or one that is no number, or without energy.
    """
    total = energy.sum() if energy.ndim == 2 else np.nan
    if not (np.isfinite(total) and total > 0 and energy.min() >= 0):
        raise ValueError(
            f"a map of energy (H, W) of finite values from 0 up, not all of them 0, is needed; got "
            f"one of shape {energy.shape} whose sum is {total}"
        )
    rows, columns = np.ogrid[: energy.shape[0], : energy.shape[1]]
    row, column = centre(*energy.shape)
    squared = (rows - row) ** 2 + (columns - column) ** 2
    sums = np.bincount(squared.ravel(), energy.ravel())
    found = np.flatnonzero(np.bincount(squared.ravel()))
    return found, np.cumsum(sums[found]) / total


def radius(energy: Floats, share: float) -> float:
    """Radius of the disc about the centre that holds a share of the energy, in pixels.

    A pixel belongs to the disc once its own centre does, and all at one distance enter together.
    Between two distances the share is taken as linear, so that the radius is not bound to those
    that occur; it is 0 where the centre pixel alone holds so much. What lies beyond the border of
    the map is not known, so that no radius is larger than the distance of its farthest corner.

    Args:
        energy: (H, W), of any sum.
        share: above 0, up to 1.

    Raises:
        ValueError: another share, or no map of energy.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of the energy lies above 0 and up to 1, got {share}")
    squared, held = _cumulative(energy)
    first = int(np.argmax(held >= min(share, held[-1])))  # the last one may miss 1 by a rounding
    if first == 0:
        return 0.0
    inner, outer = np.sqrt(squared[first - 1 : first + 1])
    part = (share - held[first - 1]) / (held[first] - held[first - 1])
    return float(inner + min(part, 1.0) * (outer - inner))


def radial_profile(energy: Floats) -> Floats:
    """Share of the energy within 0, 1, 2, ... pixels of the centre; the last entry holds all.

    Raises:
        ValueError: no map of energy.
    """
    squared, held = _cumulative(energy)
    farthest = int(np.ceil(np.sqrt(squared[-1])))
    last = np.searchsorted(squared, np.arange(farthest + 1) ** 2, side="right") - 1
    shares: Floats = held[last] / held[-1]
    return shares


def support(energy: Floats) -> tuple[int, int, int, int]:
    """The smallest box around all energy: first row, first column, rows, columns.

    Of the gradient of one layer stack it is the theoretical receptive field, as far as the image
    holds it; of values in floating point it is a lower bound, as what is too small becomes 0.
    """
    rows, columns = np.flatnonzero(energy.any(1)), np.flatnonzero(energy.any(0))
    if not rows.size:
        return 0, 0, 0, 0
    return (
        *(int(rows[0]), int(columns[0])),
        *(int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1),
    )


def shrink(energy: Floats, longest: int = 60) -> Floats:
    """The energy of square cells of whole pixels, as few as leave at most `longest` cells a side.

    Cells at the lower and the right border may be cut; the sum stays.
    """
    cell = max(1, -(-max(energy.shape) // longest))
    by_rows = np.add.reduceat(energy, np.arange(0, energy.shape[0], cell), axis=0)
    found: Floats = np.add.reduceat(by_rows, np.arange(0, energy.shape[1], cell), axis=1)
    return found
