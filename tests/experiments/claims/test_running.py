"""`experiments.lecture --run` on a study of two small networks, and what is done after training."""

from pathlib import Path

import pytest

from experiments import lecture
from experiments.claims import assessment, measurements, study
from experiments.claims.measurements import measure_fields
from experiments.claims.registration import Claim, Contrast
from experiments.claims.study import STEP_TIMES, StudyTrial, read_study, registered
from experiments.trials.field_record import Fields, read_fields
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import PRIOR
from tests.experiments.claims.study_maker import write_fields, write_study, write_trial

NETWORKS = {"hrnetv2": "unet:width=4", "fusion-final": "segnet:width=4"}
SMALL = Claim("C3", "Small.", "Small.", (Contrast("hrnetv2", "fusion-final"),), seeds=(0,))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study of two trials of the recipe `smoke`, of which none is kept."""
    monkeypatch.setattr(assessment, "CLAIMS", (SMALL,))
    monkeypatch.setattr(study, "MODELS", NETWORKS)
    for module in (study, measurements):
        monkeypatch.setattr(module, "RECIPE", "smoke")
    # A step is measured of every registered network: of two here, not of all 37.
    monkeypatch.setattr(measurements, "registered", lambda: registered((SMALL,)))
    monkeypatch.setattr(lecture, "KEPT", tmp_path / "kept")
    return tmp_path / "runs"


def test_runs_what_is_missing_once_and_publishes_it(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--run", "--claims", "C3", "--jobs", "2", "--out", str(small)]
    assert lecture.main(asked) == 0
    said = capsys.readouterr().out
    assert said.startswith("0 of 2 trials have finished, the other 2 take about ")
    assert said.count("receptive field of ") == 2
    first = {path: path.stat().st_mtime_ns for path in small.rglob("result.json")}
    assert len(first) == 2
    assert all(path.with_name("field.json").is_file() for path in first)
    assert (small / "smoke" / PRIOR).is_file() and (small / STEP_TIMES).is_file()

    assert lecture.main([*asked, "--publish", str(lecture.KEPT)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("2 of 2 trials have finished ") and "receptive field of" not in said
    assert f"copied 2 trials to {lecture.KEPT}" in said
    assert {path: path.stat().st_mtime_ns for path in small.rglob("result.json")} == first

    elsewhere = small.with_name("elsewhere")
    assert lecture.main(["--run", "--claims", "C3", "--out", str(elsewhere)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 of 2 trials have finished\nnothing is left to train; --ignore-kept")
    assert not [*elsewhere.rglob("result.json")]
    assert lecture.main(["--ignore-kept", "--claims", "C3", "--out", str(elsewhere)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("0 of 2 trials have finished") and "not measured yet" in said


def test_fields_are_measured_where_a_trial_left_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(result: FinishedTrial, root: Path | None, threads: int, num: int) -> Fields:
        if result.model == study.MODELS["segnet"]:
            raise ValueError(f"no receptive field of {result.label} seed {result.seed}: silent")
        write_fields(result, 60.0)
        found = read_fields(result)
        assert found is not None
        return found

    monkeypatch.setattr(measurements, "measure_field_isolated", measure)
    ran, kept = tmp_path / "ran", tmp_path / "kept"
    unet, segnet = (StudyTrial(study.MODELS[name], 0) for name in ("unet", "segnet"))
    for one in (unet, segnet):
        (write_trial(ran, one).path.parent / "checkpoints").mkdir()
    write_study(kept, trials=[t for t in registered() if t.seed == 1 and t.times == 1])
    found = read_study([ran, kept])
    said = [*measure_fields(found, None, jobs=2)]
    assert said == [
        f"receptive fields: {len(found.trials) - 2} kept trials have none and no checkpoint",
        "no receptive field of segnet:width=10 seed 0: silent",
        "receptive field of unet:width=9 seed 0: 20 and 60 pixels",
    ]
    assert [*measure_fields(read_study([ran, kept]), None)] == said[:2]
