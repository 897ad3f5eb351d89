"""The counts of every scored image, as they lie beside a result: whether they are that result's."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


def read_counts(
    content: bytes, path: Path, matrix: Sequence[Sequence[int]], remedy: str
) -> Arrays | None:
    """The arrays of a `per_image.npz`, whose sums are those of the result's matrix.

    None for those of early versions, which kept the names of the images and no counts.

    Args:
        path: of the file, which is named in messages.
        matrix: (K, K + 1) of the result, rows truth, with predicted void as the last column.
        remedy: the end of the sentence.

    Raises:
        ValueError: a damaged file, or one of other images or of another scoring.
    """
    try:
        with np.load(io.BytesIO(content)) as arrays:
            counts = dict(arrays)
    except Exception as error:  # whatever numpy and zipfile raise of damaged bytes, in many words
        raise ValueError(f"{path} is damaged ({type(error).__name__}): {remedy}") from None
    if [*counts] == ["ids"]:
        return None
    wrong = _wrong(counts, np.array(matrix))
    if wrong:
        raise ValueError(f"{path} {wrong}: {remedy}")
    return counts


def _wrong(counts: Arrays, matrix: np.ndarray) -> str:
    """Why arrays are no counts of the images of a result; empty for those that are."""
    images = counts["ids"].shape[:1] if "ids" in counts else (0,)
    shapes = {"ids": images, "groups": images}
    shapes |= dict.fromkeys(("tp", "fp", "fn"), (*images, len(matrix)))
    for name, shape in shapes.items():
        if name not in counts:
            return f"lacks the array {name}"
        if counts[name].shape != shape:
            return f"has {name} of the shape {counts[name].shape}, needed is {shape}"
        if len(shape) > 1 and counts[name].dtype.kind not in "iu":
            return f"has {name} of the type {counts[name].dtype}, needed are whole numbers"
    tp = matrix.diagonal()
    sums = {"tp": tp, "fn": matrix.sum(1) - tp}
    if any((counts[name].sum(0) != expected).any() for name, expected in sums.items()):
        return "counts other pixels than the result beside it"
    return ""
