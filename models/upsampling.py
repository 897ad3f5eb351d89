"""Learned upsampling: a transposed convolution that starts as bilinear interpolation, as in FCN
(Long et al., arXiv 1411.4038, section 3.3), with one filter a channel, as Caffe's filler has it."""

import torch
from torch import nn


def transposed(channels: int, factor: int) -> nn.ConvTranspose2d:
    """(N, channels, H, W) to (N, channels, factor * H, factor * W), for an even factor.

    At its start it gives the values of F.interpolate, bilinear and without aligned corners, except
    within half a cell of the border, where zeros outside the map count.
    """
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False
    )
    centre = factor - 0.5
    row = 1 - (torch.arange(2 * factor, device=layer.weight.device) - centre).abs() / factor
    with torch.no_grad():
        layer.weight.copy_(row[:, None] * row)
    return layer
