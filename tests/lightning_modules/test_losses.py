"""The loss: a mean over the valid pixels of the whole batch, however it is split."""

import numpy as np
import pytest
import torch

from lightning_modules.losses import (
    balanced_boundary_sum,
    cross_entropy_sum,
    denominator,
    dice,
    focal_sum,
    lovasz,
    ohem_sum,
)


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


def test_label_smoothing_is_the_cross_entropy_of_smoothed_targets(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, mask = batch
    valid = mask != 255
    target = torch.nn.functional.one_hot(torch.where(valid, mask, 0).long(), 5).double()
    smoothed = 0.9 * target + 0.1 / 5
    expected = -(smoothed * logits.double().log_softmax(1).permute(0, 2, 3, 1)).sum(-1)[valid].sum()
    assert cross_entropy_sum(logits, mask, None, 0.1).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("threshold", "pixels"), [(0.3, 1), (1e-9, 7), (0.05, 20), (1.0, 1)])
@pytest.mark.parametrize("weights", [None, (0.5, 1.0, 2.0, 0.0, 3.0)])
def test_ohem_keeps_the_hard_pixels_of_each_image(
    batch: tuple[torch.Tensor, torch.Tensor],
    threshold: float,
    pixels: int,
    weights: tuple[float, ...] | None,
) -> None:
    logits, mask = batch
    expected, kept = 0.0, []
    for scores, labels in zip(logits.double().numpy(), mask.numpy(), strict=True):
        found = []
        for y, x in np.argwhere(labels != 255):
            p = np.exp(scores[:, y, x]) / np.exp(scores[:, y, x]).sum()
            label = labels[y, x]
            found.append((p[label], (weights or (1,) * 5)[label] * -np.log(p[label])))
        found.sort()
        hard = [loss for rank, (p, loss) in enumerate(found) if p < threshold or rank < pixels]
        kept.append(len(hard))
        expected += np.mean(hard) if hard else 0.0
    w = None if weights is None else torch.tensor(weights)
    assert ohem_sum(logits, mask, w, threshold, pixels).item() == pytest.approx(expected, rel=1e-5)
    valid = [int((labels != 255).sum()) for labels in mask]
    assert all(min(pixels, n) <= k <= n for k, n in zip(kept, valid, strict=True))
    assert (kept == valid) == (threshold == 1.0)


def test_focal_loss_equals_a_slow_loop(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """(1 - p)^2 times the binary cross-entropy of each class against the rest, their mean."""
    logits, mask = batch
    expected = 0.0
    for n, y, x in np.argwhere(mask.numpy() != 255):
        for label, score in enumerate(logits[n, :, y, x].double().tolist()):
            p = 1 / (1 + np.exp(-score))
            right = p if label == mask[n, y, x] else 1 - p
            expected += (1 - right) ** 2 * -np.log(right)
    assert focal_sum(logits, mask).item() == pytest.approx(expected / 5, rel=1e-5)


def test_dice_equals_its_formula(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, mask = batch
    mask[mask == 3] = 255  # never seen: adds 0 to a mean over all five
    valid = (mask != 255)[:, None]
    p = logits.double().softmax(1) * valid
    y = torch.nn.functional.one_hot(torch.where(mask == 255, 0, mask).long(), 5)
    y = y.permute(0, 3, 1, 2).double() * valid
    both, sizes = (p * y).sum((0, 2, 3)), (p + y).sum((0, 2, 3))
    loss = [1 - 2 * b / s for b, s, seen in zip(both, sizes, y.sum((0, 2, 3)), strict=True) if seen]
    assert len(loss) == 4
    assert dice(logits, mask).item() == pytest.approx(float(sum(loss)) / 5, rel=1e-5)


def test_lovasz_of_certain_predictions_is_one_minus_miou(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """It extends the Jaccard loss, so on hard predictions it is that loss."""
    logits, mask = batch
    predicted = logits.argmax(1)
    valid = mask != 255
    ious = [
        float(((predicted == c) & (mask == c)).sum())
        / float((((predicted == c) | (mask == c)) & valid).sum())
        for c in range(5)
    ]
    hard = 1e4 * torch.nn.functional.one_hot(predicted, 5).permute(0, 3, 1, 2).float()
    assert lovasz(hard, mask).item() == pytest.approx(1 - np.mean(ious), abs=1e-5)


def test_boundaries_and_the_rest_weigh_alike() -> None:
    """Two boundary pixels of eight, each told 1 / 2: both kinds add ln 2 * 2/8 * 6/8."""
    boundary = torch.zeros(1, 2, 5, dtype=torch.bool)
    boundary[0, 0, :2] = True
    mask = boundary.to(torch.uint8)
    mask[..., -1] = 255  # left out
    logits, share = torch.zeros(1, 1, 2, 5), torch.tensor(2 / 8)
    total = balanced_boundary_sum(logits, mask, boundary, share)
    assert total.item() / 8 == pytest.approx(2 * np.log(2) * 2 / 8 * 6 / 8)
    logits[0, 0, 0, 0] = 3.0  # one boundary is told with more certainty
    expected = np.log(1 + np.exp(-3)) * 6 / 8 + np.log(2) * (6 / 8 + 6 * 2 / 8)
    assert balanced_boundary_sum(logits, mask, boundary, share).item() == pytest.approx(expected)
