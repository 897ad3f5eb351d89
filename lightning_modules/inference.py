"""Predictions of one image: whole or in windows, at several scales, mirrored.

Images are resized bilinearly by pixel centres (align_corners=False) and without antialiasing: so
networks have seen them in training, and so the scales of HRNet's authors and of mmsegmentation are
made (cv2.INTER_LINEAR).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Network = Callable[[Tensor], Tensor]
Size = tuple[int, int]

_MIN_SIDE = 33  # what every network takes


def predict(
    network: Network,
    image: Tensor,
    *,
    scales: tuple[float, ...] = (1.0,),
    flip: bool = False,
    window: Size | None = None,
    stride: Size | None = None,
    gaussian: bool = False,
) -> Tensor:
    """Class indices (1, H, W) of an image (1, 3, H, W), as bytes.

    A single pass over the image as it is, is the argmax of its logits: of their softmax it could
    be another, where close logits become one probability.

    Args:
        network: maps an image (1, 3, h, w) to logits (1, K, h, w), for any sides from 33 up.
        window, stride: (height, width) on the resized image; without a window it is passed whole.

    Raises:
        ValueError: a scale makes the image smaller than networks take.
    """
    if scales == (1.0,) and not flip and _fits(image, window):
        return network(image).argmax(1).byte()
    average = probabilities(
        network,
        image,
        scales=scales,
        flip=flip,
        window=window,
        stride=stride,
        gaussian=gaussian,
    )
    return average.argmax(1).byte()


def probabilities(
    network: Network,
    image: Tensor,
    *,
    scales: tuple[float, ...],
    flip: bool,
    window: Size | None,
    stride: Size | None,
    gaussian: bool,
) -> Tensor:
    """The mean of the class probabilities of all passes, (1, K, H, W); else as `predict`.

    Memory: the sum, and the same of the largest scale.
    """
    size = (image.shape[-2], image.shape[-1])
    total: Tensor | None = None
    for scale in scales:
        scaled = _resize(image, _scaled(size, scale))
        if window is None or stride is None or _fits(scaled, window):
            part = _pass(network, scaled, flip)
        else:
            part = _in_windows(network, scaled, flip, window, stride, gaussian)
        part = _resize(part, size)
        total = part if total is None else total.add_(part)
    assert total is not None
    return total.div_(len(scales))


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


def _in_windows(
    network: Network, image: Tensor, flip: bool, window: Size, stride: Size, gaussian: bool
) -> Tensor:
    """The weighted mean of the windows' probabilities; each window is mirrored by itself."""
    height, width = image.shape[-2:]
    h, w = min(window[0], height), min(window[1], width)
    weight = window_weights((h, w), gaussian).to(image.device)
    counts = weight.new_zeros(height, width)
    total: Tensor | None = None
    for y in starts(height, h, stride[0]):
        for x in starts(width, w, stride[1]):
            part = _pass(network, image[..., y : y + h, x : x + w], flip)
            if total is None:
                total = part.new_zeros(1, part.shape[1], height, width)
            total[..., y : y + h, x : x + w] += weight * part
            counts[y : y + h, x : x + w] += weight
    assert total is not None
    return total.div_(counts)


def _pass(network: Network, image: Tensor, flip: bool) -> Tensor:
    found = network(image).float().softmax(1)
    if flip:
        mirrored = network(image.flip(-1)).float().softmax(1).flip(-1)
        found = (found + mirrored) / 2
    return found


def _fits(image: Tensor, window: Size | None) -> bool:
    """Whether one pass takes the whole image."""
    height, width = image.shape[-2:]
    return window is None or (height <= window[0] and width <= window[1])


def _scaled(size: Size, scale: float) -> Size:
    height, width = (int(scale * side + 0.5) for side in size)
    if min(height, width) < _MIN_SIDE:
        raise ValueError(
            f"an image of {size[0]}x{size[1]} has {height}x{width} at scale {scale}, and networks "
            f"take sides of at least {_MIN_SIDE}: leave that scale out"
        )
    return height, width


def _resize(image: Tensor, size: Size) -> Tensor:
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=False)
