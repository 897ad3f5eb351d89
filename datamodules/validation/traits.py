"""What is no fault of a file but tells much once other files are seen beside it."""

import numpy as np
from PIL import Image

from datamodules.image_decoding import leaves_bands, turned_unseen
from datamodules.labels import IGNORE, RawLabels, occurring

TURNED, BANDS = "turned", "bands"  # of images
IDS, PAINTED, BLACK_AND_WHITE = "ids", "painted", "0 and 255"  # of labels


def image_traits(file: Image.Image) -> list[str]:
    """Of an opened image."""
    told = {TURNED: turned_unseen(file), BANDS: leaves_bands(file)}
    return [trait for trait, holds in told.items() if holds]


def used_bits(pixels: np.ndarray) -> int:
    """Of the 16 bits of an image those that any of its pixels needs; 8 of them may be read."""
    highest = int(pixels.max(initial=0))
    return highest.bit_length() if pixels.dtype != np.uint8 else 8 + highest.bit_length()


def label_traits(raw: RawLabels) -> list[str]:
    """Of labels."""
    if raw.painted:
        return [PAINTED]
    values = occurring(raw.ids)
    return [IDS, BLACK_AND_WHITE] if values == [0, IGNORE] else [IDS]


def palette_colours(raw: RawLabels) -> dict[str, str]:
    """What a palette paints each id in that occurs, as #ff8000."""
    if not raw.palette:
        return {}
    wide = raw.palette.ljust(768, b"\0")
    return {str(id): f"#{wide[3 * id : 3 * id + 3].hex()}" for id in occurring(raw.ids)}
