"""What several runs of a network give together: components, noise, compute multipliers."""

from pathlib import Path

import numpy as np
import pytest

from experiments.analysis import replicates
from experiments.analysis.variance import variance_components
from experiments.trials.results import first_runs
from tests.experiments.analysis.made_runs import BUDGETS, budgets, crossed
from tests.experiments.made import arrays, failed, trial


def test_components_of_crossed_seeds(tmp_path: Path) -> None:
    results, made = crossed(tmp_path)
    (found,) = replicates.variance(results).values()
    expected = variance_components(made)
    for part in ("init", "data", "rest"):
        ours, theirs = getattr(found, part), getattr(expected, part)
        assert (ours.sd, ours.df) == (pytest.approx(theirs.sd), theirs.df)
    assert 0.03 < (found.init.sd or 0) < 0.07 and (found.rest.sd or 1) < 0.03


def test_a_repeat_adds_nothing_to_the_components(tmp_path: Path) -> None:
    results, _ = crossed(tmp_path)
    again = trial(tmp_path / "r", "net", arrays(0.9), 0, repeat=1, recipe={"data_seed": 0})
    assert replicates.variance([*results, again]) == replicates.variance(results)


def test_the_first_run_that_finished_stands_for_a_seed(tmp_path: Path) -> None:
    lost = failed(tmp_path, "net", "out of memory")
    results = [
        trial(tmp_path, "net", arrays(0.6), repeat=2),
        lost,
        trial(tmp_path, "net", arrays(0.5), repeat=1),
        failed(tmp_path, "other", "out of memory"),
        trial(tmp_path, "net", arrays(0.7), 1),
    ]
    assert first_runs(results) == [results[2], results[3], results[4]]


def test_seeds_that_move_together_say_so(tmp_path: Path) -> None:
    results = [trial(tmp_path, "net", arrays(0.5 + seed / 20), seed) for seed in range(3)]
    (found,) = replicates.variance(results).values()
    assert found.init.sd is None and "add combinations" in (found.init.reason or "")


def test_floor_is_pooled_over_networks_and_seeds(tmp_path: Path) -> None:
    made = {("a", 0): (0.5, 0.52), ("a", 1): (0.6, 0.6), ("b", 0): (0.7, 0.72, 0.74)}
    results = [
        trial(tmp_path, model, arrays(miou), seed, repeat=repeat)
        for (model, seed), mious in made.items()
        for repeat, miou in enumerate(mious)
    ]
    # Squares .0002, 0 and .0008 over 1 + 1 + 2 degrees of freedom.
    assert replicates.floor(results).sd == pytest.approx(np.sqrt(0.001 / 4))
    assert replicates.floor(first_runs(results)).sd is None


def test_multiplier_of_a_known_factor(tmp_path: Path) -> None:
    made = budgets(tmp_path)
    found, seconds = replicates.multipliers(made, draws=500)
    assert (found.a, found.b, found.budgets) == ("a", "b", BUDGETS)
    assert found.found.miou == pytest.approx(0.6, abs=1e-4)  # counts are whole
    assert found.found.multiplier == pytest.approx(
        3 / 2, rel=1e-3
    )  # half the steps of three times the work
    assert found.found.low == pytest.approx(3 / 2, rel=1e-3)  # both see the same images
    assert seconds.found.multiplier == pytest.approx(1 / 4, rel=1e-3)


def test_multiplier_needs_two_budgets_of_both(tmp_path: Path) -> None:
    made = budgets(tmp_path)
    assert replicates.multipliers({1000: made[1000]}) == []
    assert replicates.multipliers({1000: made[1000], 2000: made[2000][:1]}) == []
    assert replicates.multipliers({}) == []


def test_costs_are_those_of_training(tmp_path: Path) -> None:
    (result, _) = budgets(tmp_path)[1000]
    # camvid-quick: batches of 8 crops of 240x320, 4/9 of the 360x480 that GMACs are counted at.
    assert replicates.training_cost(result, "gmacs") == pytest.approx(1000 * 8 * 6 * 4 / 9)
    assert replicates.training_cost(result, "seconds") == 500


def test_what_differs_in_more_is_refused(tmp_path: Path) -> None:
    one = trial(tmp_path / "1", "a", arrays(0.5), recipe={"steps": 10})
    other = trial(tmp_path / "2", "a", arrays(0.5), recipe={"steps": 20, "lr": 0.5})
    with pytest.raises(ValueError, match="differ in lr, steps: a variance needs runs that differ"):
        replicates.variance([one, other])
    with pytest.raises(ValueError, match="differ in lr: a multiplier needs .* steps alone"):
        replicates.multipliers({10: [one], 20: [other]})
    assert "differ in lr, steps" in (replicates.together([[one], [other]]).reason or "")
    hashes = {**one.hashes.model_dump(), "data": "other"}
    moved = trial(tmp_path / "3", "a", arrays(0.5), recipe={"steps": 10}, hashes=hashes)
    assert "differ in data" in (replicates.together([[one], [moved]]).reason or "")
