"""What lecture.html shows beside trials: ladder, stride ceiling, receptive fields, papers."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from experiments.lecture_report.network_rows import FieldRadii
from experiments.lecture_report.pictures import ceiling, rings
from experiments.scoring.stride_ceiling import CeilingRecord
from experiments.trials.reference import published
from experiments.trials.results import read_record

RESULTS = Path(__file__).parents[1] / "results"
_AGAIN = "python -m experiments.ladder --data camvid measures it again"
_STREET = "streets:height=360:width=480", "test", 4  # the image with a crossing
_TABLE = "arXiv 1908.07919", "Table III"
_METRICS = ("params_m", "paper_gflops_1024x2048", "miou_percent")


@dataclass(frozen=True)
class CeilingPage:
    """mIoU of perfect maps, in percent: everywhere, near boundaries, and of the worst class.

    Attributes:
        rows: name of the grid, and these three.
        worst: the class that has the lowest IoU at 1/8.
    """

    data: str
    split: str
    images: int
    worst: str
    rows: tuple[tuple[str, float, float, float], ...]
    picture: Markup


def ceiling_page(
    path: Path = RESULTS / "stride-ceiling" / "camvid-test.json",
) -> CeilingPage | None:
    """None where it is not kept.

    Raises:
        ValueError: a damaged file.
    """
    record = read_record(path, CeilingRecord, _AGAIN)
    if record is None:
        return None
    at_8 = {name: iou for name, iou in record.strides[8].iou.items() if iou is not None}
    worst = min(at_8, key=at_8.__getitem__)
    names = ["1" if stride == 1 else f"1/{stride}" for stride in record.strides]
    lines = [
        [scores.miou or 0.0, scores.boundary_miou or 0.0, scores.iou[worst] or 0.0]
        for scores in record.strides.values()
    ]
    return CeilingPage(
        data="CamVid" if record.data.name == "camvid" else record.data.name,
        split=record.data.split,
        images=record.data.num_images,
        worst=worst,
        rows=tuple(
            (name, 100 * a, 100 * b, 100 * c) for name, (a, b, c) in zip(names, lines, strict=True)
        ),
        picture=ceiling([list(line) for line in zip(*lines, strict=True)], names),
    )


def ladder(path: Path = RESULTS / "ladder" / "ladder.png") -> str | None:
    """The kept picture for an `img`; None where it is not kept."""
    try:
        return _inline(path.read_bytes())
    except FileNotFoundError:
        return None


def street() -> str:
    """A procedural street for an `image`, without the grain of its camera and pale.

    Circles are drawn over it, and what a network sees is as good as any other street.
    """
    from PIL import Image, ImageFilter  # where it is drawn, as OpenCV below

    from datamodules import open_data

    spec, split, index = _STREET
    photo, _ = open_data(spec, split, None)[index]
    calm = Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.4))
    pale = Image.blend(calm, Image.new("RGB", calm.size, "white"), 0.35).quantize(64)
    buffer = io.BytesIO()
    pale.save(buffer, "PNG", optimize=True)
    return _inline(buffer.getvalue())


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@dataclass(frozen=True)
class FieldPanel:
    """A network's receptive field, untrained before trained, over the street."""

    name: str
    fields: tuple[FieldRadii, ...]
    picture: Markup


def _panel(fields: Sequence[FieldRadii]) -> FieldPanel:
    circles = [
        ("trained" if field.trained else "untrained", radius)
        for field in fields
        for radius in (field.radius50, field.radius95)
    ]
    return FieldPanel(fields[0].name, tuple(fields), rings(circles))


@dataclass(frozen=True)
class PaperLine:
    """A network of the paper's table; `model` is its name here, and may be empty."""

    method: str
    model: str
    params_m: float
    gflops: float
    miou: float


@dataclass(frozen=True)
class Assets:
    """All of them; what is not kept here is None, and the street is empty without fields."""

    ladder: str | None
    ceiling: CeilingPage | None
    fields: tuple[FieldPanel, ...]
    street: str
    papers: Sequence[PaperLine]


def assets(fields: Iterable[Sequence[FieldRadii]]) -> Assets:
    """With the receptive fields of these networks, each untrained and trained.

    Raises:
        ValueError: a kept file that is damaged.
    """
    panels = tuple(_panel(own) for own in fields if own)
    return Assets(ladder(), ceiling_page(), panels, street() if panels else "", paper_table())


def paper_table() -> Sequence[PaperLine]:
    """Table III of HRNet's paper, in its order."""
    found: dict[str, dict[str, float]] = {}
    models: dict[str, str] = {}
    for line in published():
        if (line.source, line.locator) == _TABLE and line.metric in _METRICS:
            found.setdefault(line.method, {})[line.metric] = line.value
            models[line.method] = line.model
    return [
        PaperLine(method, models[method], *(values[metric] for metric in _METRICS))
        for method, values in found.items()
        if all(metric in values for metric in _METRICS)
    ]
