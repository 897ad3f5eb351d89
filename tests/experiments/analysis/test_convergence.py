"""Whether curves climb at the end: against scipy's regression, by simulation, and case by case."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from experiments.analysis.convergence import (
    FEWEST_IMAGES,
    Convergence,
    convergence,
    corrected,
    progress,
)
from experiments.recipes import smoke
from experiments.trials.result_types import Curve, FinishedTrial, Point
from lightning_modules.schedule import Schedule
from tests.experiments.made import arrays, failed, judge, rising, spread, trial

STEPS = 4000  # of camvid-quick
AT = np.arange(500, STEPS + 1, 500)  # its validations
SCHEDULE = Schedule(kind="poly", lr=1.0, steps=STEPS)
SUMS = np.cumsum([SCHEDULE.at(step) for step in range(STEPS)])
DONE = np.log2(SUMS[AT - 1] / SUMS[-1])
LATE = DONE[2:]  # above -1, from step 1223 on
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> FinishedTrial:
    return trial(tmp_path_factory.mktemp("trials"), "a", None)


def run(
    base: FinishedTrial,
    val: npt.ArrayLike = (),
    train: npt.ArrayLike = (),
    **changes: Any,
) -> FinishedTrial:
    """That trial with other curves, whose points are evenly spaced and end with the last step."""

    def points(values: npt.ArrayLike) -> tuple[Point, ...]:
        given = np.asarray(values, np.float64)
        at = [STEPS * (i + 1) // len(given) for i in range(len(given))]
        return tuple(zip(at, map(float, given), strict=True))

    curve = Curve(val=points(val), train=points(train))
    return base.model_copy(update={"curve": curve, **changes})


def only(found: Convergence) -> Any:
    (climb,) = found.climbs
    return climb


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"power": 0.0},
        {"schedule": "constant", "warmup": 3},
        {"schedule": "cosine", "warmup": 10},
        {"power": 2.0, "warmup": 1},
    ],
)
def test_progress_sums_the_rates_of_training(fields: dict[str, Any]) -> None:
    recipe = replace(smoke(), steps=40, **fields)
    schedule = Schedule(
        kind=recipe.schedule, lr=recipe.lr, steps=40, power=recipe.power, warmup=recipe.warmup
    )
    sums = list(accumulate(schedule.at(step) for step in range(40)))
    assert progress(recipe) == pytest.approx([np.log2(part / sums[-1]) for part in sums])


def test_the_last_doubling_follows_the_schedule(base: FinishedTrial) -> None:
    """Half the steps at a constant rate; of (1 - t)^p all but 1 - .5^(1 / (p + 1)) of them."""

    def since(**fields: Any) -> int | None:
        assert base.recipe is not None
        recipe = replace(base.recipe, **fields)
        return convergence([base.model_copy(update={"recipe": recipe})], 0.01).since

    assert since(schedule="constant", power=0.9) == STEPS / 2
    assert since() == pytest.approx(STEPS * (1 - 0.5 ** (1 / 1.9)), abs=1)


def test_one_curve_is_scipys_regression(base: FinishedTrial) -> None:
    val = [0.2, 0.3, 0.35, 0.41, 0.43, 0.45, 0.44, 0.5]
    climb = only(convergence([run(base, val)], 0.01))
    told = stats.linregress(LATE, val[2:], alternative="greater")
    assert climb.gain.value == pytest.approx(told.slope)
    assert climb.gain.standard_error == pytest.approx(told.stderr)
    assert climb.p == pytest.approx(told.pvalue)
    half = stats.t.ppf(0.975, 4) * told.stderr
    assert (climb.gain.low, climb.gain.high) == pytest.approx(
        (told.slope - half, told.slope + half)
    )
    assert climb.p_level == pytest.approx(1 - stats.t.sf((told.slope - 0.01) / told.stderr, 4))
    assert (climb.kind, climb.measure, climb.num_points) == ("climbs", "validation mIoU", 6)


def test_seeds_share_a_slope_and_keep_their_levels(base: FinishedTrial) -> None:
    rng = np.random.default_rng(0)
    curves = [0.4 + 0.2 * seed + rng.normal(0, 0.01, 8) for seed in range(3)]
    climb = only(convergence([run(base, c, seed=s) for s, c in enumerate(curves)], 0.01))
    x = np.tile(LATE, 3)
    design = np.column_stack([x, np.repeat(np.eye(3), 6, axis=0)])
    y = np.concatenate([curve[2:] for curve in curves])
    fitted, squares, *_ = np.linalg.lstsq(design, y)
    error = np.sqrt(squares[0] / 14 * np.linalg.inv(design.T @ design)[0, 0])
    assert (climb.gain.value, climb.gain.standard_error) == pytest.approx((fitted[0], error))
    assert (climb.gain.df, climb.num_points) == (14, 18)


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.5], [0.2], [0.05, 0.05], []])
def test_the_correction_is_scipys(p: list[float]) -> None:
    assert corrected(p) == pytest.approx(list(stats.false_discovery_control(p)) if p else [])


def share(
    base: FinishedTrial, curve: Callable[[], Floats], networks: int = 3, seeds: int = 1
) -> float:
    """In how many of 400 comparisons some network is said to climb."""
    found = 0
    for _ in range(400):
        trials = [
            run(base, curve(), model=f"n{i}", seed=seed)
            for i in range(networks)
            for seed in range(seeds)
        ]
        found += convergence(trials, 0.01).too_short
    return found / 400


def test_false_alarms_and_power(base: FinishedTrial) -> None:
    """With errors as of camvid-quick, SD 1.5 points; 400 draws have a standard error of 1 to 2.5
    points."""
    rng = np.random.default_rng(1)

    def noisy(rise: float = 0.0, correlation: float = 0.0) -> Callable[[], Floats]:
        def curve() -> Floats:
            errors = rng.normal(0, 0.015, 8)
            for i in range(1, 8):
                new = np.sqrt(1 - correlation**2) * errors[i]
                errors[i] = correlation * errors[i - 1] + new
            return np.asarray(0.5 + rise * DONE + errors)

        return curve

    for networks, seeds in ((1, 1), (3, 1), (3, 3), (12, 1)):
        assert share(base, noisy(), networks, seeds) < 0.08, (networks, seeds)
    assert 0.08 < share(base, noisy(correlation=0.5)) < 0.16
    assert share(base, noisy(0.08)) > 0.95  # points that a doubling brings
    assert 0.5 < share(base, noisy(0.04)) < 0.7
    assert share(base, noisy(0.04), seeds=3) > 0.95


def test_what_a_curve_shows(base: FinishedTrial) -> None:
    wiggle = 1e-3 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    flat = only(convergence([run(base, 0.5 + wiggle)], 0.01))
    assert (flat.kind, flat.p_level < 0.05) == ("level", True)
    # The rates of the last eighth of the steps are 2 % of their sum: it is stopped, not level.
    stopped = [0.1, 0.2, 0.3, 0.37, 0.43, 0.47, 0.5, 0.5]
    assert only(convergence([run(base, stopped)], 0.01)).kind == "climbs"
    # What does not matter is no climb, however sure it is.
    slight = 0.5 + 0.005 * DONE
    assert only(convergence([run(base, slight)], 0.01)).kind == "level"
    assert only(convergence([run(base, slight)], 0.004)).kind == "climbs"
    loud = only(convergence([run(base, 0.5 + 100 * wiggle)], 0.01))
    assert (loud.kind, loud.p > 0.05, loud.p_level > 0.05) == ("cannot be told", True, True)
    falling = only(convergence([run(base, 0.5 - 0.1 * DONE + wiggle)], 0.01))
    assert falling.kind == "level"


def test_a_loss_stands_in_for_a_short_curve(base: FinishedTrial) -> None:
    """Of 200 points, in eight means, for a power law in progress and for a constant."""
    rng = np.random.default_rng(0)
    at, noise = SUMS[19::20] / SUMS[-1], rng.normal(1, 0.1, 200)
    for val in ([], [0.3, 0.5]):
        climb = only(convergence([run(base, val, 0.5 * at**-0.4 * noise)], 0.01))
        assert (climb.measure, climb.kind, climb.num_points) == ("training loss", "climbs", 8)
        assert climb.gain.value == pytest.approx(1 - 2**-0.4, abs=0.03)
        assert climb.gain.low < 1 - 2**-0.4 < climb.gain.high
        assert only(convergence([run(base, val, 0.5 + 0 * at)], 0.01)).kind == "level"
    rising = only(convergence([run(base, [], 0.5 * at**0.4 * noise)], 0.01))
    assert (rising.kind, rising.gain.value < 0) == ("level", True)


@pytest.mark.parametrize("loss", [(), (1, 0.5), (0.5, 0.2, -0.1, -0.3, -0.5)])
def test_no_curve_tells(base: FinishedTrial, loss: Sequence[float]) -> None:
    found = convergence([run(base, [0.3, 0.5], loss)], 0.01)
    climb = only(found)
    assert (climb.measure, climb.gain, climb.p) == (None, None, None)
    assert (climb.kind, found.too_short) == ("cannot be told", False)


def drawn(root: Path, steps: int, batch: int = 4, **changes: Any) -> FinishedTrial:
    return trial(root, "a", None, recipe={"steps": steps, "batch": batch}, **changes)


def test_few_images_are_too_few_whatever_the_curve(tmp_path: Path) -> None:
    few = convergence([drawn(tmp_path, 80)], 0.01)
    assert (few.num_images, few.few_images, few.too_short) == (320, True, True)
    assert only(few).kind == "cannot be told" and few.climbing == ()
    enough = convergence([drawn(tmp_path, FEWEST_IMAGES // 4)], 0.01)
    assert (enough.num_images, enough.few_images, enough.too_short) == (1000, False, False)


def test_label_maps_from_elsewhere_have_no_curve(base: FinishedTrial) -> None:
    theirs = base.model_copy(update={"model": "theirs", "recipe": None})
    assert convergence([theirs], 0.01) == Convergence(None, False, None, (), False)
    both = convergence([theirs, run(base, np.linspace(0.1, 0.8, 8))], 0.01)
    assert [climb.model for climb in both.climbing] == ["a"] and both.too_short


def test_the_steepest_comes_first_and_losses_last(base: FinishedTrial) -> None:
    rises = {"slow": 0.1, "fast": 0.3}
    trials = [run(base, 0.5 + rise * DONE, model=n) for n, rise in rises.items()]
    trials.insert(0, run(base, [], np.arange(1, 201) ** -0.9, model="loss"))
    found = convergence(trials, 0.01)
    assert [climb.model for climb in found.climbs] == ["loss", "slow", "fast"]
    assert [climb.model for climb in found.climbing] == ["fast", "slow", "loss"]


def test_no_best_where_curves_climb(tmp_path: Path) -> None:
    noise = spread(0, 0.02)
    results = [
        trial(tmp_path, "top", arrays(0.8 + noise), **rising(0.1)),
        trial(tmp_path, "mid", arrays(0.6 + 1.1 * noise)),
        trial(tmp_path, "low", arrays(0.17)),
    ]
    found = judge(results)
    assert found.caveat == "Too short to rank" and found.convergence.too_short
    head = (
        "Too short to rank: the validation mIoU of top still climbs (by 10.0 points from step 1223 "
        "on); so far "
    )
    assert found.answer.startswith(
        f"{head}top has the highest mIoU, 80.0 %, 20.0 points above the next, mid (95 % interval "
    )
    assert " best" not in found.answer
    told = found.to_json()["convergence"]
    assert told["too_short"] and told["climbs"][0]["kind"] == "climbs"
    alike = judge([results[0], trial(tmp_path, "twin", arrays(0.8 + noise))])
    assert alike.answer.startswith(f"{head}top and twin are equivalent within 1.0 points")
    # Numbers are those without the curve.
    flat = judge([trial(tmp_path / "flat", "top", arrays(0.8 + noise)), *results[1:]])
    assert flat.answer.startswith("top is best with 80.0 %") and flat.caveat == ""
    assert (flat.models, flat.pairs) == (found.models, found.pairs)
    assert not judge(results, margin=0.11).convergence.too_short


def test_one_network_is_judged_not_ranked(tmp_path: Path) -> None:
    one = judge([trial(tmp_path, "a", arrays(spread(0.6, 0.02)), **rising(0.1))])
    assert one.answer.startswith(
        "Too short to judge: the validation mIoU of a still climbs (by 10.0 points from step 1223 "
        "on); so far a has 60.0 % mIoU, 95 % interval"
    )
    few = judge([drawn(tmp_path / "few", 80)])
    assert few.caveat == "Too short to judge"
    assert "nothing can be said yet" in few.answer  # it has no counts of images


def test_many_and_few_images_in_one_sentence(tmp_path: Path) -> None:
    recipe = {"steps": 80, "batch": 4}
    results = [
        trial(
            tmp_path,
            f"n{i}",
            arrays(spread(0.5 + i / 10, 0.02, i)),
            recipe=recipe,
            **rising(0.05 * (i + 1), 80),
        )
        for i in range(4)
    ]
    assert judge(results).answer.startswith(
        "Too short to rank: training drew only 320 images and the validation mIoU of n3, n2, n1 "
        "and 1 more still climbs (by 5.0 to 20.0 points from step 25 on); so far "
        "n3 has the highest mIoU, 80.0 %, 10.0 points above the next, n2 ("
    )


def test_who_did_not_train_may_not_have_had_the_time(tmp_path: Path) -> None:
    at_prior = trial(tmp_path, "slow", arrays(0.17 + spread(0, 0.01)), **rising(0.1))
    assert judge([at_prior], prior=0.17).answer.startswith(
        "Too short to judge: the validation mIoU of slow still climbs (by 10.0 points from "
        "step 1223 on); slow did not train under this recipe: nothing to rank"
    )
    lost = [at_prior, failed(tmp_path, "b", "the loss is nan", kind="diverged")]
    found = judge(lost, prior=0.17)
    assert found.answer.startswith("Too short to rank: ")
    assert found.caveat == "Too short to rank"
