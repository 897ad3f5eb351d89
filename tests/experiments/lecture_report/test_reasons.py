"""Every reason that the code gives is said in Korean, with its names and numbers."""

import re
from pathlib import Path

import pytest

from experiments.analysis.bootstrap import Resampled
from experiments.analysis.intervals import interval
from experiments.analysis.untrained import did_not_train
from experiments.claims.contrasts import estimate
from experiments.claims.registration import NETWORKS, Contrast
from experiments.claims.study import StudyTrial, read_study
from experiments.lecture_report.reasons import reason_words
from tests.experiments.claims.study_maker import write_study
from tests.experiments.made import Floats, failed, spread

HANGUL, NUMBER = re.compile("[가-힣]"), re.compile(r"\d+(?:\.\d+)?")


def told(reason: str) -> str:
    """In Korean, where each number of the English is found again."""
    korean = reason_words(reason, "ko")
    assert HANGUL.search(korean), reason
    assert sorted(NUMBER.findall(korean)) == sorted(NUMBER.findall(reason))
    assert reason_words(reason, "en") == reason
    return korean


def draws(num_seeds: int, num_blocks: int) -> Resampled:
    values: Floats = spread(0.5, 0.1)[:, None].repeat(num_seeds, 1)
    return Resampled(values[0], values, num_blocks)


@pytest.mark.parametrize("blocks", [1, 4])
def test_too_few_blocks(blocks: int) -> None:
    told(interval(draws(3, blocks), "seeds").reason or "")


def test_one_seed() -> None:
    told(interval(draws(1, 12), "seeds").reason or "")


def test_contrasts_without_a_difference(tmp_path: Path) -> None:
    unet, segnet = NETWORKS["unet"], NETWORKS["segnet"]
    write_study(tmp_path, trials=[StudyTrial(unet, 0), StudyTrial(segnet, 0)])
    study = read_study([tmp_path])

    def lacking(contrast: Contrast, prior: float | None = None) -> str:
        return estimate(contrast, 1.0, (0, 1), study, prior, lambda result: None).lacking

    told(lacking(Contrast("unet", "pspnet", budget="seconds")))
    told(lacking(Contrast("unet", "pspnet")))
    told(lacking(Contrast("unet", "segnet", "field_radius")))
    told(lacking(Contrast("unet", "segnet")))
    korean = told(lacking(Contrast("unet", "segnet"), prior=0.497))
    assert unet in korean and "50.0 %" in korean and "train" not in korean


def test_of_a_failure_the_words_of_the_machine_stay(tmp_path: Path) -> None:
    run = failed(tmp_path, "unet", "the loss is nan at step 7", seed=2, repeat=1, kind="diverged")
    (why,) = did_not_train([run], None).values()
    korean = told(f"unet did not train, {why}")
    assert "시드 2" in korean and "the loss is nan at step 7" in korean


def test_what_is_not_known_stays() -> None:
    assert reason_words("a new sentence", "ko") == "a new sentence"
