"""What an image file is, told by its content and never by its name, and its pixels.

Whether memory will hold them is known before one is decoded.
"""

import io
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")  # EPS would start Ghostscript

# 23170 x 23170; an RGB image of that takes Pillow and NumPy 4 GB. Pillow's own limit, a third of
# it, refuses aerial images and whole slides that memory holds.
MAX_PIXELS = 2**29
# From Pillow's limit on a photograph needs a byte in so many pixels: the hardest JPEG has one in
# 80, what is made to fill memory one in a thousand or more.
_LARGE, _PIXELS_A_BYTE = 89_478_485, 500
Image.MAX_IMAGE_PIXELS = None  # `check_size` stands in for it, in `open_image`

_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # the EXIF tag
_BITS, _PHOTOMETRIC, _BANDS, _EXTRA, _FORMAT = 258, 262, 277, 338, 339  # TIFF tags
_NUMBERS = {1: "whole numbers", 2: "signed whole numbers", 3: "floating-point numbers"}


class DecodingError(ValueError):
    """A file that is not to be decoded; the message names it and what is needed."""


class NoImageError(DecodingError):
    """A file that is no image."""


def check_size(path: Path, width: int, height: int, *, photograph: bool) -> None:
    """Refuse what would fill the memory.

    Args:
        photograph: whether it has to have a photograph's bytes; labels compress without a limit.

    Raises:
        DecodingError: more than MAX_PIXELS, or a large photograph of hardly any bytes.
    """
    pixels, size = width * height, path.stat().st_size
    if pixels > MAX_PIXELS:
        raise DecodingError(
            f"{path} is {width}x{height}, {pixels / 1e6:.0f} million pixels: at most "
            f"{MAX_PIXELS / 1e6:.0f} million are read, so cut it into tiles"
        )
    if photograph and pixels > _LARGE and size * _PIXELS_A_BYTE < pixels:
        raise DecodingError(
            f"{path} is {width}x{height} in {size} bytes, which no photograph is: fetch it again, "
            "or cut it into tiles"
        )


def is_png(path: Path) -> bool:
    """Whether a photograph is a PNG, of a size that a decoder may be let loose on.

    Raises:
        DecodingError: as `check_size`.
        OSError: a file that is not there.
    """
    with path.open("rb") as stream:
        head = stream.read(24)
    if len(head) < 24 or not head.startswith(_PNG):
        return False
    check_size(path, *struct.unpack(">II", head[16:]), photograph=True)
    return True


def open_image(stream: BinaryIO, path: Path, *, photograph: bool) -> Image.Image:
    """An image of which only the header is read.

    A photograph in a TIFF of up to six bands that Pillow does not know, as GDAL and rasterio write
    them, is given as its first three: red, green and blue.

    Raises:
        DecodingError: no image, one of unknown bands or numbers, or too large a one.
    """
    stream.seek(0)
    try:
        file: Image.Image = Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError:
        stream.seek(0)
        file = _first_bands(stream.read(), path, photograph)
    check_size(path, *file.size, photograph=photograph)
    return file


def _first_bands(content: bytes, path: Path, photograph: bool) -> Image.Image:
    """A TIFF whose first three bands are declared red, green and blue.

    Raises:
        DecodingError: no TIFF, or one whose numbers are of no known range.
    """
    try:
        tags = ImageFileDirectory_v2(content[:8])
        (stream := io.BytesIO(content)).seek(tags.next)
        tags.load(stream)
        bands = _layout(tags)
    except (SyntaxError, ValueError, KeyError, OSError, struct.error):
        raise _no_image(path) from None
    needed = "three bands of 8 or 16 bits" if photograph else "one band of 8 or 16 bits"
    try:
        if photograph:
            return Image.open(io.BytesIO(_declared_rgb(content, tags)), formats=["TIFF"])
    except (UnidentifiedImageError, ValueError, KeyError):
        pass  # the sentence that labels get as well
    raise DecodingError(
        f"{path} is a TIFF of {bands}, which is not read: save {needed}, whole numbers from 0"
    )


def _declared_rgb(content: bytes, tags: ImageFileDirectory_v2) -> bytes:
    """The same file with other values of two tags: colours are RGB, all other bands say nothing.

    Raises:
        ValueError: a BigTIFF, or numbers that are not 8 or 16 bits from 0.
        KeyError: without a tag that is needed.
    """
    if content[2:4] not in (b"*\0", b"\0*") or {*tags.get(_FORMAT, (1,))} != {1}:
        raise ValueError
    if len(tags[_BITS]) < 3 or {*tags[_BITS]} not in ({8}, {16}):
        raise ValueError
    order, changed, extra = "<>"[content[:1] == b"M"], bytearray(content), tags[_BANDS] - 3
    (start,) = struct.unpack(f"{order}I", content[4:8])
    for entry in range(start + 2, start + 2 + 12 * len(tags), 12):
        tag, _, count, place = struct.unpack(f"{order}HHII", content[entry : entry + 12])
        if tag == _PHOTOMETRIC:
            struct.pack_into(f"{order}H", changed, entry + 8, 2)
        elif tag == _EXTRA and count > 2 >= extra:  # what lay elsewhere now fits into the entry
            struct.pack_into(f"{order}II", changed, entry + 4, extra, 0)
        elif tag == _EXTRA:
            struct.pack_into(f"{order}I", changed, entry + 4, extra)
            values = struct.pack(f"{order}{extra}H", *[0] * extra)
            start_at = place if count > 2 else entry + 8
            changed[start_at : start_at + len(values)] = values
    return bytes(changed)


def _layout(tags: ImageFileDirectory_v2) -> str:
    """Bands and their numbers in words, as `4 bands of 16-bit whole numbers`."""
    bands = tags.get(_BANDS, 1)
    number = _NUMBERS.get(tags.get(_FORMAT, (1,))[0], "numbers of an unknown kind")
    bits = "/".join(map(str, dict.fromkeys(tags.get(_BITS, (1,)))))
    return f"{bands} band{'s' * (bands > 1)} of {bits}-bit {number}"


def photograph_pixels(file: Image.Image, stream: BinaryIO, path: Path) -> np.ndarray:
    """Pixels of a photograph, (H, W) or RGB (H, W, 3), 8 or 16 bits, turned as its EXIF data say.

    Raises:
        DecodingError: numbers of no known range.
    """
    picture = ImageOps.exif_transpose(file)
    if picture.mode in ("I", "F"):
        tags = file.tag_v2 if isinstance(file, TiffImageFile) else ImageFileDirectory_v2()
        raise DecodingError(
            f"{path} has {_layout(tags)}, whose range nobody knows: save it "
            "with 8 or 16 bits, whole numbers from 0"
        )
    if picture.mode not in ("L", "RGB", "I;16", "I;16B"):
        picture = picture.convert("RGB")
    return np.array(picture)


def label_pixels(file: Image.Image, stream: BinaryIO, path: Path) -> tuple[np.ndarray, bytes]:
    """Pixels of a label file as they are, and the RGB of each index of its palette.

    Raises:
        DecodingError: labels that are turned, lossy or in no colours of a screen.
    """
    if _orientation(file) != 1:
        raise DecodingError(
            f"{path} has an EXIF orientation, which programs follow or not: save the mask "
            "turned as it is to be, without"
        )
    if kind := _lossy(file, stream):
        raise DecodingError(
            f"{path} is {kind}, which is lossy and so changes labels: save the mask as PNG, from "
            "where it was drawn"
        )
    if file.mode in ("CMYK", "YCbCr", "LAB"):
        raise DecodingError(f"{path} is in {file.mode}, whose values are no labels: save it as PNG")
    pixels = np.array(file)
    return pixels, bytes(file.getpalette() or ()) if file.mode in ("P", "PA") else b""


def _lossy(file: Image.Image, stream: BinaryIO) -> str | None:
    """What compresses an opened image, if it changes pixels."""
    if file.format in ("JPEG", "MPO"):
        return "a JPEG"
    if file.format == "TIFF" and file.info.get("compression") in ("jpeg", "tiff_jpeg"):
        return "a TIFF with JPEG compression"
    if file.format == "WEBP" and _webp_is_lossy(stream):
        return "a lossy WebP"
    return None


def _webp_is_lossy(stream: BinaryIO) -> bool:
    """Whether the first picture of a WebP is of the lossy kind, `VP8 `, not `VP8L`."""
    place = 12
    while True:
        stream.seek(place)
        name, size = struct.unpack("<4sI", stream.read(8).ljust(8, b"\0"))
        if name in (b"VP8 ", b"VP8L", b"\0\0\0\0"):
            return bool(name == b"VP8 ")
        place += 24 if name == b"ANMF" else 8 + size + size % 2  # of a frame, look within


def _orientation(file: Image.Image) -> int:
    return int(file.getexif().get(_ORIENTATION, 1))


def turned_unseen(file: Image.Image) -> bool:
    """Whether EXIF data turn or mirror an opened image and leave its size, so that labels that
    follow them or not are of one size with it."""
    orientation = _orientation(file)
    return orientation in (2, 3, 4) or (orientation != 1 and file.width == file.height)


def leaves_bands(file: Image.Image) -> bool:
    """Whether an opened TIFF has more bands than are read."""
    return isinstance(file, TiffImageFile) and file.tag_v2.get(_BANDS, 1) > len(file.getbands())


def has_16_bits(file: Image.Image, stream: BinaryIO) -> bool:
    """Whether an opened PNG or TIFF has 16 bits a channel."""
    if isinstance(file, TiffImageFile):
        return bool(file.tag_v2.get(_BITS, (1,))[0] == 16)
    if file.format != "PNG":
        return False
    place = stream.tell()
    stream.seek(24)  # of a PNG's header
    depth = stream.read(1)
    stream.seek(place)  # from where Pillow goes on
    return depth == b"\x10"


def _no_image(path: Path) -> NoImageError:
    return NoImageError(f"{path} is no image, whatever its name: fetch the file again")
