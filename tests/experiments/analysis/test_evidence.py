"""The numbers of evidence against the statistics called singly; seeds and repeats."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from experiments.analysis.bootstrap import blocks
from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence, PairEvidence
from experiments.analysis.intervals import holm, interval, minimum_detectable_difference
from experiments.analysis.model_summary import summarise
from experiments.analysis.pareto import pareto
from experiments.recipes import camvid_quick
from experiments.trials.atomic_io import write_json
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.tuning_budget import TuningBudget
from tests.experiments.analysis.made_counts import Counts, slow_bootstrap
from tests.experiments.made import WIDTHS, arrays, difference, failed, judge, spread, trial

# --- seeds and repeats


def test_seeds_and_checkpoints(tmp_path: Path) -> None:
    shift = {0: 0.0, 1: 0.02, 2: -0.02}
    results = [
        trial(tmp_path, name, arrays(spread(mean + shift[seed], 0.01, seed)), seed)
        for name, mean in (("a", 0.6), ("b", 0.5))
        for seed in shift
    ]
    found = judge(results)
    assert found.target == "seeds" and found.seeds == (0, 1, 2)
    assert "with 3 seeds each, this speaks of new training runs as well" in found.answer
    own = judge(results, target="checkpoints")
    wide, narrow = found.models[0].miou, own.models[0].miou
    assert (wide.standard_error or 0) > 3 * (narrow.standard_error or 1)
    assert "with 3 seeds each, this is about these checkpoints" in own.answer


def test_a_pair_has_the_seeds_that_both_have(tmp_path: Path) -> None:
    results = [trial(tmp_path, "a", arrays(spread(0.6 + seed / 10, 0.01)), seed) for seed in (0, 1)]
    results += [trial(tmp_path, "b", arrays(spread(0.5, 0.01)), seed) for seed in (1, 2)]
    (pair,) = judge(results, target="checkpoints").pairs
    assert pair.seeds == (1,) and pair.difference.value == pytest.approx(0.2)
    (pair,) = judge(results[:1] + results[3:]).pairs
    assert pair.seeds == () and pair.difference.value == pytest.approx(0.1)
    assert pair.difference.low is None and pair.boundary_gain is None
    assert pair.difference.reason == "they have no seed in common (0 against 2)"


def test_repeats_are_noise_and_no_seeds(tmp_path: Path) -> None:
    noise = spread(0, 0.002)
    results = [
        trial(tmp_path, "a", arrays(0.53 + noise)),
        trial(tmp_path, "a", arrays(0.57 + noise), repeat=1),
        trial(tmp_path, "b", arrays(0.50 - noise)),
    ]
    found = judge(results)
    # SD of .53 and .57 is .028; the difference of .03 is sure, yet a repeat moves as far:
    # t(.975, 1) sqrt(2) .0283 = 12.706 * .04.
    assert found.noise_floor.sd == pytest.approx(0.02 * 2**0.5)
    assert found.models[0].seeds == (0,) and found.models[0].miou.value == pytest.approx(0.53)
    (pair,) = found.pairs
    assert (pair.p_holm or 1) < 1e-6 and pair.verdict.kind == "cannot be told apart"
    reason = "a - b is 3.0 points, less than the 50.8 by which two runs of the very same trial"
    assert pair.verdict.reason.startswith(reason) and reason in found.answer
    assert judge([results[0], results[2]]).pairs[0].verdict.kind == "better"
    (summary, _) = summarise(results)
    assert summary.seeds == (0,) and summary.miou == pytest.approx(0.53)
    assert [each.num_seeds for each in summarise(results)] == [1, 1]


def _with_miou(result: FinishedTrial, miou: float) -> FinishedTrial:
    metrics = result.metrics.model_copy(update={"miou": miou})
    return result.model_copy(update={"metrics": metrics})


def test_noise_counts_the_runs_of_a_mean_and_only_for_checkpoints(tmp_path: Path) -> None:
    # Repeats .01 apart: SD .00707, df 3, t 3.182. Means over 3 runs may differ by 3.182 * .00707 *
    # sqrt(2 / 3), 1.84 points, single runs by 3.18; the difference is 2.5.
    noise, results = spread(0, 0.002), []
    for seed in range(3):
        results += [
            trial(tmp_path, "a", arrays(0.525 + noise), seed),
            trial(tmp_path, "a", arrays(0.535 + noise), seed, repeat=1),
            trial(tmp_path, "b", arrays(0.5 - noise), seed),
        ]
    assert judge(results, target="checkpoints").pairs[0].verdict.kind == "better"
    one = [result for result in results if result.model == "a" or result.seed == 0]
    (pair,) = judge(one, target="checkpoints").pairs
    assert pair.seeds == (0,) and "less than the 3.2 by which two runs" in pair.verdict.reason
    # An SD of 5.3 points, which seeds would show.
    results = [_with_miou(result, 0.6) if result.repeat else result for result in results]
    assert (
        "less than the 13.8 by which two means of 3 runs"
        in judge(results, target="checkpoints").pairs[0].verdict.reason
    )
    assert judge(results, target="seeds").pairs[0].verdict.kind == "better"


def test_a_repeat_stands_for_a_first_run_that_failed(tmp_path: Path) -> None:
    b = trial(tmp_path, "b", arrays(spread(0.5, 0.01)))
    results = [
        failed(tmp_path, "a", "out of memory"),
        trial(tmp_path, "a", arrays(spread(0.6, 0.01)), repeat=1),
        trial(tmp_path, "a", arrays(spread(0.601, 0.01)), repeat=2),
        b,
    ]
    found = judge(results)
    assert found.answer.startswith("a is best with 60.0 % mIoU")
    assert found.models[0].fronts["gmacs"].on_front


def test_a_repeat_that_diverged_is_not_luck(tmp_path: Path) -> None:
    why = "did not train under this recipe: the loss is nan"
    results = [
        trial(tmp_path, "a", arrays(spread(0.6, 0.01))),
        failed(tmp_path, "a", why, repeat=1, kind="diverged"),
        trial(tmp_path, "b", arrays(spread(0.5, 0.01))),
        trial(tmp_path, "c", arrays(spread(0.5, 0.01))),
        trial(tmp_path, "c", arrays(0.2), repeat=1),
    ]
    found = judge(results, prior=0.2)
    assert found.did_not_train["a"] == f"repeat 1 of seed 0: {why}"
    assert found.did_not_train["c"].startswith("repeat 1 of seed 0 reaches 20.0 % mIoU")
    assert [model.model for model in found.models if not model.did_not_train] == ["b"]


def test_seeds_that_the_recipe_fixes_are_no_new_runs(tmp_path: Path) -> None:
    def runs(**recipe: int) -> list[TrialResult]:
        folder = tmp_path / "-".join(recipe)
        return [
            trial(folder, name, arrays(spread(mean, 0.01)), seed, recipe=recipe)
            for name, mean in (("a", 0.6), ("b", 0.5))
            for seed in range(3)
        ]

    same = runs(init_seed=0, data_seed=0)
    found = judge(same)
    assert found.target == "checkpoints" and found.answer.endswith(
        "not about new training runs, with the initialisation and the order of the data fixed."
    )
    with pytest.raises(ValueError, match="fixes init_seed and data_seed"):
        judge(same, target="seeds")
    for field, name in (("init_seed", "initialisation"), ("data_seed", "order of the data")):
        found = judge(runs(**{field: 0}))
        assert found.target == "seeds"
        assert found.answer.endswith(f"of new training runs as well, with the {name} fixed.")


def test_equal_repeats_hide_nothing(tmp_path: Path) -> None:
    counts = arrays(spread(0.6, 0.01))
    results = [trial(tmp_path, "a", counts, repeat=i) for i in (0, 1)]
    found = judge([*results, trial(tmp_path, "b", arrays(spread(0.5, 0.01, 1)))])
    assert found.noise_floor.sd == 0 and found.pairs[0].verdict.kind == "better"


def test_a_tuned_network_is_a_row_of_its_own(tmp_path: Path) -> None:
    recipe = camvid_quick()
    search = TuningBudget(
        num_trials=4, seed=0, lr=recipe.lr, weight_decay=recipe.weight_decay, span=10.0, steps=10,
        train_split="train", select_split="val",
    )  # fmt: skip
    plain = trial(tmp_path, "a", arrays(spread(0.5, 0.01)))
    tuned = {"tuning": search, "lr": 0.1}
    other = trial(tmp_path / "tuned", "a", arrays(spread(0.6, 0.01)), recipe=tuned)
    names = ["a (tuned: lr 0.1, wd 0.0005)", "a"]
    assert [model.model for model in judge([plain, other]).models] == names
    assert {summary.model for summary in summarise([plain, other])} == set(names)


# --- the numbers


def _random(rng: np.random.Generator, truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Counts on a truth (n, K), a tenth to a half of which lies in bands."""
    tp = rng.binomial(truth, np.clip(rng.normal(0.6, 0.2, truth.shape), 0, 1))
    fp = rng.integers(0, 200, truth.shape)
    whole = np.stack([tp, fp, truth - tp], axis=1)
    band = np.stack([whole * (i + 1) // 10 for i in range(3)], axis=1).astype(np.int32)
    within = (truth[:, None] * np.arange(1, 4)[None, :, None]) // 10
    band[:, :, 0] = np.minimum(band[:, :, 0], within)
    band[:, :, 2] = within - band[:, :, 0]
    return {
        "ids": np.arange(len(truth)).astype(str),
        "groups": np.array(["one"] * (len(truth) // 3) + ["two"] * (len(truth) - len(truth) // 3)),
        **dict(zip(("tp", "fp", "fn"), np.moveaxis(whole, 1, 0), strict=True)),
        "widths": np.array(WIDTHS),
        "band": band,
    }


def _stack(trials: list[dict[str, Any]], part: str) -> Counts:
    """Counts of one part, (seeds, images, K), as `slow_bootstrap` takes them."""
    whole = np.stack([[t[name] for name in ("tp", "fp", "fn")] for t in trials])
    near = np.stack([np.moveaxis(t["band"][:, 1], 1, 0) for t in trials])
    chosen = {"whole": whole, "within": near, "beyond": whole - near}[part]
    return chosen[:, 0], chosen[:, 1], chosen[:, 2]


def test_all_numbers_are_those_of_single_calls(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 1000, (60, 3)) * (rng.random((60, 3)) < [1, 0.8, 0.06])
    made = {name: [_random(rng, truth) for _ in range(3)] for name in "abc"}
    results = [
        trial(tmp_path, name, counts, seed, data={"classes": ["a", "b", "c"], "block": 4})
        for name, trials in made.items()
        for seed, counts in enumerate(trials)
    ]
    found = evidence(results, draws=1500)
    block = blocks(list(made["a"][0]["groups"]), 4)
    parts = {
        part: slow_bootstrap({n: _stack(t, part) for n, t in made.items()}, block, 1500)
        for part in ("whole", "within", "beyond")
    }
    for model in found.models:
        assert model.miou == interval(parts["whole"][model.model], "seeds")
        assert model.mdd == minimum_detectable_difference(model.miou)
        assert model.bands is not None and model.bands.pixels == WIDTHS
        assert model.bands.within[1] == interval(parts["within"][model.model], "seeds")
        assert model.bands.beyond[1] == interval(parts["beyond"][model.model], "seeds")
        for k, name in enumerate("abc"):
            tp, fp, fn = (part[..., k : k + 1] for part in _stack(made[model.model], "whole"))
            alone = slow_bootstrap({"x": (tp, fp, fn)}, block, 1500)["x"]
            assert model.iou[name] == interval(alone, "seeds")
    assert "independent blocks" in (found.models[0].iou["c"] or found.models[0].miou).reason  # type: ignore[operator]
    for pair in found.pairs:
        _check_pair(pair, parts)
    assert [p.p_holm for p in found.pairs] == holm([p.p for p in found.pairs if p.p is not None])
    margins = [p.p_equivalent for p in found.pairs if p.p_equivalent is not None]
    assert [p.p_equivalent_holm for p in found.pairs] == holm(margins) and len(margins) == 3
    fronts = pareto(dict.fromkeys("abc", 2.0), parts["whole"])
    assert {m.model: m.fronts["gmacs"] for m in found.models} == fronts


def _check_pair(pair: PairEvidence, parts: dict[str, Any]) -> None:
    a, b = pair.a, pair.b
    assert pair.difference == difference(parts["whole"][a], parts["whole"][b], "seeds")
    near, far = (parts[part] for part in ("within", "beyond"))
    assert pair.within == difference(near[a], near[b], "seeds")
    assert pair.beyond == difference(far[a], far[b], "seeds")
    assert pair.boundary_gain is not None and pair.within and pair.beyond
    assert pair.boundary_gain.value == pytest.approx(pair.within.value - pair.beyond.value)


def test_who_gains_at_boundaries(tmp_path: Path) -> None:
    # Within 3 px lie 300 of 1000 pixels. Equal on the whole: a has .8 near and so .4286 beyond.
    a, b = spread(0.54, 0.01), spread(0.54, 0.01, 1)
    results = [trial(tmp_path, "a", arrays(a, 0.8)), trial(tmp_path, "b", arrays(b, 0.54))]
    (pair,) = judge(results).pairs
    sign = 1 if pair.a == "a" else -1
    assert pair.within and pair.beyond and pair.boundary_gain
    assert sign * pair.within.value == pytest.approx(0.26)
    assert sign * pair.beyond.value == pytest.approx((540 - 240) / 700 - 0.54, abs=1e-3)
    assert sign * pair.boundary_gain.value == pytest.approx(0.3714, abs=1e-3)
    low, high = pair.boundary_gain.low, pair.boundary_gain.high
    assert low is not None and high is not None and low * high > 0


def test_bands_that_were_not_counted(tmp_path: Path) -> None:
    new, old = arrays(spread(0.6, 0.01), 0.5), arrays(spread(0.5, 0.01, 1))
    found = judge([trial(tmp_path, "new", new), trial(tmp_path, "old", old)])
    assert [model.bands is None for model in found.models] == [False, True]
    assert found.pairs[0].within is None and found.pairs[0].verdict.kind == "better"


def test_json_gives_all_back(tmp_path: Path) -> None:
    results = [
        trial(tmp_path, "a", arrays(spread(0.6, 0.01), 0.5)),
        trial(tmp_path, "b", arrays(spread(0.5, 0.01, 1)), block=None),
    ]
    for options in ({}, {"block": None}, {"prior": 0.5}):
        found = judge(results, **options)
        plain = found.to_json()
        write_json(tmp_path / "e.json", plain)
        assert json.loads((tmp_path / "e.json").read_text()) == plain
        assert plain["models"][0]["miou"]["value"] == found.models[0].miou.value
        assert set(plain) == {field.name for field in dataclasses.fields(Evidence)}


def test_the_block_is_the_data_sets_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    for block in (None, 20):
        made = trial(tmp_path, "a", arrays(0.5), block=block)
        assert judge([made]).block == block
        assert judge([made], block=4).block == 4


def test_other_comparisons_and_images_are_refused(tmp_path: Path) -> None:
    one = trial(tmp_path, "a", arrays(0.5))
    other = trial(tmp_path, "b", arrays(0.6), recipe={"lr": 0.5})
    with pytest.raises(ValueError, match=r"lr: 0\.05 against 0\.5"):
        judge([one, other])
    turned = {**arrays(0.6), "ids": arrays(0.6)["ids"][::-1]}
    with pytest.raises(ValueError, match="scored on other images or labels"):
        judge([one, trial(tmp_path, "b", turned)])


def test_many_draws_take_seconds(tmp_path: Path) -> None:
    """Five models with three seeds have 10 s; two with two are a quarter of that."""
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 1000, (500, 19))
    data = {"classes": [str(k) for k in range(19)], "block": 1}
    results = [
        trial(tmp_path, name, _random(rng, truth), seed, data=data)
        for name in "ab"
        for seed in (0, 1)
    ]
    start = time.process_time()
    found = evidence(results)
    assert time.process_time() - start < 8
    assert found.num_blocks == 500
