"""Protocols: how a trained network is asked for the predictions that are scored.

A protocol has a name or is spelled out: `scales=0.5,1,2:flip:window=512x1024:stride=341x683`.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from experiments.trials.hashing import short_hash
from models.registry import MIN_SIDE, nearest

Size = tuple[int, int]
Selection = Literal["last step", "by hand", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Sizes are (height, width) in pixels, of the image after resizing.

    Of several passes the class probabilities are averaged, as mmsegmentation does (`SegTTAModel`).
    HRNet's authors add up the exponentials of logits instead (`BaseDataset.inference`), which are
    not normalised: there a pass counts the more, the larger its logits.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    """Average with the prediction of the mirrored image."""
    window: Size | None = None
    """None passes the whole image at once."""
    stride: Size | None = None
    """From one window to the next; the last is moved back to the image's edge."""
    gaussian: bool = False
    """Pixels count by a Gaussian around their window's centre instead of all alike."""

    def __post_init__(self) -> None:
        window, stride = self.window, self.stride
        passes = all(0 < scale <= 10 for scale in self.scales)
        once = bool(self.scales) and len({*self.scales}) == len(self.scales)
        steps = all(1 <= s <= w for s, w in zip(stride or (), window or (), strict=False))
        checks = (  # field, what it needs, and whether it has it
            ("scales", "above 0 and up to 10, each once", passes and once),
            (
                "window",
                f"two sides of at least {MIN_SIDE}",
                min(window or (MIN_SIDE,)) >= MIN_SIDE,
            ),
            (
                "stride",
                "at least 1 and within a window",
                (window is None) == (stride is None) and steps,
            ),
            ("gaussian", "only of windows", window is not None or not self.gaussian),
        )
        for field, need, fine in checks:
            if not fine:
                raise ValueError(
                    f"a protocol's {field} is {getattr(self, field)!r}, needed is {field} "
                    f"({need}): change it, or name one of {', '.join(PROTOCOLS)}"
                )

    def __str__(self) -> str:
        place = "whole image"
        if self.window and self.stride:
            weights = " with Gaussian weights" if self.gaussian else ""
            place = f"windows of {_by(self.window)} every {_by(self.stride)}{weights}"
        scales, listed = "single scale", ""
        if len(self.scales) > 1:
            scales, listed = "multi-scale", f" (scales {', '.join(map(_number, self.scales))})"
        elif self.scales != (1.0,):
            scales = f"single scale {_number(self.scales[0])}"
        return f"{place}, {scales}, {'flip' if self.flip else 'no flip'}{listed}"

    @property
    def text(self) -> str:
        """As `parse_protocol` reads it, the name where it has one."""
        for name, known in PROTOCOLS.items():
            if known == self:
                return name
        parts = [f"scales={','.join(map(_number, self.scales))}"]
        parts += ["flip"] * self.flip
        if self.window and self.stride:
            parts += [f"window={_by(self.window)}", f"stride={_by(self.stride)}"]
        return ":".join(parts + ["gaussian"] * self.gaussian)


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """How the scores of a result came about; labels are always taken at their file's own size.

    Attributes:
        passes: None where nobody told it, as of predictions from elsewhere.
        selection: by what the weights were chosen: those of the last step, by hand (`checkpoint`),
            or unknown.
        precision: where it is not the recipe's.
    """

    split: str
    passes: Protocol | None
    selection: Selection = "last step"
    checkpoint: str | None = None
    precision: str | None = None

    @property
    def mode(self) -> str:
        return "protocol unknown" if self.passes is None else str(self.passes)

    def describe(self) -> dict[str, str]:
        """Its parts in words, those that are shown beside every score."""
        chosen = {
            "last step": "the last step's weights",
            "by hand": f"by hand: {self.checkpoint}",
            "unknown": "unknown: weights from elsewhere",
        }
        parts = {"mode": self.mode, "size": "the label file's own"}
        if self.passes is not None:
            parts["selection"] = chosen[self.selection]
        if self.passes not in (None, Protocol()):
            parts["averaged"] = "softmax of every pass"
        return parts | ({"precision": self.precision} if self.precision else {})

    def hash(self) -> str | None:
        """Of all that can change a score; None where too little is known.

        An unknown selection keeps no row out of a table, as an unknown recipe does not. The words
        that are hashed are those of the first published results, so that these keep theirs.
        """
        if self.passes is None:
            return None
        values = {field.name: getattr(self.passes, field.name) for field in fields(self.passes)}
        changed = {
            field.name: values[field.name]
            for field in fields(self.passes)
            if values[field.name] != field.default
        }
        last = "none: the last step's weights"
        return short_hash(
            {
                "split": self.split,
                "mode": str(self.passes),
                "size": "the label file's own",
                "selection": f"by hand: {self.checkpoint}" if self.selection == "by hand" else last,
                **changed,
                **({"averaged": "softmax of every pass"} if changed else {}),
                **({"precision": self.precision} if self.precision else {}),
            }
        )


_SIX = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)

PROTOCOLS = {
    "single": Protocol(),
    "flip": Protocol(flip=True),
    # HRNet, arXiv 1908.07919, Tables IV and V, and the test scripts of its code.
    "multi-scale": Protocol(scales=_SIX, flip=True),
    # The same code's scales on PASCAL-Context, ADE20K and COCO-Stuff.
    "multi-scale-7": Protocol(scales=(*_SIX, 2.0), flip=True),
    # HRNet's crop of Cityscapes, and strides of two thirds as in mmsegmentation (769 and 513,
    # 512 and 341); weights of nnU-Net.
    "sliding": Protocol(window=(512, 1024), stride=(341, 683), gaussian=True),
}


def parse_protocol(text: str) -> Protocol:
    """A protocol by its name, or by options as `scales=0.5,1:flip:window=512x1024:gaussian`.

    The stride of windows is two thirds of their size where none is given.

    Raises:
        ValueError: an unknown name or option, or a value that does not fit.
    """
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    options: dict[str, Any] = {}
    for part in text.split(":"):
        key, _, value = part.partition("=")
        if key not in _OPTIONS:
            known = nearest(key, {*PROTOCOLS, *_OPTIONS})
            raise ValueError(f"unknown protocol {part!r}; {known}; as scales=0.5,1:flip")
        convert, form = _OPTIONS[key]
        try:
            options[key] = convert(value)
        except ValueError:
            raise ValueError(f"a protocol cannot have {part!r}: write it as {form}") from None
    if "window" in options and "stride" not in options:
        height, width = options["window"]
        options["stride"] = round(2 * height / 3), round(2 * width / 3)
    return Protocol(**options)


def _parse_scales(value: str) -> tuple[float, ...]:
    return tuple(float(scale) for scale in value.split(","))


def _parse_size(value: str) -> Size:
    height, width = value.split("x")
    return int(height), int(width)


def _parse_word(value: str) -> bool:
    if value:
        raise ValueError
    return True


_OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "scales": (_parse_scales, "scales=0.5,1,2"),
    "flip": (_parse_word, "flip"),
    "window": (_parse_size, "window=512x1024"),
    "stride": (_parse_size, "stride=341x683"),
    "gaussian": (_parse_word, "gaussian"),
}


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _number(scale: float) -> str:
    return repr(scale).removesuffix(".0")
