"""What a recipe's data lack is said before training, with a remedy that exists."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.labels import DataError
from experiments.recipes import smoke
from experiments.trials.data_check import check_data
from experiments.trials.recipe import Recipe
from tests.trees import coco


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    coco.build(tmp_path / "data")
    return tmp_path / "data"


def _recipe(**splits: str) -> Recipe:
    return replace(smoke(), data="coco", **splits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("splits", "names"),
    [
        ({"val_split": "test", "test_split": "val"}, "split test"),
        ({"test_split": "test"}, "split test"),
        ({"val_split": "test", "test_split": "test"}, "split test"),
    ],
)
def test_a_split_without_labels_is_refused_and_the_remedy_works(
    root: Path, splits: dict[str, str], names: str
) -> None:
    with pytest.raises(DataError, match=f"the {names} of coco has no label that is scored") as told:
        check_data(_recipe(**splits), root)
    remedy = dict(re.findall(r"(\w+_split)=([\w~]+)", str(told.value)))
    assert remedy and len(str(told.value).splitlines()) == 1
    report = check_data(_recipe(**(splits | remedy)), root)
    assert all(any(split.pixels) for split in report.splits.values())


def test_a_training_split_without_labels(root: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn from it, .*--set train_split="):
        check_data(_recipe(train_split="test", test_split="val"), root)


@pytest.mark.parametrize("train", ["train+val", "train+val~rest", "val"])
def test_a_split_that_training_shows_is_not_scored(train: str) -> None:
    """What is trained on for a server's hidden labels says nothing here."""
    recipe = replace(smoke(), train_split=train, test_split="val")
    with pytest.raises(ValueError, match=r"scores val, which its training split \S+ shows: name"):
        check_data(recipe, None)
    report = check_data(replace(recipe, test_split="test"), None)
    assert report.splits[train].images > 0
