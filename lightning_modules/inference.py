"""Predictions of one image: whole or in windows, at several scales, mirrored.

Images are resized bilinearly by pixel centres (align_corners=False) and without antialiasing: so
networks have seen them in training, and so the scales of HRNet's authors and of mmsegmentation are
made (cv2.INTER_LINEAR).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from models.registry import MIN_SIDE

Network = Callable[[Tensor], Tensor]
Size = tuple[int, int]


class InferenceProtocol(Protocol):
    """How an image is passed; `experiments.trials.protocols` has those with names and checks."""

    @property
    def scales(self) -> tuple[float, ...]:
        """Factors of both sides, averaged over."""
        ...

    @property
    def flip(self) -> bool:
        """Whether each pass is averaged with that of the mirrored image."""
        ...

    @property
    def window(self) -> Size | None:
        """(height, width) on the resized image; None passes it whole."""
        ...

    @property
    def stride(self) -> Size | None:
        """From one window to the next, (down, right); None without a window."""
        ...

    @property
    def gaussian(self) -> bool:
        """Whether pixels count by a Gaussian around their window's centre, instead of all alike."""
        ...


def predict(network: Network, image: Tensor, protocol: InferenceProtocol) -> Tensor:
    """Class indices (1, H, W) of an image (1, 3, H, W), as bytes.

    A single pass over the image as it is, is the argmax of its logits: of their softmax it could
    be another, where close logits become one probability.

    Args:
        network: maps an image (1, 3, h, w) to logits (1, K, h, w), for any sides from `MIN_SIDE`.

    Raises:
        ValueError: a scale makes the image smaller than networks take.
    """
    if protocol.scales == (1.0,) and not protocol.flip and _fits(image, protocol.window):
        return network(image).argmax(1).byte()
    return probabilities(network, image, protocol).argmax(1).byte()


def probabilities(network: Network, image: Tensor, protocol: InferenceProtocol) -> Tensor:
    """The mean of the class probabilities of all passes, (1, K, H, W); else as `predict`.

    Memory: the sum, and the same of the largest scale.
    """
    size = (image.shape[-2], image.shape[-1])
    total: Tensor | None = None
    for scale in protocol.scales:
        scaled = _resize(image, _scaled(size, scale))
        part = _resize(_at_one_scale(network, scaled, protocol), size)
        total = part if total is None else total.add_(part)
    assert total is not None
    return total.div_(len(protocol.scales))


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side; the last is moved back so that it ends at the edge.

    A window longer than the side is cut to it, without padding (as in mmsegmentation).
    """
    last = max(0, length - window)
    return [*range(0, last, stride), last]


def window_weights(size: Size, gaussian: bool) -> Tensor:
    """How much each pixel (h, w) of a window counts: 1, or a Gaussian around the centre.

    Its sigma is an eighth of the side, as in nnU-Net (`compute_gaussian`); the centre here is that
    of the pixels, also of an even side. At a corner it is about 1e-7, so no pixel has none.
    """
    if not gaussian:
        return torch.ones(size)
    rows, columns = (
        torch.exp(-0.5 * ((torch.arange(side) - (side - 1) / 2) / (side / 8)) ** 2) for side in size
    )
    return torch.outer(rows, columns)


def _at_one_scale(network: Network, image: Tensor, protocol: InferenceProtocol) -> Tensor:
    """Class probabilities (1, K, H, W) of an image (1, 3, H, W), whole or from windows."""
    window, stride = protocol.window, protocol.stride
    if window is None or stride is None or _fits(image, window):
        return _pass(network, image, protocol.flip)
    size = min(window[0], image.shape[-2]), min(window[1], image.shape[-1])
    weights = window_weights(size, protocol.gaussian).to(image.device)
    return _in_windows(network, image, protocol.flip, stride, weights)


def _in_windows(
    network: Network, image: Tensor, flip: bool, stride: Size, weights: Tensor
) -> Tensor:
    """The weighted mean of the windows' probabilities; each window is mirrored by itself.

    Args:
        weights: (h, w), of the pixels of a window, which fits into the image.
    """
    height, width = image.shape[-2:]
    h, w = weights.shape
    counts = weights.new_zeros(height, width)
    total: Tensor | None = None
    for y in starts(height, h, stride[0]):
        for x in starts(width, w, stride[1]):
            part = _pass(network, image[..., y : y + h, x : x + w], flip)
            if total is None:
                total = part.new_zeros(1, part.shape[1], height, width)
            total[..., y : y + h, x : x + w] += weights * part
            counts[y : y + h, x : x + w] += weights
    assert total is not None
    return total.div_(counts)


def _pass(network: Network, image: Tensor, flip: bool) -> Tensor:
    average = network(image).float().softmax(1)
    if flip:
        mirrored = network(image.flip(-1)).float().softmax(1).flip(-1)
        average = (average + mirrored) / 2
    return average


def _fits(image: Tensor, window: Size | None) -> bool:
    """Whether one pass takes the whole image."""
    height, width = image.shape[-2:]
    return window is None or (height <= window[0] and width <= window[1])


def _scaled(size: Size, scale: float) -> Size:
    height, width = (int(scale * side + 0.5) for side in size)
    if min(height, width) < MIN_SIDE:
        raise ValueError(
            f"an image of {size[0]}x{size[1]} has {height}x{width} at scale {scale}, and networks "
            f"take sides of at least {MIN_SIDE}: leave that scale out"
        )
    return height, width


def _resize(image: Tensor, size: Size) -> Tensor:
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=False)
