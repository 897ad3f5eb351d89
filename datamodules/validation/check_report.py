"""What the checks of all images of a data set amount to: its numbers, its faults and its leaks."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.dataset import Dataset, DatasetInfo
from datamodules.file_names import MOST_BYTES
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.joined import JOIN_SIGN
from datamodules.validation.image_checks import Finding, ImageCheck
from datamodules.validation.leakage import CheckedImage, Split, clips, leakage, num_views
from datamodules.validation.trait_findings import trait_findings


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What a split holds; without what only a look at its images tells, where there was none."""

    images: int
    published: int | None
    groups: dict[str, int]
    fingerprint: str
    """That of the opened split; empty where a file cannot be read."""
    notes: list[str]
    """What the data set says of itself."""
    labelled: int = 0
    """Images that have labels."""
    pixels: list[int] = field(default_factory=list)
    """Count of each class."""
    shown: list[int] = field(default_factory=list)
    """Of each class the labelled pixels of the images that show it."""
    ignored: int = 0
    """Pixels of labels that are not scored."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Height and width of each image that can be read."""
    views: int = 0
    """Images that resemble no other, or are the first of those that do."""
    stretches: list[str] = field(default_factory=list)
    """What it shows of which video."""

    @property
    def decoded_bytes(self) -> int:
        """Of images and labels in memory: 4 a pixel."""
        return sum(4 * height * width for height, width in self.sizes)


@dataclass(frozen=True)
class CheckReport:
    """What the check of a data set has found.

    It is of the files as they were: whoever needs it again in the same phase is handed it, and
    whoever wants to know whether files have changed since makes another.
    """

    spec: str
    classes: list[str]
    splits: dict[str, SplitSummary]
    findings: list[Finding]
    """Errors first."""
    inspected: bool
    """False where only fingerprints were taken."""

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def refused(self) -> bool:
        return bool(self.errors)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CheckReport":
        splits = {
            name: SplitSummary(**{**split, "sizes": [(h, w) for h, w in split["sizes"]]})
            for name, split in value["splits"].items()
        }
        findings = [Finding(**finding) for finding in value["findings"]]
        return cls(**{**value, "splits": splits, "findings": findings})


def unread(spec: str, data: Mapping[str, Dataset]) -> CheckReport:
    """What splits that are not files say of themselves."""
    splits = {name: _unread(split, None, split.fingerprint()) for name, split in data.items()}
    return CheckReport(spec, _classes(data), splits, [], inspected=False)


def judge(
    spec: str,
    root: Path | None,
    info: DatasetInfo | None,
    data: Mapping[str, Dataset],
    checks: Mapping[str, Sequence[ImageCheck]],
) -> CheckReport:
    """What the checks of all images of some splits amount to."""
    splits = [Split(name, _checked_images(data[name], checks[name])) for name in data]
    published = info.counts if info else {}
    summaries = {
        split.name: _summarise(split, data[split.name], published.get(split.name))
        for split in splits
    }
    findings = [f for split in splits for image in split.images for f in image.check.findings]
    for split in splits:
        findings += _oddities(split, summaries[split.name])
    findings += _unseen_classes(_classes(data), summaries)
    images = [(image.sample, image.check) for split in splits for image in split.images]
    findings += trait_findings(images, next(iter(data.values())).labels)
    joined = {(s, n) for n in data if JOIN_SIGN in n for s in n.split(JOIN_SIGN)}
    findings += leakage(splits, joined | (info.nested if info else frozenset()))
    # One label file may serve many images, and one image several splits.
    once = dict.fromkeys(_below(root, finding) for finding in findings)
    ordered = sorted(once, key=lambda finding: finding.level != "error")
    return CheckReport(spec, _classes(data), summaries, ordered, inspected=True)


def _classes(data: Mapping[str, Dataset]) -> list[str]:
    return list(next(iter(data.values())).labels.names)


def _below(root: Path | None, finding: Finding) -> Finding:
    """With paths as they are below the root."""
    above = f"{root}{os.sep}"
    file, text = (part.replace(above, "") for part in (finding.file, finding.text))
    return replace(finding, file=file, text=text)


def _checked_images(data: Dataset, checks: Sequence[ImageCheck]) -> list[CheckedImage]:
    if isinstance(data, ImageFileDataset):
        samples = data.samples
    else:
        named = zip(data.ids, data.groups, strict=True)
        samples = [Sample(id, group, Path(id), Path(id)) for id, group in named]
    return [CheckedImage(sample, check) for sample, check in zip(samples, checks, strict=True)]


def _unread(data: Dataset, published: int | None, identity: str) -> SplitSummary:
    return SplitSummary(
        images=len(data.ids),
        published=published,
        groups=dict(Counter(data.groups)),
        fingerprint=identity,
        notes=list(data.notes) if isinstance(data, ImageFileDataset) else [],
    )


def _summarise(split: Split, data: Dataset, published: int | None) -> SplitSummary:
    checks = [image.check for image in split.images]
    classes = data.labels.num_classes
    counts, shown = np.zeros(classes + 1, np.int64), np.zeros(classes, np.int64)
    for check in checks:
        pixels = np.array(check.pixels or [0] * (classes + 1))
        counts += pixels
        shown += np.where(pixels[:-1] > 0, pixels[:-1].sum(), 0)
    return replace(
        _unread(data, published, _identity(split, data)),
        labelled=sum(image.sample.mask is not None for image in split.images),
        pixels=counts[:-1].tolist(),
        shown=shown.tolist(),
        ignored=int(counts[-1]),
        sizes=[check.size for check in checks if check.size],
        views=num_views(split),
        stretches=[f"{clip}, at {clip.rate:.3g} Hz" for clip in clips(split) if clip.seconds],
    )


def _identity(split: Split, data: Dataset) -> str:
    """The fingerprint of the opened split, without reading its files a second time."""
    if not isinstance(data, ImageFileDataset):
        return data.fingerprint()
    rows = [(i.sample.id, *i.check.files) for i in split.images if i.check.files]
    return data.identity(rows) if len(rows) == len(split.images) else ""


def _oddities(split: Split, summary: SplitSummary) -> Iterator[Finding]:
    """What is wrong with one split, and what a user should know of it."""

    def warning(kind: str, text: str, file: str = "") -> Finding:
        return Finding("warning", kind, file, text)

    name, images = split.name, summary.images
    for image in split.images:
        if len(image.sample.id.encode(errors="surrogateescape")) > MOST_BYTES:
            text = (
                f"has a name of more than {MOST_BYTES} bytes in {name}, which no prediction can "
                "have: shorten it"
            )
            yield Finding("error", "long name", str(image.sample.image), text)
    if summary.published not in (None, images):
        text = f"{name} has {images} images, published are {summary.published}: incomplete, or a "
        yield warning("count", text + "part on purpose")
    if summary.labelled == 0:
        yield warning("no labels", f"{name} has no labels: it can be predicted but not scored")
    elif summary.labelled < images:
        text = f"{images - summary.labelled} of the {images} images of {name} have no labels"
        yield warning("no labels", text)
    empty = [i for i in split.images if i.check.pixels and not any(i.check.pixels[:-1])]
    if empty:
        text = (
            f"has no pixel that is scored, and {len(empty)} of {images} labels of {name} have none"
        )
        yield warning("all ignored", text, str(empty[0].sample.mask))
    if 2 * summary.views < images:
        text = f"{name} shows {summary.views} distinct views in {images} images: its effective size"
        yield warning("few views", text + " is smaller than its count")


def _unseen_classes(classes: list[str], splits: Mapping[str, SplitSummary]) -> Iterator[Finding]:
    """Classes that training cannot learn."""
    train = splits.get("train")
    if train is None or not train.labelled:
        return
    never = [name for name, pixels in zip(classes, train.pixels, strict=True) if not pixels]
    if never:
        yield Finding("warning", "classes", "", f"train has no pixel of {', '.join(never)}")
    for split, summary in splits.items():
        pixels = dict(zip(classes, summary.pixels, strict=True))
        scored = [name for name in never if pixels[name]]
        if scored:
            text = f"{split} has pixels of {', '.join(scored)}, which train never shows"
            yield Finding("warning", "classes", "", text)
