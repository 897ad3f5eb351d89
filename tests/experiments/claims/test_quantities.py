"""Quantities of the study against the scorer's own numbers and slow loops over images."""

from pathlib import Path

import numpy as np
import pytest

from experiments.claims.quantities import BlockDraws
from experiments.claims.registration import BAND, THIN, CountedQuantity
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, per_image, read_results

KEPT = Path(__file__).parents[3] / "experiments/results/camvid-quick"
Counts = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=[0, 1])
def trial(request: pytest.FixtureRequest) -> tuple[FinishedTrial, Counts]:
    result = finished(read_results(KEPT))[request.param]
    counts = per_image(result)
    assert counts is not None
    return result, counts


def value(counts: Counts, quantity: CountedQuantity) -> float:
    return float(BlockDraws(counts, 20, num_draws=2).of(quantity, counts)[0])


def test_mean_iou_is_the_scorers(trial: tuple[FinishedTrial, Counts]) -> None:
    result, counts = trial
    assert value(counts, "miou") == pytest.approx(result.metrics.miou, abs=1e-12)


def test_boundary_iou_is_the_scorers(trial: tuple[FinishedTrial, Counts]) -> None:
    result, counts = trial
    assert result.metrics.boundary_iou is not None
    expected = result.metrics.boundary_iou.mean
    assert value(counts, "boundary_iou") == pytest.approx(expected, abs=1e-12)


def test_the_gain_at_boundaries_is_the_scorers_two_bands(
    trial: tuple[FinishedTrial, Counts],
) -> None:
    result, counts = trial
    bands = result.metrics.bands
    assert bands is not None
    place = bands.pixels.index(BAND)
    within, beyond = bands.within[place], bands.beyond[place]
    assert within is not None and beyond is not None
    assert value(counts, "boundary_gain") == pytest.approx(within - beyond, abs=1e-12)


def test_thin_recall_is_of_pixels_of_thin_objects_class_by_class(
    trial: tuple[FinishedTrial, Counts],
) -> None:
    _, counts = trial
    edges = counts["width_edges"]
    recalls = []
    for k in range(counts["width"].shape[1]):
        pixels = hits = 0
        for image in counts["width"]:
            for lowest, (_, area, found, _) in zip([1, *edges], image[k], strict=True):
                if lowest <= THIN:
                    pixels, hits = pixels + area, hits + found
        recalls += [hits / pixels] if pixels else []
    assert value(counts, "thin_recall") == pytest.approx(np.mean(recalls), abs=1e-12)


def test_a_draw_is_of_its_blocks_as_often_as_they_were_drawn(
    trial: tuple[FinishedTrial, Counts],
) -> None:
    _, counts = trial
    draws = BlockDraws(counts, 20, num_draws=3)
    found = draws.of("miou", counts)
    for weights, given in zip(draws._weights, found, strict=True):
        times = weights[draws.block]
        tp, fp, fn = ((counts[name] * times[:, None]).sum(0) for name in ("tp", "fp", "fn"))
        union = tp + fp + fn
        assert given == pytest.approx((tp / union)[union > 0].mean(), abs=1e-12)


def test_networks_are_resampled_together(trial: tuple[FinishedTrial, Counts]) -> None:
    """The difference of a network to itself is 0 in every draw."""
    _, counts = trial
    draws = BlockDraws(counts, 20, num_draws=50)
    own = draws.of("boundary_gain", counts)
    paired = draws.difference([own, own], [own, own])
    assert paired is not None
    assert not paired.miou.any() and not paired.draws.any()


def test_other_images_are_refused(trial: tuple[FinishedTrial, Counts]) -> None:
    _, counts = trial
    draws = BlockDraws(counts, 20, num_draws=2)
    other = {**counts, "ids": counts["ids"][::-1]}
    with pytest.raises(ValueError, match="different images: score again"):
        draws.of("miou", other)
