"""What a changed recipe is worth, against the paired t interval of made accuracies."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments.analysis.evidence_types import RecipeEffect
from experiments.analysis.recipe_effects import recipe_effects
from experiments.trials.result_types import FinishedTrial, TrialResult
from tests.experiments.made import IMAGES, Floats, arrays, failed, spread, trial, write_prior

PRETRAINED = {"name": "camvid-quick init=imagenet", "init": "imagenet"}
ADAPTED = {"name": "fair", "init": "imagenet", "lr": 0.001}


def _trials(
    root: Path,
    model: str,
    accuracies: list[Floats],
    recipe: dict[str, Any] | None = None,
    **more: Any,
) -> list[FinishedTrial]:
    """A trial a seed; images are all as large, so that mIoU is the mean of their accuracies."""
    return [
        trial(root, model, arrays(accuracy), seed, recipe=recipe, **more)
        for seed, accuracy in enumerate(accuracies)
    ]


def _seeds(gains: list[float]) -> tuple[list[Floats], list[Floats]]:
    """Accuracies before and after, by seed; images gain as much on average, not each."""
    before = [spread(0.5, 0.05, seed) for seed in range(len(gains))]
    after = [before[seed] + spread(gain, 0.03, 10 + seed) for seed, gain in enumerate(gains)]
    return before, after


def _counted(accuracy: Floats) -> Floats:
    """As it is after rounding to whole pixels."""
    rounded: Floats = np.rint(accuracy * 1000) / 1000
    return rounded


def _by_hand(differences: list[Floats]) -> tuple[float, float, float]:
    """Mean and 95 % interval of (seeds, images): t with the variances of images and of seeds."""
    d = np.array(differences)
    image = d.mean(0).var(ddof=1) / IMAGES
    df, variance = IMAGES - 1.0, image
    if len(d) > 1:
        seed = d.mean(1).var(ddof=1) / len(d)
        variance = image + seed
        df = variance**2 / (image**2 / (IMAGES - 1) + seed**2 / (len(d) - 1))
    half = stats.t.ppf(0.975, df) * math.sqrt(variance)
    return d.mean(), d.mean() - half, d.mean() + half


def _only(results: Sequence[TrialResult]) -> RecipeEffect:
    (effect,) = recipe_effects(results)
    return effect


@pytest.mark.parametrize("gains", [[0.08], [0.08, 0.1, 0.09]], ids=["one seed", "three seeds"])
def test_the_interval_is_the_paired_one(tmp_path: Path, gains: list[float]) -> None:
    before, after = _seeds(gains)
    results = [
        *_trials(tmp_path / "b", "unet", after, PRETRAINED),
        *_trials(tmp_path / "a", "unet", before),
    ]
    effect = _only(results)
    (one,) = effect.networks
    want = _by_hand([_counted(b) - _counted(a) for a, b in zip(before, after, strict=True)])
    assert one is effect.mean and one.difference is not None and one.difference.low is not None
    assert one.seeds == tuple(range(len(gains)))
    assert one.difference.high is not None
    found = one.difference.value, one.difference.low, one.difference.high
    half = want[2] - want[0]
    assert found[0] == pytest.approx(want[0], abs=1e-12)
    assert found[1:] == pytest.approx(want[1:], abs=0.03 * half)  # 10,000 draws
    assert (one.before, one.after) == pytest.approx(
        [np.mean([_counted(x) for x in own]) for own in (before, after)]
    )
    assert (effect.num_blocks, effect.num_images) == (IMAGES, IMAGES)
    low, high = (f"{100 * x:.1f}" for x in found[1:])
    head = (
        f"init=imagenet instead of random: +{100 * np.mean(gains):.1f} points of mIoU for unet "
        f"(95 % interval {low} to {high}) over "
    )
    if len(gains) == 1:
        assert one.target == "checkpoints"
        assert effect.sentence == (
            f"{head}1 seed and 40 blocks of images; with one seed the interval has no part of "
            "seeds: it speaks of these checkpoints."
        )
    else:
        assert one.target == "seeds"
        assert effect.sentence == f"{head}3 seeds and 40 blocks of images."


def test_pairing_removes_what_both_recipes_share(tmp_path: Path) -> None:
    """Images of very different difficulty, all of which gain as much: nothing is uncertain."""
    before = [spread(0.5, 0.2)]
    effect = _only(
        [
            *_trials(tmp_path / "a", "unet", before),
            *_trials(tmp_path / "b", "unet", [_counted(before[0]) + 0.05], PRETRAINED),
        ]
    )
    assert effect.mean is not None and effect.mean.difference is not None
    assert effect.mean.difference.low == pytest.approx(0.05, abs=1e-9)


def test_the_mean_over_networks(tmp_path: Path) -> None:
    gains = {"unet": [0.08, 0.1], "segnet": [0.02, 0.03], "pspnet": [0.01]}
    made = {model: _seeds(own) for model, own in gains.items()}
    results: list[TrialResult] = []
    for model, (before, after) in made.items():
        results += _trials(tmp_path / "a", model, before)
        if model != "pspnet":  # under one recipe alone
            results += _trials(tmp_path / "b", model, after, PRETRAINED)
    effect = _only(results)
    assert [one.model for one in effect.networks] == ["unet", "segnet"]
    assert effect.mean is not None and effect.mean.difference is not None
    differences = [
        np.mean(
            [_counted(made[m][1][seed]) - _counted(made[m][0][seed]) for m in ("unet", "segnet")],
            axis=0,
        )
        for seed in range(2)
    ]
    want = _by_hand(differences)
    found = effect.mean.difference
    assert found.value == pytest.approx(want[0], abs=1e-12)
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(want[2] - want[1], rel=0.03)
    assert "points of mIoU as the mean of 2 networks (95 % interval" in effect.sentence


def test_all_fields_that_differ_are_named(tmp_path: Path) -> None:
    """And the recipe that keeps more defaults is the one before, in whatever order they come."""
    results = [
        *_trials(tmp_path / "b", "unet", [spread(0.45, 0.05, 3)], ADAPTED),
        *_trials(tmp_path / "a", "unet", [spread(0.5, 0.05, 4)]),
    ]
    for some in (results, results[::-1]):
        effect = _only(some)
        assert (effect.before, effect.after) == ("camvid-quick", "fair")
        assert {change.field for change in effect.changes} == {"init", "lr"}
        assert "init=imagenet instead of random" in effect.sentence
        assert "lr=0.001 instead of 0.0" in effect.sentence
        assert "these 2 fields together: -5.0 points of mIoU for unet" in effect.sentence


def test_every_two_of_three_recipes(tmp_path: Path) -> None:
    results = [
        *_trials(tmp_path / "a", "unet", [spread(0.5, 0.05)]),
        *_trials(tmp_path / "b", "unet", [spread(0.5, 0.05, 1)], PRETRAINED),
        *_trials(tmp_path / "c", "unet", [spread(0.6, 0.05)], ADAPTED),
    ]
    found = [[change.field for change in e.changes] for e in recipe_effects(results)]
    assert found == [["init"], ["lr", "init"], ["lr"]]
    first, *_ = recipe_effects(results)
    assert "; it may make no difference; " in first.sentence


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    results: list[TrialResult] = []
    for model in ("unet", "diverged", "uncounted", "other seed"):
        results += _trials(tmp_path / "a", model, [spread(0.5, 0.05)])
    results += _trials(tmp_path / "b", "unet", [spread(0.6, 0.05)], PRETRAINED)
    results.append(
        failed(tmp_path / "b", "diverged", "the loss is nan", kind="diverged", recipe=PRETRAINED)
    )
    results.append(trial(tmp_path / "b", "uncounted", None, recipe=PRETRAINED))
    results.append(trial(tmp_path / "b", "other seed", arrays(0.7), 5, recipe=PRETRAINED))
    effect = _only(results)
    assert effect.mean is effect.networks[0]
    name = "camvid-quick init=imagenet"
    for words in (
        f"diverged is left out: it did not train under {name}, seed 0: the loss is nan",
        f"uncounted is left out: no finished trial under {name} has counts of single images",
        "other seed is left out: the two recipes have no seed in common",
    ):
        assert words in effect.sentence
    (nothing,) = recipe_effects([r for r in results if r.model == "diverged"])
    assert nothing.mean is None
    assert nothing.sentence.startswith("init=imagenet instead of random: nothing can be said; div")


def test_what_did_not_train_is_said(tmp_path: Path) -> None:
    """Beside a position prior of 40 %, which one comparison has kept, as compare leaves it."""
    results: list[TrialResult] = []
    for model, mious in {"unet": (0.5, 0.6), "segnet": (0.405, 0.6), "late": (0.3, 0.405)}.items():
        for root, miou, recipe in zip("ab", mious, (None, PRETRAINED), strict=True):
            accuracy = spread(miou, 0.05, len(results))
            results += _trials(tmp_path / root, model, [accuracy], recipe)
    write_prior(tmp_path / "b", 0.4)
    effect = _only(results)
    assert "segnet: it did not train under camvid-quick; late is left out" in effect.sentence
    assert "under either recipe it is at most a point above the position prior" in effect.sentence
    assert "unet: it" not in effect.sentence
    assert effect.mean is not None and effect.mean.difference is not None
    assert effect.mean.difference.value == pytest.approx((0.1 + 0.195) / 2, abs=1e-3)


def test_other_code_is_said(tmp_path: Path) -> None:
    first = _trials(tmp_path / "a", "unet", [spread(0.5, 0.05)])
    hashes = {**dict(first[0].hashes), "code": "e", "recipe": "r"}
    second = _trials(tmp_path / "b", "unet", [spread(0.6, 0.05)], PRETRAINED, hashes=hashes)
    said = "; not all of these trials were made by the same code."
    assert _only([*first, *second]).sentence.endswith(said)


def test_networks_have_hashes_of_their_own_code(tmp_path: Path) -> None:
    """A hash is of what its network reaches, so that two networks never share one."""
    results = []
    for model in ("unet", "segnet"):
        for root, miou, recipe in zip("ab", (0.5, 0.6), (None, PRETRAINED), strict=True):
            for made in _trials(tmp_path / root, model, [spread(miou, 0.05)], recipe):
                hashes = made.hashes.model_copy(update={"code": model})
                results.append(made.model_copy(update={"hashes": hashes}))
    assert "same code" not in _only(results).sentence


def test_too_few_blocks_give_no_interval(tmp_path: Path) -> None:
    results = [
        *_trials(tmp_path / "a", "unet", [spread(0.5, 0.05)], block=None),
        *_trials(tmp_path / "b", "unet", [spread(0.6, 0.05)], PRETRAINED, block=None),
    ]
    assert "+10.0 points of mIoU for unet, without an interval: only 1" in _only(results).sentence


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": {"name": "shuffled", "data_seed": 3}},
        {"recipe": PRETRAINED, "hashes": "data"},
        {"recipe": PRETRAINED, "hashes": "protocol"},
    ],
    ids=["seeds alone", "other data", "another protocol"],
)
def test_what_gives_no_effect(tmp_path: Path, other: dict[str, Any]) -> None:
    first = _trials(tmp_path / "a", "unet", [spread(0.5, 0.05)])
    hashes = dict(first[0].hashes)
    part = other.pop("hashes", None)
    if part is not None:
        other["hashes"] = hashes | {part: "another", "recipe": "r"}
    second = _trials(tmp_path / "b", "unet", [spread(0.6, 0.05)], **other)
    assert recipe_effects([*first, *second]) == ()
    if part is not None:  # which alone made the difference
        other["hashes"] = hashes | {"recipe": "r"}
        assert _only([*first, *_trials(tmp_path / "c", "unet", [spread(0.6, 0.05)], **other)])
