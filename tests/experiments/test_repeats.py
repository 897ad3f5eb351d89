"""What several runs of a network give together: components, noise, compute multipliers."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import evidence as command
from experiments.analysis import replicates
from experiments.analysis.model_summary import first_runs
from experiments.analysis.variance import variance_components
from experiments.trials.atomic_io import write_json
from experiments.trials.results import TrialResult
from tests.experiments.made import COST, arrays, failed, spread, trial

BUDGETS = (1000, 2000, 4000)


def crossed(root: Path) -> tuple[list[TrialResult], dict[tuple[int, int], float]]:
    """Three initialisations by three data orders: `--set data_seed=k --seeds 0,1,2` for each k."""
    noise = np.random.default_rng(0).normal(0, 0.01, (3, 3))
    made = {(i, d): round(0.5 + 0.05 * i + noise[i, d], 3) for i in range(3) for d in range(3)}
    results = [
        trial(root / f"data{d}", "net", arrays(miou), i, recipe={"data_seed": d})
        for (i, d), miou in made.items()
    ]
    return results, made


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


def budgets(root: Path, gain: float = 0.1) -> dict[int, list[TrialResult]]:
    """A has at each number of steps what B has at twice as many; its GMACs are three times B's."""
    noise = spread(0, 0.01)
    found = {}
    for doublings, steps in enumerate(BUDGETS):
        found[steps] = [
            trial(
                root / str(steps),
                model,
                arrays(start + gain * doublings + noise),
                recipe={"steps": steps},
                cost={**COST, "gmacs": gmacs},
                timing={"train_seconds": steps * second},
            )
            for model, start, gmacs, second in (("a", 0.5, 6.0, 0.5), ("b", 0.4, 2.0, 1.0))
        ]
    return found


def test_multiplier_of_a_known_factor(tmp_path: Path) -> None:
    made = budgets(tmp_path)
    (found,) = replicates.multipliers(made, draws=500)
    assert (found.a, found.b, found.budgets) == ("a", "b", BUDGETS)
    assert found.found.miou == pytest.approx(0.6, abs=1e-4)  # counts are whole
    assert found.found.multiplier == pytest.approx(
        3 / 2, rel=1e-3
    )  # half the steps of three times the work
    assert found.found.low == pytest.approx(3 / 2, rel=1e-3)  # both see the same images
    (seconds,) = replicates.multipliers(made, "seconds", draws=500)
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
    hashes = {**one["hashes"], "data": "other"}
    moved = trial(tmp_path / "3", "a", arrays(0.5), recipe={"steps": 10}, hashes=hashes)
    assert "differ in data" in (replicates.together([[one], [moved]]).reason or "")


def test_the_command_puts_folders_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    budgets(tmp_path / "steps")
    folders = [str(tmp_path / "steps" / str(steps)) for steps in BUDGETS]
    assert command.main([*folders, "--json", str(tmp_path / "m.json")]) == 0
    text = capsys.readouterr().out
    assert "Training cost for the same mIoU" in text and "1.50" in text and "0.25" in text
    kept = json.loads((tmp_path / "m.json").read_text())
    found = [one["found"]["multiplier"] for one in kept["multipliers"]]
    assert found == pytest.approx([1.5, 0.25], rel=1e-3)
    crossed(tmp_path / "seeds")
    folders = [str(tmp_path / f"seeds/data{d}") for d in range(3)]
    write_json(tmp_path / "seeds/data0/position-prior.json", {"miou": 0.1, "data": "d"})
    assert command.main([*folders, "--target", "checkpoints"]) == 0
    text = capsys.readouterr().out
    assert "Spread of runs, points" in text and "initialisation" in text
    assert command.main([folders[0], str(tmp_path / "steps/1000")]) == 0
    text = capsys.readouterr().out
    assert "Nothing is said of these folders together: the recipes differ in" in text
