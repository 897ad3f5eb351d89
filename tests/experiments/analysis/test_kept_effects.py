"""What pretraining and the optimiser are worth, by the trainings of `camvid-fair` that are kept."""

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.analysis.evidence_types import RecipeEffect
from experiments.analysis.recipe_effects import recipe_effects
from experiments.recipes import RECIPES
from experiments.trials.results import finished, read_results

KEPT = Path(__file__).parents[3] / "experiments/results"
RESULTS = finished(r for p in sorted(KEPT.glob("camvid-fair*")) for r in read_results(p))


@pytest.fixture(scope="module")
def effects() -> dict[str, RecipeEffect]:
    found = recipe_effects(RESULTS, draws=2000)
    return {effect.changes[0].field: effect for effect in found if len(effect.networks) > 0}


def test_all_twelve_are_kept() -> None:
    assert len(RESULTS) == 12
    assert {result.seed for result in RESULTS} == {0, 1}


@pytest.mark.parametrize("field", ["init", "lr"])
def test_an_effect_is_the_mean_difference_of_seeds(
    effects: dict[str, RecipeEffect], field: str
) -> None:
    effect = effects[field]
    miou = {(r.recipe.name, r.model, r.seed): r.miou for r in RESULTS if r.recipe}
    differences = [
        miou[effect.after, one.model, seed] - miou[effect.before, one.model, seed]
        for one in effect.networks
        for seed in (0, 1)
    ]
    assert effect.mean is not None and effect.mean.difference is not None
    assert effect.mean.difference.value == pytest.approx(np.mean(differences), abs=1e-12)
    assert "over 2 seeds and 12 blocks of images" in effect.sentence


def test_the_recipe_says_what_came_out() -> None:
    said = re.findall(
        r"\b\d\d\.\d\b", (RECIPES["camvid-fair"].__doc__ or "").partition("Expected")[2]
    )
    scores = [f"{100 * result.miou:.1f}" for result in RESULTS]
    assert sorted(said) == sorted([*scores, "17.0"])
