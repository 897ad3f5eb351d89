"""Image files that are damaged, odd or hostile, each in memory: what a folder of a user may hold.

`MADE` has a maker of each by name: what lies in the file beside bytes that a reader has to show, or
None where it has to refuse. Kinds: a photograph (RGB), labels (ids).
"""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.labels import UInt8

Order = Literal["<", ">"]
Array = npt.NDArray[np.generic]

H, W = 24, 32
RNG = np.random.default_rng(5)
IDS: UInt8 = (np.arange(H * W).reshape(H, W) // 40 % 5).astype(np.uint8)
GREY: UInt8 = (IDS * 50 + 3).astype(np.uint8)
RGB: UInt8 = np.stack([GREY, GREY.T.reshape(H, W), 255 - GREY], -1)


class Odd(NamedTuple):
    """A file.

    Attributes:
        photo: RGB (H, W, 3) that it shows as a photograph; None: to be refused; `ANY`: either,
            without a number that is right.
        mask: ids (H, W) that it holds as labels; None: to be refused.
    """

    content: bytes
    photo: Array | str | None
    mask: Array | str | None


ANY = "any"


def saved(array: Array, kind: str, mode: str | None = None, **options: object) -> bytes:
    picture = Image.fromarray(array)
    if mode:
        picture = picture.convert(mode)
    picture.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def grey_rgb(array: Array) -> Array:
    return np.repeat(array[..., None], 3, -1)


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(width: int, height: int, depth: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG of these chunks, whatever they say."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def rows(array: UInt8) -> bytes:
    """Pixels as a PNG has them, each row after a filter of 0."""
    return b"".join(b"\0" + row.tobytes() for row in array)


@cache
def bomb(side: int, depth: int = 1) -> bytes:
    """A PNG of so many zeros that a few kilobytes fill gigabytes."""
    packer, packed = zlib.compressobj(9), b""
    row = bytes(1 + side * depth // 8)
    for _ in range(side):
        packed += packer.compress(row)
    return png(side, side, depth, 0, chunk(b"IDAT", packed + packer.flush()))


def tiff(
    array: Array, photometric: int, extra: list[int] | None = None, order: Order = "<"
) -> bytes:
    """One uncompressed strip, samples interleaved."""
    height, width, samples = array.shape
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    tags: list[tuple[int, str, list[int]]] = [
        (256, "H", [width]),
        (257, "H", [height]),
        (258, "H", [array.dtype.itemsize * 8] * samples),
        (259, "H", [1]),
        (262, "H", [photometric]),
        (273, "I", [8]),
        (277, "H", [samples]),
        (278, "H", [height]),
        (279, "I", [len(data)]),
        *([(338, "H", extra)] if extra else []),
        (339, "H", [kind] * samples),
    ]
    place = 8 + len(data)
    more_at = place + 2 + 12 * len(tags) + 4
    table, more = struct.pack(f"{order}H", len(tags)), b""
    for tag, form, values in tags:
        packed = struct.pack(f"{order}{len(values)}{form}", *values)
        head = struct.pack(f"{order}HHI", tag, 3 if form == "H" else 4, len(values))
        if len(packed) > 4:
            table += head + struct.pack(f"{order}I", more_at + len(more))
            more += packed
        else:
            table += head + packed.ljust(4, b"\0")
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}I", place) + data + table + bytes(4) + more


def animated(kind: str, **options: object) -> bytes:
    first, second = Image.fromarray(IDS), Image.fromarray(IDS[::-1].copy())
    first.save(file := io.BytesIO(), kind, save_all=True, append_images=[second], **options)
    return file.getvalue()


def with_exif(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(RGB, kind, exif=exif)


def deep(array: Array) -> Array:
    return array.astype(np.uint16) * 257


def bands(num: int) -> Array:
    return np.concatenate([RGB, *[GREY[..., None]] * (num - 3)], -1)


def jpeg_of(content: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


JPEG = saved(RGB, "JPEG", quality=90)
DATA = chunk(b"IDAT", zlib.compress(rows(IDS)))
GREY_PNG, RGB_PNG = saved(IDS, "PNG"), saved(RGB, "PNG")
FAINT = bytes(v for i in range(256) for v in (i, 255 - i, 7))


def indexed(kind: str, **options: object) -> bytes:
    picture = Image.fromarray(IDS)
    picture.putpalette(FAINT)
    picture.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


PAINTED = np.frombuffer(FAINT, np.uint8).reshape(-1, 3)[IDS]

MADE: dict[str, Callable[[], Odd]] = {
    # Sound, whatever their name
    "grey PNG": lambda: Odd(GREY_PNG, grey_rgb(IDS), IDS),
    "16-bit PNG": lambda: Odd(saved(deep(IDS), "PNG"), grey_rgb(IDS), deep(IDS)),
    "palette PNG": lambda: Odd(indexed("PNG"), PAINTED, IDS),
    "palette with transparency": lambda: Odd(indexed("PNG", transparency=0), PAINTED, IDS),
    "GIF": lambda: Odd(indexed("GIF"), PAINTED, IDS),
    "BMP": lambda: Odd(indexed("BMP"), PAINTED, IDS),
    "1-bit PNG": lambda: Odd(
        saved((IDS > 2) * np.uint8(255), "PNG", "1"), grey_rgb((IDS > 2) * np.uint8(255)), IDS > 2
    ),
    "interlaced PNG": lambda: Odd(
        # One pass of Adam7 is all that a single pixel has.
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1))
        + chunk(b"IDAT", zlib.compress(b"\0\3"))
        + chunk(b"IEND", b""),
        np.full((1, 1, 3), 3, np.uint8),
        np.full((1, 1), 3, np.uint8),
    ),
    "JPEG": lambda: Odd(JPEG, jpeg_of(JPEG), None),
    "CMYK JPEG": lambda: Odd(
        c := saved(RGB, "JPEG", "CMYK"), jpeg_of(c), None
    ),
    "JPEG in TIFF": lambda: Odd(saved(GREY, "TIFF", compression="jpeg"), ANY, None),
    "lossy WebP": lambda: Odd(c := saved(RGB, "WEBP", quality=60), jpeg_of(c), None),
    "lossy WebP with alpha": lambda: Odd(
        c := saved(np.dstack([RGB, GREY]), "WEBP", quality=60), jpeg_of(c), None
    ),
    "lossless WebP": lambda: Odd(saved(RGB, "WEBP", lossless=True), RGB, ANY),
    "RGBA PNG": lambda: Odd(saved(np.dstack([RGB, GREY]), "PNG"), RGB, ANY),
    "grey and alpha": lambda: Odd(
        saved(np.dstack([GREY, GREY * 0 + 255]), "PNG"), grey_rgb(GREY), ANY
    ),
    "CMYK TIFF": lambda: Odd(c := saved(RGB, "TIFF", "CMYK"), jpeg_of(c), None),
    "LZW TIFF": lambda: Odd(saved(IDS, "TIFF", compression="tiff_lzw"), grey_rgb(IDS), IDS),
    "4 bands": lambda: Odd(tiff(bands(4), 1, [0] * 3), RGB, None),
    "4 bands, big-endian": lambda: Odd(tiff(bands(4), 1, [0] * 3, ">"), RGB, None),
    "5 bands": lambda: Odd(tiff(bands(5), 1, [0] * 4), RGB, None),
    "6 bands": lambda: Odd(tiff(bands(6), 1, [0] * 5), RGB, None),
    "6 bands, big-endian": lambda: Odd(tiff(bands(6), 1, [0] * 5, ">"), RGB, None),
    "8 bands": lambda: Odd(tiff(bands(8), 1, [0] * 7), None, None),
    "3 bands of 16 bits": lambda: Odd(tiff(deep(RGB), 1, [0, 0]), RGB, None),
    "4 bands of 16 bits": lambda: Odd(tiff(deep(bands(4)), 1, [0] * 3), RGB, None),
    "RGB of 16 bits": lambda: Odd(tiff(deep(RGB), 2), RGB, ANY),
    "float RGB": lambda: Odd(tiff(RGB.astype(np.float32), 2), None, None),
    "float grey": lambda: Odd(saved(GREY.astype(np.float32), "TIFF"), None, None),
    "signed": lambda: Odd(tiff(RGB.astype(np.int16), 2), None, None),
    "32 bits": lambda: Odd(tiff(RGB.astype(np.uint32), 2), None, None),
    # Turned
    **{
        f"EXIF {n} {kind}": (
            lambda n=n, kind=kind, turn=turn: Odd(  # type: ignore[misc]
                c := with_exif(n, kind),
                turn(RGB if kind == "PNG" else np.asarray(Image.open(io.BytesIO(c)))),
                None,
            )
        )
        for kind in ("JPEG", "PNG")
        for n, turn in {
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            6: lambda a: np.rot90(a, -1),
            8: lambda a: np.rot90(a, 1),
        }.items()
    },
    # Of several pictures
    "animated GIF": lambda: Odd(animated("GIF"), None, None),
    "animated WebP": lambda: Odd(animated("WEBP", lossless=True), None, None),
    "pages of a TIFF": lambda: Odd(animated("TIFF"), None, None),
    # Damaged
    "empty": lambda: Odd(b"", None, None),
    "one byte": lambda: Odd(b"\x89", None, None),
    "signature alone": lambda: Odd(GREY_PNG[:8], None, None),
    "header cut": lambda: Odd(GREY_PNG[:20], None, None),
    "header alone": lambda: Odd(GREY_PNG[:33], None, None),
    "half": lambda: Odd(RGB_PNG[: len(RGB_PNG) // 2], None, None),
    "half a JPEG": lambda: Odd(JPEG[: len(JPEG) // 2], None, None),
    "half a TIFF": lambda: Odd((c := saved(IDS, "TIFF"))[: len(c) // 2], None, None),
    "half a WebP": lambda: Odd((c := saved(RGB, "WEBP", lossless=True))[: len(c) // 2], None, None),
    "text": lambda: Odd(b"<html>404 not found</html>", None, None),
    "EPS": lambda: Odd(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", None, None),
    "LFS pointer": lambda: Odd(b"version https://git-lfs.github.com/spec/v1\n", None, None),
    "no pixels": lambda: Odd(png(W, H, 8, 0), None, None),
    # Pillow fills what is missing with zeros where the packed pixels end as they should.
    "too few rows": lambda: Odd(
        png(W, H, 8, 0, chunk(b"IDAT", zlib.compress(rows(IDS[:3])))), ANY, ANY
    ),
    "no size": lambda: Odd(png(0, H, 8, 0, chunk(b"IDAT", zlib.compress(b"\0" * H))), None, None),
    "no palette": lambda: Odd(png(W, H, 8, 3, chunk(b"IDAT", zlib.compress(rows(IDS)))), ANY, ANY),
    "unknown depth": lambda: Odd(png(W, H, 7, 0, chunk(b"IDAT", b"")), None, None),
    "wrong checksum": lambda: Odd(RGB_PNG.replace(b"IDAT", b"IDAU"), None, None),
    "a chunk in a chunk": lambda: Odd(
        png(W, H, 8, 0, chunk(b"tEXt", chunk(b"IDAT", b"x")), DATA),
        grey_rgb(IDS),
        IDS,
    ),
    "two headers": lambda: Odd(
        png(W, H, 8, 0, chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))), None, None
    ),
    "a profile that unpacks to much": lambda: Odd(
        png(
            W, H, 8, 0,
            chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 24))),
            DATA,
        ),
        ANY,
        ANY,
    ),
    "a text that unpacks to much": lambda: Odd(
        png(
            W, H, 8, 0,
            chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26))),
            DATA,
        ),
        ANY,
        ANY,
    ),
    # Hostile sizes
    "a header of 2^31": lambda: Odd(
        png(2**31 - 1, 2**31 - 1, 8, 2, chunk(b"IDAT", zlib.compress(bytes(99)))), None, None
    ),
    "30000 x 30000": lambda: Odd(bomb(30000), None, None),
    "a photograph in too few bytes": lambda: Odd(bomb(1200), None, ANY),
}  # fmt: skip
