"""Tuning: one budget for every network, spent on the training set alone, and all of it recorded."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from datamodules.labels import DataError
from experiments import compare
from experiments import run as run_command
from experiments.comparison import launcher, tuning
from experiments.comparison.plan import plan
from experiments.comparison.trial_process import TrialProcess
from experiments.comparison.tuned_trials import with_tuned
from experiments.comparison.tuning import Study
from experiments.recipes import smoke
from experiments.training.requested_trial import requested
from experiments.training.trial_request import Resources, request_of
from experiments.trials.comparability import check_comparable
from experiments.trials.data_check import data_hash
from experiments.trials.overrides import load
from experiments.trials.recipe import Recipe, RecipeRequest
from experiments.trials.result_types import (
    FailedTrial,
    Failure,
    FailureKind,
    FinishedTrial,
    TuningStudy,
)
from experiments.trials.results import (
    IDENTITY,
    TUNED,
    read_record,
    read_result,
    read_results,
    write_record,
)
from experiments.trials.trial import Rerun, State, Trial
from experiments.trials.tuning_budget import TuningBudget
from tests.experiments import here
from tests.experiments.ended_trials import DATA, fail, finish, finished
from tests.trees import camvid


def _study(tmp_path: Path, *endings: float | str) -> Study:
    """Candidates that ended with an mIoU, or with the reason of a failure."""
    study = tuning.study(Trial(smoke(), "unet:width=4", 0, tmp_path), len(endings))
    for trial, ending in zip(study.candidates, endings, strict=True):
        if isinstance(ending, str):
            fail(trial, ending)
        else:
            finish(trial, ending)
    return study


def test_candidates_are_the_recipe_and_points_of_haltons_sequence(tmp_path: Path) -> None:
    """Points 2 to 4 in base 2 and 3 are (1/4, 2/3), (3/4, 1/9) and (1/8, 4/9)."""
    recipe = replace(smoke(), lr=0.02, weight_decay=1e-3)
    study = tuning.study(Trial(recipe, "unet", 5, tmp_path), 4)
    found = [(t.recipe.lr, t.recipe.weight_decay) for t in study.candidates]
    exponents = [(-1 / 2, 1 / 3), (1 / 2, -7 / 9), (-3 / 4, -1 / 9)]
    wanted = [(0.02, 1e-3)] + [(0.02 * 10**x, 1e-3 * 10**y) for x, y in exponents]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours == pytest.approx(theirs, rel=0.005)
    for trial in study.candidates:
        recipe = trial.recipe
        assert (recipe.steps, trial.seed) == (3, 5)
        assert {recipe.val_split, recipe.test_split} == {"train~held"}
        assert recipe.train_split == "train~rest"


def test_every_network_has_the_same_candidates_and_a_larger_budget_begins_alike(
    tmp_path: Path,
) -> None:
    trials = [Trial(smoke(), model, seed, tmp_path) for seed in (3, 4) for model in ("unet", "a")]
    one, other = tuning.studies_of(trials, 6)
    assert [t.recipe for t in one.candidates] == [t.recipe for t in other.candidates]
    smaller = tuning.study(trials[0], 3)
    assert smaller.candidates == one.candidates[:3]


def test_the_best_is_the_first_of_the_highest_that_finished(tmp_path: Path) -> None:
    assert _study(tmp_path / "a", 0.2, 0.4, 0.4).record().chosen == 1
    assert _study(tmp_path / "b", "no memory", 0.1, 0.3).record().chosen == 2
    assert _study(tmp_path / "c", 0.0, "no memory").record().chosen == 0
    assert _study(tmp_path / "d", "no memory", "no memory").record().chosen is None


def test_what_was_tuned_is_in_the_hash_and_names_the_search(tmp_path: Path) -> None:
    study = _study(tmp_path, 0.1, 0.3)
    recipe = study.tuned()
    assert (recipe.lr, recipe.weight_decay) == (0.00316, 0.00108)
    assert recipe.tuning == TuningBudget(
        num_trials=2, seed=0, lr=0.01, weight_decay=0.0005, span=10.0, steps=3,
        train_split="train~rest", select_split="train~held",
    )  # fmt: skip
    assert recipe.untuned() == smoke()
    longer = replace(recipe, tuning=replace(recipe.tuning, num_trials=3))
    assert recipe.hash() != longer.hash() != smoke().hash()


def test_a_process_is_told_what_was_tuned(tmp_path: Path) -> None:
    """Values and search beside the request, which stays the user's."""
    asked = RecipeRequest("smoke", ("steps=8",))
    trial = Trial(load(asked), "unet:width=4", 1, tmp_path, request=asked)
    study = tuning.study(trial, 3)
    for candidate, miou in zip(study.candidates, (0.1, 0.3, 0.2), strict=True):
        finish(candidate, miou)
    for one in (*study.candidates, replace(trial, recipe=study.tuned())):
        arguments = request_of(one, Resources()).arguments()
        again = requested(run_command.request_of(run_command.parser().parse_args(arguments)))
        assert again.trial == replace(one, mark="")
        assert again.trial.request == asked


def test_trials_that_were_tuned_have_places_of_their_own(tmp_path: Path) -> None:
    trial = Trial(smoke(), "unet:width=4", 1, tmp_path)
    tuned = replace(trial, recipe=_study(tmp_path, 0.1, 0.3).tuned())
    assert tuned.folder == tmp_path / "smoke/unet-width=4/seed1-tuned"
    assert tuned.name == "unet:width=4 seed 1 tuned"
    assert not (tmp_path / "smoke").exists()  # candidates lie elsewhere: they are no rows
    assert tuned.identity().id != trial.identity().id
    finish(tuned)
    assert tuned.state(DATA) is State.DONE
    longer = replace(trial, recipe=_study(tmp_path, 0.1, 0.3, 0.2).tuned())
    assert longer.state(DATA) is State.OTHER  # a search of another budget
    write_record(tuned.folder / TUNED, TuningStudy(candidates=(), chosen=None))
    assert tuned.prepare(DATA, "all")  # what is done again was chosen by the same candidates
    assert [path.name for path in tuned.folder.iterdir()] == [TUNED]


def _results(*recipes: Recipe) -> list[FinishedTrial]:
    return [finished(Trial(recipe, "unet", 0, Path())) for recipe in recipes]


def test_rows_share_a_table_if_one_search_made_them(tmp_path: Path) -> None:
    low, high = _study(tmp_path / "a", 0.1, 0.3).tuned(), _study(tmp_path / "b", 0.3, 0.1).tuned()
    check_comparable(_results(smoke(), low, high))
    longer = _study(tmp_path / "c", 0.1, 0.3, 0.2).tuned()
    with pytest.raises(ValueError, match=r"tuning \(num_trials: 2 against 3\)"):
        check_comparable(_results(smoke(), low, longer))
    with pytest.raises(ValueError, match=r"recipe \(lr: 0.01 against 0.02\)"):
        check_comparable(_results(low, replace(smoke(), lr=0.02)))
    with pytest.raises(ValueError, match=r"recipe \(lr: 0.01 against 0.00316; weight_decay: "):
        check_comparable(_results(low, replace(low, tuning=None)))
    with pytest.raises(ValueError, match=r"recipe \(batch: 4 against 2\)"):
        check_comparable(_results(low, replace(high, batch=2)))


def test_labels_tell_what_was_chosen(tmp_path: Path) -> None:
    plain, tuned = _results(smoke(), _study(tmp_path, 0.1, 0.3).tuned())
    assert plain.label == "unet"
    assert tuned.label == "unet (tuned: lr 0.00316, wd 0.00108)"


Ending = tuple[FailureKind, str] | None  # None is an mIoU of 0.5
LOST: Ending = ("diverged", "did not train under this recipe: the loss is nan")
FULL: Ending = ("out of memory", "out of memory")


def _ending(endings: dict[str, list[Ending]]) -> Callable[[list[Trial]], None]:
    """Ends the candidates of each model in their order."""

    def end(trials: list[Trial]) -> None:
        left = {model: list(some) for model, some in endings.items()}
        for trial in trials:
            ending = left[trial.model].pop(0)
            if ending is None:
                finish(trial, 0.5)
            else:
                kind, reason = ending
                fail(trial, reason, kind)

    return end


def test_networks_of_which_no_candidate_trains_say_so(tmp_path: Path) -> None:
    models: dict[str, list[Ending]] = {
        "unet": [FULL, None],
        "segnet": [LOST, LOST],
        "deconvnet": [FULL, LOST],
    }
    trials = [Trial(smoke(), model, 0, tmp_path) for model in models]
    tuned = tuning.tune(trials, 2, _ending(models), Console(quiet=True))
    assert [trial.recipe.lr for trial in tuned] == [0.00316, 0.01, 0.01]
    assert [*tuned.values()] == [
        None,
        Failure(
            kind="diverged",
            reason="did not train under this search space, the first: did not train under this "
            "recipe: the loss is nan",
        ),
        Failure(kind="other", reason="none of the 2 candidates finished, the first: out of memory"),
    ]
    (first, *_) = tuned
    assert not first.folder.exists()
    assert first.prepare(DATA)
    kept = read_record(first.folder / TUNED, TuningStudy)
    assert kept is not None
    assert kept.chosen == 1
    assert [one.miou for one in kept.candidates] == [None, 0.5]
    assert kept.candidates[0].failure == Failure(kind="out of memory", reason="out of memory")


def test_another_search_leaves_a_finished_one_alone(tmp_path: Path) -> None:
    trials, ran = [Trial(smoke(), "unet", seed, tmp_path) for seed in (0, 1)], []

    def run(candidates: list[Trial]) -> None:
        ran.append(len(candidates))
        for number, candidate in enumerate(candidates):
            finish(candidate, number / 10)

    def tuned(count: int, rerun: Rerun = "failed") -> Trial:
        (_, last) = tuning.tune(trials, count, run, Console(quiet=True), rerun)
        return last

    first = tuned(2)
    assert first.prepare(DATA)
    finish(first, 0.5)
    kept = {path: path.read_bytes() for path in first.folder.glob("*.json")}
    assert {path.name for path in kept} == {TUNED, "result.json"}
    says = (
        r"seed1-tuned holds a trial of another search \(num_trials: 2 against 4\): do it again with"
    )
    with pytest.raises(ValueError, match=rf"{says} --rerun stale"):
        tuned(4)
    assert ran == [2]
    assert not tuned(2).prepare(DATA)
    assert kept == {path: path.read_bytes() for path in first.folder.glob("*.json")}
    other = tuned(4, "stale")
    with pytest.raises(ValueError, match="cannot be mixed"):
        other.prepare(DATA)
    assert kept == {path: path.read_bytes() for path in first.folder.glob("*.json")}
    assert other.prepare(DATA, "stale")
    study = read_record(first.folder / TUNED, TuningStudy)
    assert study is not None and len(study.candidates) == 4
    assert not first.result_path.exists()

    write_record(other.folder / IDENTITY, other.identity(DATA))  # it has started
    with pytest.raises(ValueError, match="num_trials: 4 against 2"):
        tuned(2)
    fail(other)
    assert tuned(2).prepare(DATA)


def test_a_network_that_cannot_be_trained_keeps_what_is_finished(tmp_path: Path) -> None:
    trial = replace(Trial(smoke(), "unet", 0, tmp_path), recipe=_study(tmp_path, 0.1, 0.3).tuned())
    finish(trial, 0.5)
    kept = trial.result_path.read_bytes()
    failure = Failure(kind="other", reason="none finished")
    trial.fail(DATA, failure)
    other = replace(trial, recipe=_study(tmp_path / "b", "no", "no", "no").tuned())
    with pytest.raises(ValueError, match="cannot be mixed"):
        other.fail(DATA, failure)
    assert trial.result_path.read_bytes() == kept
    other.fail(DATA, failure, "stale")
    result = read_result(trial.result_path)
    assert isinstance(result, FailedTrial) and result.failure == failure


def test_compare_fails_by_networks_and_not_by_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endings: dict[str, list[Ending]] = {
        "unet:width=4": [FULL, None],
        "segnet": [FULL, FULL],
    }

    def end(trials: list[Trial], *_: object, **__: object) -> list[TrialProcess]:
        _ending(endings)([trial for trial in trials if trial.mark])
        return []

    monkeypatch.setattr(launcher, "run", end)
    monkeypatch.setenv("COLUMNS", "80")
    command = ["--recipe", "smoke", "--wandb", "off", "--tune", "2", "--out", str(tmp_path)]
    assert compare.main([*command, "--models", "unet:width=4"]) == 0
    assert compare.main([*command, "--models", "segnet,unet:width=4"]) == 1
    shown = capsys.readouterr().out
    reason = "none of the 2 candidates finished, the first: out of memory"
    assert f"segnet seed 0 tuned failed: {reason}" in " ".join(shown.split())
    result = read_result(tmp_path / "smoke/segnet/seed0-tuned/result.json")
    assert isinstance(result, FailedTrial)
    assert result.failure == Failure(kind="out of memory", reason=reason)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--tune", "3", "--num-nodes", "2"), "leave --num-nodes out"),
    ],
)
def test_wrong_requests(args: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _plan("--recipe", "smoke", *args)


def test_what_is_tuned_already_is_not_tuned_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from experiments.comparison.tuning import search\n"
        "from experiments.recipes import smoke\n"
        "def tuned():\n    return replace(smoke(), tuning=search(smoke(), 3, 0))\n"
    )
    assert len(_plan("--recipe", f"{path}:tuned")) == 3
    with pytest.raises(ValueError, match="recipe smoke is tuned already: leave --tune out"):
        _plan("--recipe", f"{path}:tuned", "--tune", "2")


def _plan(*args: str) -> list[Trial]:
    return plan(compare.request_of(compare.parser().parse_args([*args])))


def _only_train(root: Path) -> None:
    camvid.build(root)
    for split in ("val", "test"):
        (root / f"{split}.txt").unlink()
        for folder in (split, f"{split}annot"):
            shutil.rmtree(root / folder)


@pytest.mark.slow
def test_nothing_of_validation_and_test_is_read(tmp_path: Path) -> None:
    """Neither is there any more while candidates train and are scored."""
    root = tmp_path / "CamVid"
    _only_train(root)
    recipe = ["--recipe", "smoke", "--data", "camvid", "--set", "batch=2", "--set", "steps=4"]
    request = compare.request_of(
        compare.parser().parse_args(
            [*recipe, "--models", "unet:width=4", "--data-root", str(root), "--wandb", "off",
             "--out", str(tmp_path / "runs"), "--jobs", "2", "--tune", "2"]
        )
    )  # fmt: skip
    trials = plan(request)
    with pytest.raises(DataError):
        data_hash(trials[0].recipe, root)
    console = Console(quiet=True)
    run = partial(launcher.run, request=request, console=console)
    found = with_tuned(trials, DATA, run, request, console)
    assert len(found.todo) == 2
    results = read_results(tmp_path / "runs" / "tuning")
    assert len(results) == 2
    for result in results:
        assert isinstance(result, FinishedTrial), result
        assert set(result.data.fingerprints) == {"train~rest", "train~held"}
        assert {path.stem for path in result.predictions.iterdir()} <= {*camvid.NAMES["train"]}


@pytest.mark.slow
def test_tuning_from_start_to_end(tmp_path: Path) -> None:
    """Tuned and untuned rows side by side; a second call repeats nothing."""
    command = ("--recipe", "smoke", "--set", "steps=4", "--wandb", "off", "--tune", 3,
               "--models", "unet:width=4,resunet:width=4", "--out", tmp_path)  # fmt: skip
    status, text = here.compare(*command, "--dry-run")
    assert status == 0, text
    assert not any(tmp_path.iterdir())
    planned = text[text.index("Tuning: mIoU on train~held") :]
    assert planned.count(" - ") + planned.count(" -\n") == 6
    hours = text.split("about ")[1].split(" h of training")[0]
    assert float(hours) > 0

    status, text = here.compare(*command)
    assert status == 0, text
    tables = text[text.index("Tuning: mIoU on train~held") :]
    candidates, _ = tables.split("the first of equals", 1)
    assert candidates.count("> ") == 3  # two that are chosen, and what the mark means
    still = [x for x in tables.splitlines() if " seed " not in x and str(tmp_path) not in x]
    assert max(map(len, still)) <= 80
    assert tables.count("(tuned:") >= 2
    results = read_results(tmp_path / "smoke+steps=4")
    assert len(results) == 4
    for result in results:
        assert isinstance(result, FinishedTrial) and result.recipe is not None
        assert result.request == RecipeRequest("smoke", ("steps=4",))
        record = read_record(result.path.parent / TUNED, TuningStudy)
        assert (record is not None) == ("(tuned: lr " in result.label)
        if record is not None:
            best = max(record.candidates, key=lambda one: one.miou or 0)
            assert result.recipe.lr == best.lr
            assert result.recipe.tuning is not None
            assert result.recipe.tuning.num_trials == len(record.candidates) == 3
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("result.json")}
    assert len(written) == 10

    status, text = here.compare(*command)
    assert status == 0, text
    assert "6 of 6 trials are done already and kept" in text
    assert "4 of 4 trials are done already and kept" in text
    assert written == {path: path.stat().st_mtime_ns for path in written}
