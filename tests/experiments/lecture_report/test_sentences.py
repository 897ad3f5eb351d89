"""Every reason that the code gives is said in both languages, with the same names and numbers."""

import re
from pathlib import Path

import pytest

from experiments.analysis.untrained import UntrainedRun
from experiments.claims.contrasts import Lacking, estimate
from experiments.claims.registration import NETWORKS, Contrast
from experiments.claims.study import StudyTrial, read_study
from experiments.claims.words import LACKING
from experiments.lecture_report.estimate_words import lacking_words
from tests.experiments.claims.study_maker import write_study
from tests.experiments.made import write_prior

HANGUL, NUMBER = re.compile("[가-힣]"), re.compile(r"\d+(?:\.\d+)?")


@pytest.mark.parametrize("kind", LACKING)
def test_both_languages_hold_the_same(kind: str) -> None:
    run = UntrainedRun(2, 0, failure="the loss is nan at step 7", miou=0.168, prior=0.17)
    lacking = next(Lacking(k, "unet:width=9", run, blocks=4) for k in LACKING if k == kind)
    english, korean = (lacking_words(lacking, language) for language in ("en", "ko"))
    assert HANGUL.search(korean) and not HANGUL.search(english)
    assert sorted(NUMBER.findall(korean)) == sorted(NUMBER.findall(english))
    for name in ("unet:width=9", "the loss is nan at step 7"):
        assert (name in english) == (name in korean)


def test_contrasts_without_a_difference_say_why(tmp_path: Path) -> None:
    unet, segnet = NETWORKS["unet"], NETWORKS["segnet"]
    write_study(tmp_path, trials=[StudyTrial(unet, 0), StudyTrial(segnet, 0)])

    def lacking(contrast: Contrast) -> str:
        found = estimate(contrast, 1.0, (0, 1), read_study([tmp_path]), lambda _: None).lacking
        assert found is not None
        return found.kind

    assert lacking(Contrast("unet", "pspnet")) == "no common seed"
    assert lacking(Contrast("unet", "segnet", "field_radius")) == "no field"
    assert lacking(Contrast("unet", "segnet")) == "one seed"
    write_prior(tmp_path / "camvid-lab", 0.497)
    assert lacking(Contrast("unet", "segnet")) == "at the prior"
