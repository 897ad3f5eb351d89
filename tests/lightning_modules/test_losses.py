"""The loss: a mean over the valid pixels of the whole batch, however it is split."""

import numpy as np
import pytest
import torch

from lightning_modules.losses import cross_entropy_sum, denominator


def _slow_mean(logits: torch.Tensor, mask: torch.Tensor, weights: list[float]) -> float:
    """Weighted mean of -log softmax over valid pixels, pixel by pixel in float64."""
    total, weight = 0.0, 0.0
    scores = logits.double().numpy()
    for n, y, x in np.ndindex(*mask.shape):
        label = int(mask[n, y, x])
        if label == 255:
            continue
        pixel = scores[n, :, y, x]
        total += weights[label] * (np.log(np.exp(pixel).sum()) - pixel[label])
        weight += weights[label]
    return total / weight


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(4, 5, 6, 7, generator=generator)
    mask = torch.randint(0, 5, (4, 6, 7), generator=generator, dtype=torch.uint8)
    mask[0, :5] = 255  # void unevenly spread over the images
    mask[2] = 255
    return logits, mask


@pytest.mark.parametrize("weights", [None, (0.5, 1.0, 2.0, 0.0, 3.0)])
def test_equals_a_slow_loop_however_split(
    batch: tuple[torch.Tensor, torch.Tensor], weights: tuple[float, ...] | None
) -> None:
    logits, mask = batch
    expected = _slow_mean(logits, mask, list(weights or (1.0,) * 5))
    w = None if weights is None else torch.tensor(weights)
    total = denominator(mask, w)
    for size in (4, 2, 1):
        parts = [
            cross_entropy_sum(logits[i : i + size], mask[i : i + size], w)
            for i in range(0, 4, size)
        ]
        assert float(sum(parts) / total) == pytest.approx(expected, rel=1e-5)


def test_all_void_has_no_loss_and_no_gradient() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    mask = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    loss = cross_entropy_sum(logits, mask, None) / denominator(mask, None).clamp(min=1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_half_precision_logits_are_summed_in_fp32() -> None:
    """A bf16 sum over 10,000 pixels would stop growing at 256 times its terms."""
    logits = torch.zeros(1, 2, 100, 100, dtype=torch.bfloat16)
    mask = torch.zeros(1, 100, 100, dtype=torch.uint8)
    loss = cross_entropy_sum(logits, mask, None)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(10_000 * np.log(2), rel=1e-6)
