"""The effective receptive field: which pixels move the class scores of the one in the middle.

Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks"
(NIPS 2016, arXiv 1701.04128), section 3: the gradient of the central output with respect to the
input, back-propagated from it alone. They take one output channel, average over inputs and plot
the gradient's magnitude. Here it is the squared gradient, which is the variance of that output
under small independent noise of the pixels, exactly summed over all classes; an image counts as
much as another, whatever its scale.
"""

import copy
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from experiments.costs.device import autocast, this_device
from experiments.costs.field_radius import Floats, centre


def field(model: nn.Module, images: Iterable[Tensor]) -> Floats:
    """Gradient energy (H, W) of the centre's logits, of sum 1.

    The squared gradient of each class's logit at pixel (H // 2, W // 2) with respect to the input
    is summed over classes and colours; each image's map is divided by its sum, and the mean taken.
    The network runs in evaluation mode and fp32, as it is scored, on this machine's device. It
    takes a forward pass an image and a backward pass a class.

    Args:
        model: maps (1, 3, H, W) to logits (1, K, H, W); left as it is.
        images: normalised as in training, (3, H, W) each, all of one size.

    Raises:
        ValueError: no image, images of several sizes, or an image on whose centre no pixel of it
            has an effect that is a number.
    """
    device = this_device()
    network = _evaluated(model).to(memory_format=torch.channels_last).to(device)
    total, num_images = np.zeros(0), 0
    for image in images:
        energy = _energy(network, image.to(device))
        scale = float(energy.sum())
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(
                f"the logits of the centre of image {num_images} do not depend on any pixel, or "
                f"not by a number (gradient energy {scale}): this network has no receptive field "
                "to measure"
            )
        if num_images and energy.shape != total.shape:
            raise ValueError(
                f"receptive fields are averaged over images of one size, got {total.shape} and "
                f"{energy.shape}: give images of one size"
            )
        total = energy / scale + (total if num_images else 0)
        num_images += 1
    if not num_images:
        raise ValueError("a receptive field is measured on at least one image: got none")
    mean: Floats = total / num_images
    return mean


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
