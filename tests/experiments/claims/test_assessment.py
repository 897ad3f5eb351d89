"""From results on disk to verdicts, on studies whose truth is known because it was made up."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from experiments.claims import study_plan
from experiments.claims.assessment import assess, chosen
from experiments.claims.contrasts import Lacking
from experiments.claims.published_study import publish_study
from experiments.claims.registration import AT_EQUAL_SECONDS, CLAIMS, NETWORKS, Claim
from experiments.claims.study import STEP_TIMES, StudyTrial, lab, read_study, registered
from experiments.claims.study_plan import describe, remaining, requests
from experiments.claims.verdicts import Verdict
from experiments.claims.words import Outcome
from experiments.lecture import main
from experiments.lecture_report.sentences import outcome_words
from experiments.trials.overrides import load
from experiments.trials.result_types import Checkpoint, FinishedTrial
from experiments.trials.results import PRIOR, per_image, write_result
from tests.experiments.claims.study_maker import (
    Shifts,
    write_fields,
    write_steps,
    write_study,
    write_trial,
)
from tests.experiments.made import failed, write_prior

FIRST_SEED = [trial for trial in registered() if trial.seed == 0]


def judged(root: Path, *keys: str) -> dict[str, Verdict]:
    claims = chosen(keys or None)
    verdicts = assess(claims, read_study([root], claims), [root])
    return {verdict.claim.key: verdict for verdict in verdicts}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All trials: fusion matters, how streams go down does not, V1 is better, skips give edges."""
    root = tmp_path_factory.mktemp("study")
    shifts: dict[str, float | Shifts] = {
        "fusion-final": -4.0,
        "hrnetv1": 5.0,
        "deeplabv3p": {"boundary_gain": 4.0},
        "unet": 6.0,
        "dilatednet": 6.0,
    }
    write_study(root, shifts, sd=0.3)
    return root


@pytest.mark.parametrize(
    ("key", "outcome"),
    [
        ("C3", "supported"),
        ("C4", "no difference"),
        ("C6", "contradicted"),
        ("C7", "contradicted"),  # up in one network, down in the other
        ("C8", "supported"),
        ("C9", "contradicted"),
        ("C2", "cannot be told"),  # no field was measured
    ],
)
def test_verdicts_follow_the_truth(study: Path, key: str, outcome: Outcome) -> None:
    assert judged(study, key)[key].outcome == outcome


def test_a_difference_is_the_mean_over_seeds(study: Path) -> None:
    (contrast,) = judged(study, "C3")["C3"].primary
    assert contrast.difference is not None
    assert contrast.difference.value == pytest.approx(0.04, abs=2e-4)  # counts are whole pixels
    assert np.mean(contrast.by_seed) == pytest.approx(contrast.difference.value, abs=1e-12)
    assert contrast.seeds == (0, 1, 2)


def test_c1_has_five_seeds_at_both_budgets(study: Path) -> None:
    found = judged(study, "C1")["C1"]
    assert [one.seeds for one in found.primary] == [(0, 1, 2, 3, 4)] * 2
    assert found.complete


def test_one_seed_gives_a_difference_and_no_verdict(tmp_path: Path) -> None:
    write_study(tmp_path, {"fusion-final": -10.0}, trials=FIRST_SEED)
    found = judged(tmp_path, "C3")["C3"]
    assert (found.outcome, found.seeds) == ("cannot be told", (1, 3))
    (contrast,) = found.primary
    assert contrast.difference is not None and contrast.difference.value > 0.09
    assert contrast.lacking == Lacking("one seed")


def test_a_network_that_diverged_takes_its_contrasts_with_it(tmp_path: Path) -> None:
    write_study(tmp_path)
    model, place = NETWORKS["fusion-final"], tmp_path / load(lab()).name
    failed(
        place, model, "its loss is no number", 1, kind="diverged", recipe=dict(vars(load(lab())))
    )
    found = judged(tmp_path, "C3", "C6")
    assert found["C3"].outcome == "cannot be told"
    lacking = found["C3"].primary[0].lacking
    assert lacking is not None
    assert (lacking.kind, lacking.model) == ("diverged", model)
    assert lacking.run is not None and str(lacking.run) == "seed 1: its loss is no number"
    assert found["C6"].primary[0].difference is not None


def test_no_seed_is_waited_for_where_a_network_did_not_train(tmp_path: Path) -> None:
    write_study(tmp_path, {"dilatednet": -30.0, "unet-bilinear": -6.0}, sd=0.3)
    write_prior(tmp_path / "camvid-lab", 0.25)
    found = judged(tmp_path, "C7", "C9")
    for key in found:
        assert (found[key].outcome, found[key].complete) == ("cannot be told", True)
        assert found[key].lacks_training
    assert found["C7"].seeds == (3, 3)  # U-Net's contrast has them all, and could contradict it


def test_without_those_that_did_not_train_it_might_not_be_told_either(tmp_path: Path) -> None:
    """C7's other contrast is too noisy, and of C9's one network may be better by a point."""
    write_study(tmp_path, {"dilatednet": -30.0, "unet": 1.0}, sd=2.0)
    write_prior(tmp_path / "camvid-lab", 0.25)
    found = judged(tmp_path, "C7", "C9")
    for key in found:
        assert (found[key].outcome, found[key].lacks_training) == ("cannot be told", False)
        assert any(one.untrained for one in found[key].primary)


def test_a_seed_that_is_not_of_a_claim_does_not_take_it_away(tmp_path: Path) -> None:
    """HRNetV2's seeds 3 and 4 are C1's alone."""
    write_study(tmp_path, {"fusion-final": -9.0}, sd=0.1)
    write_trial(tmp_path, StudyTrial(NETWORKS["hrnetv2"], 3), {"miou": -30.0})
    write_prior(tmp_path / "camvid-lab", 0.25)
    found = judged(tmp_path, "C1", "C3", "C9")
    assert found["C3"].outcome == "supported"
    assert all(one.untrained for one in found["C1"].primary) and found["C1"].lacks_training
    assert not any(one.untrained for one in found["C9"].primary)


def test_a_front_needs_both_budgets_and_says_what_each_gives(tmp_path: Path) -> None:
    write_study(tmp_path, {"hrnetv2": 2.0}, sd=0.1)
    for seed in (0, 1, 2):
        write_trial(
            tmp_path, StudyTrial(AT_EQUAL_SECONDS["pspnet"], seed), {"miou": 9.0}, 0.1 * (seed - 1)
        )
    found = judged(tmp_path, "C9")["C9"]
    assert (found.outcome, found.lacks_training) == ("cannot be told", False)
    assert found.by_budget == (("macs", "supported"), ("seconds", "contradicted"))
    assert outcome_words(found, "en") == (
        "cannot be told: supported at equal multiply-adds, contradicted at equal training seconds"
    )
    alone = replace(found, by_budget=(("macs", "cannot be told"), ("seconds", "contradicted")))
    assert outcome_words(alone, "en") == (
        "cannot be told: contradicted at equal training seconds alone"
    )
    assert outcome_words(alone, "ko") == "판단할 수 없음: 동일한 학습 시간에서만 반박됨"


def test_the_front_names_a_network_that_is_better_before_a_lower_point(tmp_path: Path) -> None:
    """PSPNet is 5 points better in each seed, SegNet 8 in the mean and not in all."""
    write_study(tmp_path, {"pspnet": 5.0}, sd=0.1)
    for seed, points in enumerate((20.0, 20.0, -16.0)):
        for model in (NETWORKS["segnet"], AT_EQUAL_SECONDS["segnet"]):
            write_trial(tmp_path, StudyTrial(model, seed), {"miou": points})
    found = judged(tmp_path, "C9")["C9"]
    assert found.outcome == "contradicted"
    assert [one.contrast.worse for one in found.decisive] == ["pspnet"] * 2
    segnet = next(one for one in found.primary if one.contrast.worse == "segnet")
    assert segnet.difference is not None
    assert segnet.difference.value < -0.07
    # 5 % over eleven networks: t(1 - .05 / 22) in the place of t(.975).
    error, df = segnet.difference.standard_error, segnet.difference.df
    assert error is not None and df is not None
    by_hand = (student.ppf(1 - 0.05 / 22, df) + student.ppf(0.8, df)) * error
    assert segnet.mdd == pytest.approx(by_hand, rel=1e-9)


def test_radii_count_of_each_seed_that_has_both(tmp_path: Path) -> None:
    """They are measured after a seed's training: of the last one, one network has none yet."""
    write_study(tmp_path)
    measured = {"hrnetv2": (120.0, 180.0, 90.0), "streams1": (60.0, 60.0)}
    for name, radii in measured.items():
        trained = read_study([tmp_path]).finished(NETWORKS[name])
        for seed, radius in enumerate(radii):
            write_fields(trained[seed], radius)
    found = judged(tmp_path, "C2")["C2"]
    (one,) = found.primary
    assert (one.seeds, found.seeds, found.complete) == ((0, 1), (2, 3), False)
    # Twice and three times as far: sqrt(6) times, and t(1) of 0.975 is 12.706.
    assert one.by_seed == pytest.approx((math.log(2), math.log(3)), abs=1e-12)
    assert one.difference is not None and one.difference.low is not None
    assert one.difference.value == pytest.approx(math.log(6) / 2, abs=1e-12)
    half = 12.706 * (math.log(3) - math.log(2)) / 2
    assert one.difference.low == pytest.approx(math.log(6) / 2 - half, abs=1e-4)


def test_miou_beside_radii_is_judged_by_a_point(tmp_path: Path) -> None:
    """1.05 points apart beyond doubt: within 1.10, which is C2's ratio, and not within 1.0."""
    write_study(tmp_path, {"streams2": -1.05}, sd=0.001)
    found = judged(tmp_path, "C2")["C2"]
    (one,) = [e for e in found.secondary if not e.is_ratio and e.contrast.worse == "streams2"]
    assert one.outcome == "supported"


def test_a_trial_that_failed_otherwise_leaves_its_seed_out(tmp_path: Path) -> None:
    lost = StudyTrial(NETWORKS["fusion-final"], 1)
    write_study(tmp_path, {"fusion-final": -9.0}, failing={lost: "killed"}, sd=0.1)
    found = judged(tmp_path, "C3")["C3"]
    assert (found.outcome, found.seeds, found.complete) == ("supported", (2, 3), False)
    assert found.primary[0].seeds == (0, 2)


def test_results_of_another_recipe_are_not_of_the_study(tmp_path: Path) -> None:
    write_study(tmp_path, trials=FIRST_SEED[:2])
    for path in tmp_path.rglob("result.json"):
        path.write_text(path.read_text().replace('"lr": 0.05', '"lr": 0.06'))
    assert not read_study([tmp_path]).trials


def test_kept_results_give_the_same_verdicts_from_a_quarter_of_the_counts(
    study: Path, tmp_path: Path
) -> None:
    whole = read_study([study])
    assert publish_study(whole, [study], tmp_path) == len(registered())
    assert publish_study(read_study([study]), [study], tmp_path) == 0
    assert judged(tmp_path) == judged(study)


def test_what_is_kept_does_not_run_again(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, trials=FIRST_SEED)
    left = remaining(registered(), read_study([tmp_path])).trials
    assert left == tuple(trial for trial in registered() if trial.seed > 0)
    monkeypatch.setattr(study_plan, "open_data", lambda *where: None)  # CamVid may be elsewhere
    planned = list(requests(left, tmp_path, None, jobs=2))
    trained = {
        (model, request.seeds[0], request.recipe) for request in planned for model in request.models
    }
    assert trained == {(trial.model, trial.seed, trial.request) for trial in left}
    assert remaining(registered(), read_study([study])).trials == ()


def test_a_killed_trial_goes_on_and_a_diverged_one_has_its_result(tmp_path: Path) -> None:
    recipe = dict(vars(load(lab())))
    folder = tmp_path / "camvid-lab"
    failed(folder, NETWORKS["unet"], "ended by SIGKILL", kind="killed", recipe=recipe)
    failed(folder, NETWORKS["segnet"], "no number", kind="diverged", recipe=recipe)
    left = {trial.model for trial in remaining(FIRST_SEED, read_study([tmp_path])).trials}
    assert NETWORKS["unet"] in left
    assert NETWORKS["segnet"] not in left


def ran(root: Path, one: StudyTrial, points: float, checkpoint: str) -> None:
    """Leave a run of a trial, whose weights have a hash."""
    result = write_trial(root, one, {"miou": points})
    weights = Checkpoint(file="last.ckpt", sha256=checkpoint)
    write_result(result.model_copy(update={"checkpoint": weights}), per_image(result))


def test_a_kept_trial_counts_before_a_later_run_and_where_it_ran_before_its_copy(
    tmp_path: Path,
) -> None:
    here, kept, one = tmp_path / "here", tmp_path / "kept", FIRST_SEED[0]
    ran(here, one, 1.0, checkpoint="a")
    publish_study(read_study([here]), [here], kept)
    (found,) = read_study([here, kept]).trials.values()
    assert found.path.is_relative_to(here)
    ran(here, one, 9.0, checkpoint="b")
    (found,) = read_study([here, kept]).trials.values()
    assert found.path.is_relative_to(kept)
    assert isinstance(found, FinishedTrial) and found.miou == pytest.approx(0.51, abs=1e-3)


@pytest.mark.parametrize("part", ["data", "protocol"])
def test_trials_of_other_data_or_protocols_are_refused(tmp_path: Path, part: str) -> None:
    write_study(tmp_path, trials=FIRST_SEED[:2])
    first, _ = sorted(tmp_path.rglob("result.json"))
    record = json.loads(first.read_text())
    record["hashes"] |= {"data": "d", "protocol": "p"} | {part: "another"}
    first.write_text(json.dumps(record))
    other = first.parents[1]
    with pytest.raises(ValueError, match=f"differ in {part} .* move one of them away") as error:
        read_study([tmp_path])
    assert str(other) in str(error.value)


def test_a_failed_trial_that_was_kept_gives_way_to_its_result(tmp_path: Path) -> None:
    here, kept, one = tmp_path / "here", tmp_path / "kept", FIRST_SEED[0]
    write_study(here, trials=[one], failing={one: "killed"})
    assert publish_study(read_study([here]), [here], kept) == 1
    write_study(here, trials=[one])
    assert publish_study(read_study([here]), [here], kept) == 1
    assert all(result.done for result in read_study([kept]).trials.values())


def test_a_readme_without_marks_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "NOTES.md"
    readme.write_text("no marks")
    assert main(["--run", "--out", str(tmp_path / "runs"), "--readme", str(readme)]) == 2
    assert f"{readme}: the file has no lines '<!-- lecture -->'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_missing_data_are_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, nowhere = tmp_path / "runs", tmp_path / "nowhere"
    assert main(["--run", "--ignore-kept", "--out", str(out), "--data-root", str(nowhere)]) == 2
    assert f"no CamVid, neither a list nor 701_StillsRaw_full, at {nowhere}" in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_what_comes_later_is_kept_with_a_trial_that_already_is(tmp_path: Path) -> None:
    ran, kept = tmp_path / "ran", tmp_path / "kept"
    write_study(ran, trials=FIRST_SEED[:1])
    publish_study(read_study([ran]), [ran], kept)
    write_prior(ran / "camvid-lab", 0.25)
    assert publish_study(read_study([ran]), [ran], kept) == 0
    assert read_study([kept]).prior == 0.25
    (ran / "camvid-lab" / PRIOR).unlink()  # where trials go on that are kept elsewhere
    assert read_study([ran, kept]).prior == 0.25


def test_the_plan_says_how_long_it_takes(tmp_path: Path) -> None:
    write_study(tmp_path, trials=[t for t in FIRST_SEED if t.times == 1 and not t.repeat])
    study = read_study([tmp_path])
    num = len(study.trials)
    said = describe(registered(), study)
    assert said.startswith(f"{num} of {len(registered())} trials have finished, the other ")
    assert "core hours" in said


def test_steps_in_turn_give_the_time_of_what_is_left(tmp_path: Path) -> None:
    write_study(tmp_path, trials=[StudyTrial(NETWORKS["hrnetv2"], 0)])
    write_steps(tmp_path, {"fusion-none": 0.25})
    wanted = [StudyTrial(NETWORKS["fusion-none"], seed, times) for seed, times in ((0, 1), (1, 2))]
    assert remaining(wanted, read_study([tmp_path])).seconds == 3 * 2300 * 0.25
    kept = tmp_path / "kept"
    publish_study(read_study([tmp_path]), [tmp_path], kept)
    assert read_study([kept]).step_times == read_study([tmp_path]).step_times
    (kept / STEP_TIMES).write_text("{")
    with pytest.raises(ValueError, match="delete it, and python -m experiments.lecture --run"):
        read_study([kept])


def test_the_command_prints_what_is_known_on_80_columns(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--out", str(study)]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, io.StringIO(printed).read().splitlines())) <= 80
    assert "C6: contradicted. hrnetv2 - hrnetv1" in " ".join(printed.split())
    for claim in CLAIMS:
        assert claim.says in " ".join(printed.split())


def test_an_unknown_claim_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--claims", "C10"]) == 2
    assert "--claims names 'C10'; did you mean 'C1'?" in capsys.readouterr().err


def test_every_claim_of_differences_has_a_margin_of_its_quantity() -> None:
    assert {c.key for c in CLAIMS if isinstance(c, Claim) and c.margin != 1.0} == {"C2"}
