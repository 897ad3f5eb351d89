"""The effective receptive field: which pixels move the class scores of the one in the middle.

Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks"
(NIPS 2016, arXiv 1701.04128), section 2: the gradient of the central output with respect to the
input, back-propagated from it alone. Here it is squared, which is what small independent noise of a
pixel adds to that output's variance, and summed over all classes, exactly; an image counts as much
as another, whatever the scale of its gradients.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from experiments.costs.device import autocast, this_device
from experiments.costs.field_radius import Floats, centre


def image_fields(model: nn.Module, images: Iterable[Tensor]) -> Iterator[Floats | None]:
    """Gradient energy (H, W) of the centre's logits for each image, of sum 1.

    The squared gradient of each class's logit at pixel (H // 2, W // 2) with respect to the input
    is summed over classes and colours. The network runs in evaluation mode and fp32, as it is
    scored, on this machine's device. An image takes a forward pass, and a backward pass a class.

    Args:
        model: maps (1, 3, H, W) to logits (1, K, H, W); left as it is.
        images: normalised as in training, (3, H, W) each.

    Yields:
        None for an image on which no pixel moves the centre's logits, as where the few ReLUs of a
        narrow head are all off: an untrained UNet++ of width 11 has them off on half of CamVid.

    Raises:
        ValueError: a gradient that is no number.
    """
    device = this_device()
    network = _evaluated(model).to(memory_format=torch.channels_last).to(device)
    for index, image in enumerate(images):
        energy = _energy(network, image.to(device))
        scale = float(energy.sum())
        if not np.isfinite(scale):
            raise ValueError(
                f"the gradient of the centre's logits of image {index} is no number (its energy is "
                f"{scale}): such a network has no receptive field to measure"
            )
        yield energy / scale if scale else None


def mean_field(fields: Sequence[Floats | None]) -> Floats:
    """The mean (H, W) over the images that have a field.

    Raises:
        ValueError: none has one, or they are of several sizes.
    """
    found = [energy for energy in fields if energy is not None]
    sizes = sorted({energy.shape for energy in found})
    if not sizes:
        raise ValueError(
            f"no pixel moves the centre's logits on any of {len(fields)} images: a receptive field "
            "needs one on which it does"
        )
    if len(sizes) > 1:
        raise ValueError(
            f"receptive fields are averaged over images of one size, got {sizes[0]} and "
            f"{sizes[1]}: give images of one size"
        )
    mean: Floats = np.mean(found, axis=0)
    return mean


def field(model: nn.Module, images: Iterable[Tensor]) -> Floats:
    """The effective receptive field (H, W), of sum 1: the mean of `image_fields`.

    Raises:
        ValueError: as `image_fields` and `mean_field`.
    """
    return mean_field([*image_fields(model, images)])


def _energy(network: nn.Module, image: Tensor) -> Floats:
    """Squared gradient (H, W) of one image (3, H, W), in double, where small squares stay."""
    pixels = image[None].clone(memory_format=torch.channels_last).requires_grad_()
    row, column = centre(*image.shape[1:])
    total = torch.zeros(image.shape[1:], dtype=torch.float64, device=image.device)
    with torch.enable_grad(), autocast(image.device, "32-true"):
        for logit in network(pixels)[0, :, row, column]:
            (gradient,) = torch.autograd.grad(logit, pixels, retain_graph=True)
            total += gradient[0].double().square().sum(0)
    found: Floats = total.cpu().numpy()
    return found


def _evaluated(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode of which nothing but its input's gradient can be asked.

    Its batch norms are written as the product and the sum that they are there: torch's own backward
    pass of one in evaluation is a fifth to a quarter of all passes of an HRNet or a U-Net.
    """
    network = copy.deepcopy(model).eval().requires_grad_(False)
    for module in [*network.modules()]:
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d and child.running_var is not None:
                setattr(module, name, _FixedNorm(child))
    return network


class _FixedNorm(nn.Module):
    """Batch norm with fixed statistics, up to the last bits."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = (norm.running_var + norm.eps).rsqrt()
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean * scale
        shift = shift if norm.bias is None else shift + norm.bias
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, maps: Tensor) -> Tensor:
        return torch.addcmul(self.shift, maps, self.scale)
