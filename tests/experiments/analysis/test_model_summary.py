"""A model over its seeds: means by hand, what is missing, and the order of models."""

from pathlib import Path

import pytest

from experiments.analysis.model_summary import COLUMNS, mean_over_seeds, summarise
from tests.experiments.made import COST, arrays, failed, trial


def test_figures_are_means_over_finished_seeds(tmp_path: Path) -> None:
    results = [
        trial(tmp_path, "a", arrays(miou), seed, cost={**COST, "gmacs": gmacs})
        for seed, (miou, gmacs) in enumerate([(0.5, 2.0), (0.6, 4.0)])
    ]
    (summary,) = summarise([*results, failed(tmp_path, "a", "out of memory", 2)])
    assert summary.seeds == (0, 1) and summary.num_seeds == 2
    assert summary.trials == tuple(results)
    assert (summary.params_m, summary.gmacs, summary.train_s) == (1, 3, 100)
    assert summary.miou == pytest.approx(0.55) and summary.iou["a"] == pytest.approx(0.55)
    assert summary.spread == pytest.approx(0.05 * 2**0.5)
    assert dict(zip(COLUMNS, summary.numbers(), strict=True))["mIoU %"] == pytest.approx(55)
    assert summary.mean(lambda result: result.metrics.pixel_accuracy) == 0.9
    assert summary.mean(lambda result: None) is None


def test_one_seed_has_a_count_and_no_spread(tmp_path: Path) -> None:
    """Seed number 0 is one seed."""
    (summary,) = summarise([trial(tmp_path, "a", arrays(0.5), 0)])
    assert (summary.num_seeds, summary.spread) == (1, None)


def test_predictions_from_elsewhere_have_no_costs(tmp_path: Path) -> None:
    (summary,) = summarise([trial(tmp_path, "a", arrays(0.5), cost=None, timing=None)])
    assert summary.numbers()[:-1] == [None] * 5


def test_order(tmp_path: Path) -> None:
    results = [
        trial(tmp_path, model, arrays(miou)) for model, miou in (("a", 0.5), ("b", 0.7), ("c", 0.6))
    ]

    def models(*order: str) -> list[str]:
        return [summary.model for summary in summarise(results, order=order)]

    assert [summary.model for summary in summarise(results)] == ["a", "b", "c"]
    assert models() == ["b", "c", "a"]
    assert models("a", "nobody") == ["a", "b", "c"]


def test_one_stale_result_makes_a_model_stale(tmp_path: Path) -> None:
    results = [trial(tmp_path, "a", arrays(0.5), seed) for seed in (0, 1)]
    other = trial(tmp_path, "b", arrays(0.5))
    stale = [summary.stale for summary in summarise([*results, other], {results[1].path})]
    assert stale == [True, False]


def test_a_mean_leaves_out_what_is_missing() -> None:
    assert mean_over_seeds([0.5, None, 0.25]) == 0.375
    assert mean_over_seeds([None]) is None
