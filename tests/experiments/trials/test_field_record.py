"""Receptive fields as they are kept: written, read, refused where damaged, published."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.trials.field_record import Field, Fields, read_fields
from experiments.trials.result_types import Checkpoint, FinishedTrial
from experiments.trials.results import FIELD, publish, read_result, write_record
from tests.experiments.made import arrays, trial


def _fields(result: FinishedTrial, **changes: Any) -> Fields:
    one = Field(
        steps=0, num_silent=0, radius_50=1.5, radius_95=2.75, support=(3, 4),
        profile=(0.25, 0.75, 1.0), cells=("250000 0 1", "0 700000 49999"),
    )  # fmt: skip
    fields = Fields(
        version="0.2.0", trial=result.id, model=result.model, seed=result.seed, num_images=16,
        size=(36, 48), data="f", code="c", checkpoint=Checkpoint(file="step.ckpt", sha256="ab"),
        trained=one.model_copy(update={"steps": 9}), untrained=one,
    )  # fmt: skip
    return fields.model_copy(update=changes)


@pytest.fixture
def result(tmp_path: Path) -> FinishedTrial:
    return trial(tmp_path / "runs", "hrnet:width=10", arrays(0.5))


def test_what_is_written_is_read(result: FinishedTrial) -> None:
    assert read_fields(result) is None
    fields = _fields(result)
    write_record(result.path.with_name(FIELD), fields)
    assert read_fields(result) == fields
    assert fields.trained.energy == [[0.25, 0, 1e-6], [0, 0.7, 0.049999]]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("radius_95", -1, "trained.radius_95 is -1: input should be greater than or equal to 0"),
        ("profile", [0.5, 1.5], "trained.profile.1 is 1.5: input should be less than or equal"),
        ("profile", [], "trained.profile is .*: tuple should have at least 1 item"),
        ("cells", ["1 2", "3"], "trained.cells: cells have to be rows of equally many whole"),
        ("cells", ["1 -2"], "trained.cells: cells have to be rows of equally many whole numbers"),
        ("support", [3], "trained.support.1: field required"),
        ("colour", "red", "trained.colour is 'red': extra inputs are not permitted"),
    ],
)
def test_a_damaged_file_is_named_with_its_field(
    result: FinishedTrial, field: str, value: object, said: str
) -> None:
    path = result.path.with_name(FIELD)
    write_record(path, _fields(result))
    record = json.loads(path.read_text())
    record["trained"][field] = value
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f"field.json: {said}.*delete it to have it measured"):
        read_fields(result)


def test_a_cut_file_is_refused(result: FinishedTrial) -> None:
    path = result.path.with_name(FIELD)
    write_record(path, _fields(result))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="field.json.*delete it to have it measured again"):
        read_fields(result)


def test_the_fields_of_another_trial_are_refused(result: FinishedTrial, tmp_path: Path) -> None:
    other = trial(tmp_path / "runs", "hrnet:width=10", arrays(0.5), seed=1)
    write_record(result.path.with_name(FIELD), _fields(other))
    with pytest.raises(ValueError, match=r"of another trial \(hrnet:width=10 seed 1, id "):
        read_fields(result)


def test_fields_are_published_where_there_are_some(result: FinishedTrial, tmp_path: Path) -> None:
    bare = trial(tmp_path / "runs", "unet:width=9", arrays(0.5))
    write_record(result.path.with_name(FIELD), _fields(result))
    publish([result, bare], tmp_path / "kept", panel=[])
    kept = {path.parents[1].name: path for path in (tmp_path / "kept").glob(f"*/*/{FIELD}")}
    assert [*kept] == [result.path.parents[1].name]
    found = read_result(kept[result.path.parents[1].name].with_name("result.json"))
    assert isinstance(found, FinishedTrial) and read_fields(found) == _fields(result)
