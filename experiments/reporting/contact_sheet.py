"""A sheet of images with their labels: as a PNG, and as an HTML file that needs no network."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, LabelSet, UInt8, value_counts
from datamodules.whole_file import write_whole
from experiments.reporting.fonts import file_with
from experiments.reporting.page import render
from experiments.trials.command_line import visible

_SAMPLE = 256  # labels that are read to choose from: a second or two
_SIDE = 480  # pixels, at most, of an image on the page

_PANEL, _GAP, _LINE = 300, 10, 22  # pixels of the PNG, where three panels make an image


class Shot(NamedTuple):
    """An image as it is shown."""

    id: str
    group: str
    photo: Image.Image
    overlay: Image.Image
    mask: Image.Image
    classes: list[str]
    """The most frequent first."""


class Key(NamedTuple):
    """A class of the legend, with its share of the scored pixels that are shown."""

    name: str
    colour: tuple[int, int, int]
    share: float


def write_sheet(data: Dataset, title: str, num: int, output: Path) -> list[Path]:
    """Write `output`.png and `output`.html, and return where they are.

    Raises:
        DataError: a file that cannot be read, or written.
    """
    # Counts alone: so many masks of large images would fill the memory.
    pixels = {index: value_counts(data.mask(index)) for index in sample(data.groups, _SAMPLE)}
    present = {index: set(np.flatnonzero(n).tolist()) - {IGNORE} for index, n in pixels.items()}
    chosen = choose(present, data.groups, num)
    shots = [_shot(data, index) for index in chosen]
    legend = _legend(data.labels, [pixels[index] for index in chosen])
    subtitle = f"{len(shots)} of {len(data.ids)} images"
    paths = [Path(f"{output}.png"), Path(f"{output}.html")]
    sheet = _draw(shots, legend, f"{title}: {subtitle}, hatched is not scored")
    sheet.save(png := io.BytesIO(), "PNG")
    page = render(
        "sheet.html.j2", shots=shots, legend=legend, title=title, subtitle=subtitle, uri=uri
    )
    for path, content in zip(paths, (png.getvalue(), page.encode()), strict=True):
        write_whole(path, content, "make room, or name another place with --output")
    return paths


def sample(groups: Sequence[str], num: int) -> list[int]:
    """At most `num` indices, evenly spaced over the groups one after the other."""
    order = sorted(range(len(groups)), key=lambda index: (groups[index], index))
    places = np.linspace(0, len(order) - 1, min(num, len(order))).round().astype(int)
    return [order[place] for place in places]


def choose(present: dict[int, set[int]], groups: Sequence[str], num: int) -> list[int]:
    """Indices that show every class if `num` are enough, from many groups and far apart.

    The next is always the one that adds most classes, of a group that was shown least, farthest
    from those before.

    Args:
        present: classes of each index to choose from.
    """
    chosen: list[int] = []
    shown: set[int] = set()
    used: Counter[str] = Counter()

    def gain(index: int) -> tuple[int, int, int]:
        away = min((abs(index - other) for other in chosen), default=0)
        return len(present[index] - shown), -used[groups[index]], away

    for _ in range(min(num, len(present))):
        best = max((index for index in present if index not in chosen), key=gain)
        chosen.append(best)
        shown |= present[best]
        used[groups[best]] += 1
    return sorted(chosen)


def paint(mask: UInt8, labels: LabelSet) -> UInt8:
    """RGB (H, W, 3) of class indices (H, W); what is not scored is hatched grey on white."""
    colours = np.full((256, 3), 255, np.uint8)
    colours[: labels.num_classes] = [label.colour for label in labels.classes]
    painted = colours[mask]
    rows, columns = np.indices(mask.shape)
    painted[(mask == IGNORE) & ((rows + columns) % 8 < 2)] = 160
    return painted


def _shot(data: Dataset, index: int) -> Shot:
    image, mask = data[index]
    height, width = mask.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    photo = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS)
    whole = Image.fromarray(np.ascontiguousarray(mask))
    small = np.asarray(whole.resize(size, Image.Resampling.NEAREST))
    painted = Image.fromarray(paint(small, data.labels))
    opacity = Image.fromarray(np.where(small == IGNORE, 0, 140).astype(np.uint8))  # of 255
    overlay = Image.composite(painted, photo, opacity)
    counts = value_counts(mask)[: data.labels.num_classes]
    names = [data.labels.names[k] for k in np.argsort(-counts, kind="stable") if counts[k]]
    return Shot(data.ids[index], data.groups[index], photo, overlay, painted, names)


def _legend(labels: LabelSet, pixels: Sequence[npt.NDArray[np.int64]]) -> list[Key]:
    counts = np.sum(pixels, 0)[: labels.num_classes]
    shares = counts / max(1, counts.sum())
    return [
        Key(label.name, label.colour, float(share))
        for label, share in zip(labels.classes, shares, strict=True)
    ]


def uri(picture: Image.Image, kind: str) -> str:
    """A picture within a page, as a JPEG or a PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _draw(shots: list[Shot], legend: list[Key], title: str) -> Image.Image:
    """Two images beside each other, each as photo, overlay and labels."""
    columns = min(2, len(shots))
    tile = 3 * _PANEL + 2
    width = columns * (tile + _GAP) + _GAP
    heights = [round(_PANEL * shot.photo.height / shot.photo.width) for shot in shots]
    rows = [max(heights[i : i + columns]) + _LINE + _GAP for i in range(0, len(shots), columns)]
    keys, top = _place(legend, width)
    sheet = Image.new("RGB", (width, top + sum(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), visible(title), "black", _font(18, title))
    for key, x, y in keys:
        draw.rectangle((x, y + 3, x + 12, y + 15), key.colour, "grey")
        text = _legend_text(key)
        draw.text((x + 18, y), text, "black" if key.share else "grey", _font(14, text))
    for i, (shot, height) in enumerate(zip(shots, heights, strict=True)):
        x = _GAP + i % columns * (tile + _GAP)
        y = top + sum(rows[: i // columns])
        draw.text((x, y), visible(shot.id), "black", _font(14, shot.id))
        for position, picture in enumerate((shot.photo, shot.overlay, shot.mask)):
            smooth = Image.Resampling.NEAREST if position == 2 else Image.Resampling.LANCZOS
            shown = picture.resize((_PANEL, height), smooth)
            sheet.paste(shown, (x + position * (_PANEL + 1), y + _LINE))
    return sheet


def _place(legend: list[Key], width: int) -> tuple[list[tuple[Key, int, int]], int]:
    """Where each key goes, in lines below the title, and where the lines end."""
    x, y, places = _GAP, 2 * _GAP + _LINE, []
    for key in legend:
        text = _legend_text(key)
        length = 18 + round(_font(14, text).getlength(text)) + 2 * _GAP
        if x + length > width and x > _GAP:
            x, y = _GAP, y + _LINE
        places.append((key, x, y))
        x += length
    return places, y + _LINE + _GAP


def _legend_text(key: Key) -> str:
    name = visible(" ".join(key.name.split()))
    return f"{name} {100 * key.share:.1f} %" if key.share else f"{name} –"


def _font(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    file = file_with(text)
    return _usual_font(size) if file is None else ImageFont.truetype(file, size)


@cache
def _usual_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
