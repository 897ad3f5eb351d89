"""Small folders of a user's own: a plain one, and one of every format that is read."""

from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.labels import IGNORE, UInt8

# As a German spreadsheet writes it: a byte order mark, semicolons, CRLF.
TABLE = (
    "\ufeffid;name;colour;ignore\r\n0;ground;#000000;\r\n1; path ;128 64 0;no\r\n"
    "7;unclear;#ffffff;yes\r\n2;tree;#00a000;0\r\n1000;house;200 0 40;\r\n"
)
IDS = np.array([0, 1, 2, 1000], np.uint16)  # of the classes
COLOURS = np.array([(0, 0, 0), (128, 64, 0), (0, 160, 0), (200, 0, 40)], np.uint8)
TURNED = "b/02"  # a photo that EXIF orientation 6 turns, so that it is stored on its side
SCENES = ("a/01", "b/02", "03", "a/04", "c/05", "c/d/06", "07", "08", "09", "10", "11", "12")


def scene(name: str) -> tuple[UInt8, UInt8]:
    """The image (H, W, 3) and the classes (H, W) of one of SCENES, each of a size of its own."""
    number = SCENES.index(name)
    rng, size = np.random.default_rng(number), (76 - 3 * number, 42 + 2 * number)
    image = rng.integers(256, size=(*size, 3), dtype=np.uint8)
    return image, rng.choice(np.array([0, 1, 2, 3, IGNORE], np.uint8), size)


def build(root: Path) -> None:
    """Ten pairs of 64x48 in PNG, listed in `splits/`."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks", "splits"):
        (root / folder).mkdir(parents=True)
    for split, names in {"train": "abcdef", "val": "gh", "test": "ij"}.items():
        (root / f"splits/{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            image = rng.integers(256, size=(48, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / f"images/{name}.png")
            mask = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (48, 64))
            Image.fromarray(mask).save(root / f"masks/{name}.png")
    (root / "labels.csv").write_text("id,name\n0,ground\n1,path\n2,tree\n")


def build_one_class(root: Path) -> None:
    """The plain one, whose only class is the ground, and all else is ignored."""
    build(root)
    for path in (root / "masks").iterdir():
        with Image.open(path) as file:
            mask = np.array(file)
        Image.fromarray(np.where(mask == 0, 0, IGNORE).astype(np.uint8)).save(path)
    (root / "labels.csv").write_text("id,name\n0,ground\n")


def build_mixed(root: Path) -> None:
    """Twelve pairs, each of other formats and of another size, in six groups of two."""
    for name in SCENES:
        for folder in ("images", "masks"):
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
        image, classes = scene(name)
        _save_image(root / "images" / name, image)
        _save_mask(root / "masks" / name, classes)
    (root / "labels.csv").write_text(TABLE, encoding="utf-8", newline="")
    rows = [f"{name},day {number // 2}\n" for number, name in enumerate(SCENES)]
    (root / "groups.csv").write_text("id,group\n" + "".join(rows))


def grey(image: UInt8) -> "np.ndarray":
    """A channel of 16 bits, (H, W), of which the high byte is red and the low one is green."""
    return image[..., 0].astype(np.uint16) * 256 + image[..., 1]


def _save_image(stem: Path, image: UInt8) -> None:
    exif = Image.Exif()
    exif[274] = 6  # shown a quarter turn clockwise from how it is stored
    rgb, alpha = Image.fromarray(image), Image.fromarray(image[..., 0])
    palette = alpha.copy()
    palette.putpalette(bytes(range(255, -1, -1)) * 3)
    match stem.name:
        case "01":
            rgb.save(f"{stem}.png")
        case "02":
            Image.fromarray(np.rot90(image)).save(f"{stem}.jpg", exif=exif)
        case "03":
            rgb.putalpha(alpha)
            rgb.save(f"{stem}.PNG")
        case "04":
            Image.fromarray(grey(image)).save(f"{stem}.tif")
        case "05":
            rgb.save(f"{stem}.webp", lossless=True)
        case "06":
            rgb.save(f"{stem}.JPEG")
        case "07":
            palette.save(f"{stem}.png")
        case "08":
            alpha.save(f"{stem}.png")
        case "09":
            Image.fromarray(grey(image)).save(f"{stem}.png")
        case "10":
            rgb.save(f"{stem}.TIFF", compression="tiff_lzw")
        case "11":
            rgb.putalpha(alpha)
            rgb.save(f"{stem}.webp", lossless=True, exact=True)
        case _:
            rgb.save(f"{stem}.webp", quality=80)


def _save_mask(stem: Path, classes: UInt8) -> None:
    ids = np.where(classes == IGNORE, 255, IDS[classes % 4]).astype(np.uint16)
    painted = Image.fromarray(COLOURS[classes % 4])
    painted.paste((255, 255, 255), mask=Image.fromarray(classes == IGNORE))
    few = Image.fromarray(np.where(classes == 3, 0, classes))  # a byte cannot hold 1000
    palette = few.copy()
    palette.putpalette(bytes(range(256)) * 3)
    match stem.name:
        case "01" | "02":
            few.save(f"{stem}.png")
        case "03":
            palette.save(f"{stem}.png")
        case "04":
            Image.fromarray(ids).save(f"{stem}.png")
        case "05":
            painted.save(f"{stem}.png")
        case "06":
            Image.fromarray(ids).save(f"{stem}.tiff")
        case "07":
            painted.save(f"{stem}.webp", lossless=True)
        case "08":
            Image.fromarray(classes == 1).save(f"{stem}.png")
        case "09":
            few.save(f"{stem}.bmp")
        case "10":
            few.save(f"{stem}.TIF")
        case "11":
            painted.putalpha(255)
            painted.save(f"{stem}.png")
        case _:
            painted.save(f"{stem}.bmp")
