"""The made-up study holds what it was asked for, as the study itself reads it."""

from pathlib import Path
from statistics import fmean, stdev

import pytest

from experiments.claims.registration import NETWORKS, CountedQuantity
from experiments.claims.study import StudyTrial, read_study, registered
from tests.experiments.claims.study_maker import USUAL, write_study

UNET = NETWORKS["unet"]
ASKED: dict[CountedQuantity, float] = {
    "miou": 2.0,
    "boundary_gain": -3.0,
    "boundary_iou": 4.0,
    "thin_recall": 7.0,
}


def test_every_quantity_has_the_shift_that_was_asked_for(tmp_path: Path) -> None:
    trials = [StudyTrial(UNET, seed) for seed in (0, 1, 2)]
    write_study(tmp_path, {"unet": ASKED}, trials=trials, sd=0.5)
    study = read_study([tmp_path])
    for quantity, points in ASKED.items():
        values = [study.values(r, quantity)[0] for r in study.finished(UNET).values()]
        assert fmean(values) == pytest.approx(USUAL[quantity] + points / 100, abs=2e-5), quantity
        assert stdev(values) == pytest.approx(0.005, abs=4e-5), quantity


def test_every_registered_trial_is_found_again(tmp_path: Path) -> None:
    lost, broken = registered()[3], registered()[5]
    trials = [trial for trial in registered() if trial != lost]
    write_study(tmp_path, trials=trials, failing={broken: "its loss was no number"})
    study = read_study([tmp_path])
    assert set(study.trials) == set(registered()) - {lost}
    assert [trial for trial, result in study.trials.items() if not result.done] == [broken]
