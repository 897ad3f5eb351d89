"""What is registered can be run: its networks exist, cost what it says, and follow one order."""

import pytest

from experiments.claims.registration import (
    ADDED_CONTRASTS,
    ADDED_NETWORKS,
    AT_EQUAL_SECONDS,
    CLAIMS,
    FAMILIES,
    GMACS,
    LONGER,
    MORE_SEEDS,
    NETWORKS,
    REPEATED,
    SEEDS,
    SIZE,
    Claim,
)
from experiments.claims.study import MODELS, StudyTrial, lab, model_of, names_of, registered
from experiments.costs.flops import count
from experiments.trials.overrides import load
from models import parse_model

FARTHEST = 0.13  # of the budget, which whole channels leave


@pytest.mark.parametrize("name", MODELS)
def test_every_network_costs_what_the_budget_says(name: str) -> None:
    assert abs(count(MODELS[name], 11, SIZE).gmacs / GMACS - 1) < FARTHEST


def test_the_nine_claims_name_registered_networks() -> None:
    assert [claim.key for claim in CLAIMS] == [f"C{i}" for i in range(1, 10)]
    assert {name for claim in CLAIMS for name, _ in names_of(claim)} == set(MODELS)
    assert set(AT_EQUAL_SECONDS) == {"resunet", *FAMILIES}
    for model in AT_EQUAL_SECONDS.values():
        parse_model(model)


def test_contrasts_are_in_the_direction_of_their_claim() -> None:
    """First what the lecture says is better."""
    said = {
        "C1": {("hrnetv2", "resunet")},
        "C2": {("hrnetv2", "streams1")},
        "C3": {("hrnetv2", "fusion-final")},
        "C4": {("hrnetv2", "down-maxpool"), ("hrnetv2", "down-bilinear")},
        "C6": {("hrnetv2", "hrnetv1")},
        "C7": {("unet", "unet-bilinear"), ("dilatednet-transposed", "dilatednet")},
        "C8": {("deeplabv3p", "deeplabv3p-no-skip")},
    }
    trained = {claim.key: claim for claim in CLAIMS if isinstance(claim, Claim)}
    assert said == {k: {(c.better, c.worse) for c in own.primary} for k, own in trained.items()}


def test_any_prefix_compares_all_networks_on_equally_many_seeds() -> None:
    trials = registered()
    assert len(trials) == len(set(trials))
    seeds = [trial.seed for trial in trials]
    assert seeds == sorted(seeds)
    for seed in SEEDS:
        assert {t.model for t in trials if t.seed == seed} >= set(NETWORKS.values())
    late = {t.model for t in trials if t.seed > max(SEEDS)}
    assert late == {NETWORKS["hrnetv2"], NETWORKS["resunet"], AT_EQUAL_SECONDS["resunet"]}
    assert {t.seed for t in trials if t.model == NETWORKS["hrnetv2"]} == set(MORE_SEEDS)


def test_what_was_added_runs_beside_what_was_registered_and_decides_nothing() -> None:
    assert ADDED_NETWORKS.keys().isdisjoint(NETWORKS)
    trials = registered()
    for name, model in ADDED_NETWORKS.items():
        assert [t for t in trials if t.model == model] == [StudyTrial(model, s) for s in SEEDS]
        assert name in {n for own in ADDED_CONTRASTS.values() for c in own
                        for n in (c.better, c.worse)}  # fmt: skip
    deciding = {c for claim in CLAIMS if isinstance(claim, Claim) for c in claim.primary}
    assert deciding.isdisjoint(c for own in ADDED_CONTRASTS.values() for c in own)
    assert set(ADDED_CONTRASTS) <= {claim.key for claim in CLAIMS if isinstance(claim, Claim)}


def test_the_study_checks_its_own_length_and_noise() -> None:
    networks, times = LONGER
    steps = load(lab()).steps
    assert load(lab(times)).steps == times * steps
    trials = registered()
    assert [t for t in trials if t.times > 1] == [
        StudyTrial(NETWORKS[name], seed, times) for seed in SEEDS for name in networks
    ]
    name, seed = REPEATED
    assert StudyTrial(NETWORKS[name], seed, repeat=1) in trials


def test_a_claim_alone_runs_only_what_it_compares() -> None:
    (fusion,) = (claim for claim in CLAIMS if claim.key == "C3")
    names = ("hrnetv2", "fusion-final", "fusion-across", "fusion-none")
    assert {t.model for t in registered([fusion])} == {NETWORKS[name] for name in names}


def test_hrnet_sets_the_seconds_that_others_take() -> None:
    assert model_of("hrnetv2", "seconds") == NETWORKS["hrnetv2"]


def test_fifty_passes_over_the_training_images() -> None:
    recipe = load(lab())
    assert recipe.steps * recipe.batch >= 50 * 367
    assert (recipe.train_split, recipe.test_split) == ("train", "test")
