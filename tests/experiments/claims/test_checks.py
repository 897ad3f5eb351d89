"""The study's checks of itself, on made-up studies."""

from pathlib import Path
from statistics import stdev

import pytest

from experiments.claims.checks import (
    longer_schedule,
    repeat_difference,
    seed_spread,
    still_learning,
    untrained,
)
from experiments.claims.registration import AT_EQUAL_SECONDS, LONGER, NETWORKS, REPEATED
from experiments.claims.study import MODELS, StudyTrial, read_study, registered
from tests.experiments.claims.study_maker import write_study, write_trial
from tests.experiments.made import write_prior

(FIRST, SECOND), TIMES = LONGER


def with_longer(root: Path, before: float, after: float, sd: float = 0.05) -> Path:
    """The first network above the second by `before` points, and by `after` with more steps."""
    plain = [t for t in registered() if t.times == 1]
    write_study(root, {FIRST: before}, trials=plain, sd=sd)
    for trial in registered():
        if trial.times > 1:
            noise = sd * (trial.seed - 1)
            shift = after if trial.model == NETWORKS[FIRST] else 0.0
            write_trial(root, trial, {"miou": shift}, noise)
    return root


@pytest.mark.parametrize(
    ("before", "after", "sd", "enough"),
    [
        (3.0, 1.0, 0.05, True),  # nearer, in the same order
        (2.0, -2.0, 0.05, False),  # turned, and seeds do not explain it
        (0.3, -0.3, 1.0, True),  # turned, within what seeds do
    ],
)
def test_a_schedule_is_long_enough_if_more_steps_do_not_turn_the_order(
    tmp_path: Path, before: float, after: float, sd: float, enough: bool
) -> None:
    found = longer_schedule(read_study([with_longer(tmp_path, before, after, sd)]))
    assert found is not None
    assert found.once == pytest.approx((0.5 + before / 100, 0.5), abs=2e-3)
    assert (found.before, found.after) == pytest.approx((before / 100, after / 100), abs=2e-3)
    assert found.change.value == pytest.approx(found.after - found.before, abs=1e-12)
    assert found.long_enough is enough


def test_the_repeated_trial_shows_the_noise_of_the_machine(tmp_path: Path) -> None:
    model, seed = NETWORKS[REPEATED[0]], REPEATED[1]
    write_trial(tmp_path, StudyTrial(model, seed))
    assert repeat_difference(read_study([tmp_path])) is None
    write_trial(tmp_path, StudyTrial(model, seed, repeat=1))
    assert repeat_difference(read_study([tmp_path])) == 0
    assert longer_schedule(read_study([tmp_path])) is None


def test_a_network_that_did_not_train_has_no_spread(tmp_path: Path) -> None:
    trials = [t for t in registered() if t.times == 1 and t.seed < 2]
    write_study(tmp_path, {"dilatednet": -30.0}, trials=trials)
    write_prior(tmp_path / "camvid-lab", 0.25)
    study = read_study([tmp_path])
    assert set(seed_spread(study)) == set(MODELS) - {"dilatednet"}
    both = (NETWORKS["dilatednet"], AT_EQUAL_SECONDS["dilatednet"])
    found = [(one.model, one.run.seed) for one in untrained(study) if one.run]
    assert found == [(model, seed) for model in both for seed in (0, 1)]


def test_climbing_curves_are_seen_and_those_of_longer_schedules_are_not(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_trial(tmp_path, StudyTrial(NETWORKS["unet"], seed), gain=0.05)
        write_trial(tmp_path, StudyTrial(NETWORKS["segnet"], seed), gain=0.0)
        write_trial(tmp_path, StudyTrial(NETWORKS["hrnetv2"], seed, times=TIMES), gain=0.05)
    found = still_learning(read_study([tmp_path]))
    assert found.too_short
    assert [(climb.model, climb.kind) for climb in found.climbs] == [
        (NETWORKS["segnet"], "level"),
        (NETWORKS["unet"], "climbs"),
    ]
    (climb,) = found.climbing
    assert climb.gain is not None and climb.gain.value == pytest.approx(0.05, abs=1e-9)


def test_the_spread_is_that_of_the_seeds_of_each_network(tmp_path: Path) -> None:
    write_study(tmp_path, sd=1.0, trials=[t for t in registered() if t.times == 1 and t.seed < 3])
    study = read_study([tmp_path])
    spread = seed_spread(study)
    assert set(spread) == set(MODELS)
    for name, own in spread.items():
        scores = [result.miou for result in study.finished(MODELS[name]).values()]
        assert own.sd == pytest.approx(stdev(scores))
        assert own.low is not None and own.high is not None
        assert own.low < stdev(scores) < own.high
