"""Results: what is written is read, older files are upgraded, and damage is named by its field."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.recipes import camvid_quick
from experiments.trials.protocols import EvaluationProtocol, Protocol
from experiments.trials.recipe import RecipeRequest
from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult
from experiments.trials.results import (
    PRIOR,
    per_image,
    read_prior,
    read_result,
    read_results,
    write_result,
)
from experiments.trials.schema1 import upgrade
from experiments.trials.tuning_budget import TuningBudget
from experiments.trials.verification import VERIFICATION, read_verification
from tests.experiments.made import arrays, failed, spread, trial

KEPT = Path(__file__).parents[3] / "experiments/results/camvid-quick"


def test_the_committed_folder_of_schema_1_is_read() -> None:
    results = read_results(KEPT)
    assert len(results) == 3
    for result in results:
        old = json.loads(result.path.read_text())
        assert old["schema"] == 1 and isinstance(result, FinishedTrial)
        assert (result.model, result.seed) == (old["model"], old["seed"])
        assert result.recipe == camvid_quick()
        assert result.request == RecipeRequest("camvid-quick")
        assert result.metrics.miou == old["metrics"]["miou"]
        assert result.metrics.miou_variants == old["metrics"]["audit"]
        assert [list(row) for row in result.confusion] == old["confusion"]
        assert result.cost is not None and result.cost.gmacs == old["cost"]["gmacs"]
        assert [list(point) for point in result.curve.train] == old["curve"]["train"]
        assert result.data.block == 20  # the file does not say: the data set does
        # What tells rows apart is what it was, so that new rows may stand beside them.
        assert result.hashes.recipe == result.recipe.hash() == old["hashes"]["recipe"]
        assert result.hashes.protocol == result.protocol.hash() == old["hashes"]["protocol"]
        counts = per_image(result)
        assert counts is not None and counts["tp"].shape == (233, 11)
    prior = read_prior(KEPT, results)
    assert prior is not None and prior.metrics.miou == pytest.approx(0.170335, abs=1e-6)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for result in (trial(tmp_path, "a", arrays(0.5, 0.4)), failed(tmp_path, "b", "no luck")):
        assert read_result(result.path) == result
        write_result(result)
        assert read_result(result.path) == result
    assert read_result(tmp_path / "result.json") is None


def _old(**changes: Any) -> dict[str, Any]:
    old: dict[str, Any] = json.loads(next(KEPT.rglob("result.json")).read_text())
    return old | changes


def _upgraded(**changes: Any) -> TrialResult:
    record = {**upgrade(_old(**changes)), "path": "result.json"}
    kind = FailedTrial if "failure" in record else FinishedTrial
    return kind.model_validate(record)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("did not train under this recipe: the loss is nan at step 3", "diverged"),
        ("the loss is inf at step 0: the weights before it are kept", "diverged"),
        ("ended by SIGKILL (out of memory?); see log.txt in its folder", "killed"),
        ("OutOfMemoryError: CUDA out of memory", "out of memory"),
        ("a batch of 8 needs 8 images", "other"),
    ],
)
def test_reasons_of_schema_1_become_kinds(reason: str, kind: str) -> None:
    result = _upgraded(status="failed", reason=reason)
    assert isinstance(result, FailedTrial)
    assert (result.failure.kind, result.failure.reason) == (kind, reason)


def test_names_and_searches_of_schema_1_become_fields() -> None:
    recipe = _old()["recipe"]
    name = "camvid-quick+data=folder+lr=0.02+scale=0.5x2.0"
    result = _upgraded(recipe={**recipe, "name": name})
    assert result.request == RecipeRequest("camvid-quick", ("lr=0.02", "scale=0.5x2.0"), "folder")
    budget = TuningBudget(
        num_trials=4,
        seed=1,
        lr=0.05,
        weight_decay=5e-4,
        span=10.0,
        steps=1000,
        train_split="train~rest",
        select_split="train~held",
    )
    tuned = {"tuned": str(budget), "tuned_from": [0.05, 5e-4], "lr": 0.2}
    result = _upgraded(recipe={**recipe, **tuned})
    assert result.recipe is not None and result.recipe.tuning == budget
    assert result.recipe.untuned() == camvid_quick()


@pytest.mark.parametrize(
    "protocol",
    [
        EvaluationProtocol(split="test", passes=Protocol()),
        EvaluationProtocol(split="val", passes=Protocol(scales=(0.5, 1.0), flip=True)),
        EvaluationProtocol(
            split="test",
            passes=Protocol(window=(64, 64), stride=(32, 32), gaussian=True),
            selection="by hand",
            checkpoint="step7.ckpt",
            precision="32-true",
        ),
        EvaluationProtocol(split="test", passes=None),
    ],
)
def test_protocols_of_schema_1_become_fields(protocol: EvaluationProtocol) -> None:
    """Written as version 0.1 wrote them, they are read as the same."""
    old: dict[str, Any] = {"split": protocol.split, "size": "the label file's own"}
    if protocol.passes is not None:
        last = "none: the last step's weights"
        by_hand = f"by hand: {protocol.checkpoint}"
        old |= {"mode": str(protocol.passes)}
        old |= {"selection": by_hand if protocol.checkpoint else last}
        for name in ("scales", "flip", "window", "stride", "gaussian"):
            value = getattr(protocol.passes, name)
            if value != getattr(Protocol(), name):
                old[name] = list(value) if isinstance(value, tuple) else value
        old |= {"precision": protocol.precision} if protocol.precision else {}
    assert _upgraded(protocol=old).protocol == protocol


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("metrics.miou", 7.5, "metrics.miou is 7.5: input should be less than or equal to 1"),
        ("metrics.miou", "high", "metrics.miou is 'high': input should be a valid number"),
        ("metrics.miou", math.nan, "metrics.miou is nan: input should be a finite number"),
        ("metrics.iou.a", -0.1, "metrics.iou.a is -0.1: input should be greater than"),
        ("metrics", None, "metrics is None: input should be a valid dictionary"),
        ("seed", "one", "seed is 'one': input should be a valid integer"),
        ("seed", ..., "seed: field required"),
        ("hashes.code", ..., "hashes.code: field required"),
        ("hashes", [], "hashes is []: input should be a valid dictionary"),
        ("cost.gmacs", -1, "cost.gmacs is -1: input should be greater than or equal to 0"),
        ("confusion", [[1]], "confusion has to be 2 x 2, a row and column a class"),
        ("confusion", [[1, 2], [3, -4]], "confusion.1.1 is -4: input should be greater"),
        ("recipe.lr", -1, "recipe: recipe camvid-quick: lr is -1.0, needed is lr (above 0)"),
        ("recipe.speed", 3, "recipe.speed is 3: unexpected keyword argument"),
        ("recipe.crop", [240], "recipe.crop.1: field required"),
        ("more", 1, "more is 1: extra inputs are not permitted"),
        ("protocol.selection", "best", "protocol.selection is 'best': input should be 'last"),
    ],
)
def test_a_damaged_field_is_named(tmp_path: Path, field: str, value: Any, says: str) -> None:
    path = trial(tmp_path, "unet", arrays(0.5)).path
    record = json.loads(path.read_text())
    *above, last = field.split(".")
    inner = record
    for key in above:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="result.json") as error:
        read_result(path)
    text = str(error.value)
    assert str(path) in text and says in text and text.endswith("to run the trial again"), text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ('{"schema": 2', "is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ("[1, 2]", "holds no JSON object"),
        ('{"schema": 3}', "has schema 3, this code reads 1 and 2"),
        ('{"schema": 1}', "lacks the field"),
        ("{}", "has schema None"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as error:
        read_result(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [("[", "is not JSON"), (None, "cannot be read \\(Is a directory\\)")],
)
def test_a_damaged_neighbour_has_its_own_remedy(
    tmp_path: Path, content: str | None, says: str
) -> None:
    result = trial(tmp_path, "unet", arrays(0.5))
    for path, read, remedy in (
        (tmp_path / PRIOR, lambda: read_prior(tmp_path, [result]), "compare makes it again"),
        (result.path.with_name(VERIFICATION), lambda: read_verification(result), "verify again"),
    ):
        path.mkdir() if content is None else path.write_text(content)
        with pytest.raises(ValueError, match=says) as error:
            read()
        assert str(path) in str(error.value) and remedy in str(error.value)


def test_what_is_no_result_is_passed_over(tmp_path: Path) -> None:
    """What systems leave, and copies that file managers make beside their original."""
    made = trial(tmp_path / "runs", "unet", arrays(0.5))
    folder = made.path.parent
    for name in (
        *("seed0-repeat0 (1)", "seed0-repeat0 copy", "seed0-repeat0 copy 2"),
        *("seed0-repeat0 - Copy", "seed0-repeat0 - Copy (2)", "seed0-repeat0 (copy)"),
        *(".ipynb_checkpoints", "__MACOSX", "@eaDir", "evaluated"),
    ):
        shutil.copytree(folder, folder.with_name(name))
    for name in ("result (1).json", "._result.json", ".DS_Store", "result-checkpoint.json"):
        (folder / name).write_bytes(b"\xff")
    assert [result.path for result in read_results(tmp_path / "runs")] == [made.path]
    other = folder.with_name("mine (1)")  # of no neighbour, so that nothing else has it
    folder.rename(other)
    found = {result.path.parent.name for result in read_results(tmp_path / "runs")}
    assert "mine (1)" in found


@pytest.mark.parametrize("how", ["folder", "loop"])
def test_a_result_that_is_no_file_is_not_passed_over(tmp_path: Path, how: str) -> None:
    path = trial(tmp_path, "unet", arrays(0.5)).path
    path.unlink()
    path.mkdir() if how == "folder" else path.symlink_to(path.name)
    with pytest.raises(ValueError, match=r"result\.json cannot be read"):
        read_results(tmp_path)


def test_counts_are_those_of_their_result(tmp_path: Path) -> None:
    """Also without a hash, as of schema 1: by sums of each class, not of all."""
    old = trial(tmp_path, "unet", arrays(0.5)).model_copy(update={"per_image_sha256": None})
    path, sound = old.path.with_name("per_image.npz"), arrays(0.5)
    swapped = {**sound, "tp": sound["tp"] + [[1, -1]], "fn": sound["fn"] - [[1, -1]]}
    wrong: list[tuple[dict[str, Any], str]] = [
        (swapped, "counts other pixels than the result"),
        ({**sound, "tp": sound["tp"].astype(float)}, "has tp of the type float64"),
        (
            {**sound, "fp": sound["fp"][:, :1]},
            r"has fp of the shape \(40, 1\), needed is \(40, 2\)",
        ),
        ({**sound, "groups": sound["groups"][1:]}, "has groups of the shape"),
        ({key: value for key, value in sound.items() if key != "ids"}, "lacks the array ids"),
        ({**sound, "ids": np.array([{}] * 40, object)}, r"is damaged \(ValueError\)"),
    ]
    for content, says in wrong:
        np.savez(path, **content)
        with pytest.raises(ValueError, match=says) as error:
            per_image(old)
        assert str(path) in str(error.value) and "--again" in str(error.value)
    np.savez(path, **sound)
    assert per_image(old) is not None
    path.unlink()
    assert per_image(old) is None
    kept = old.model_copy(update={"per_image_sha256": "0" * 64})
    with pytest.raises(ValueError, match="is gone, to which result.json belongs"):
        per_image(kept)


def test_counts_of_another_scoring_are_refused_by_name(tmp_path: Path) -> None:
    """As a kill between both files leaves them: the arrays are new, the result is old."""
    result = trial(tmp_path, "unet", arrays(spread(0.5, 0.1)))
    assert per_image(result) is not None
    result.path.with_name("per_image.npz").write_bytes(
        trial(tmp_path / "other", "unet", arrays(spread(0.5, 0.1, seed=1)))
        .path.with_name("per_image.npz")
        .read_bytes()
    )
    with pytest.raises(ValueError, match=r"per_image\.npz is not of the scoring that result\.json"):
        per_image(result)
    old = result.model_copy(update={"per_image_sha256": None})  # as of schema 1: told by its sums
    fewer = {**arrays(0.5), "fn": arrays(0.5)["fn"] // 2}
    np.savez(result.path.with_name("per_image.npz"), **fewer)
    with pytest.raises(ValueError, match=r"per_image\.npz counts other pixels than the result"):
        per_image(old)
    result.path.with_name("per_image.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match=r"per_image\.npz is damaged"):
        per_image(old)
