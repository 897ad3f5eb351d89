"""Results that cannot share a table: refused with the difference, or separated.

The published results, edited: as where a recipe was changed, the data were exchanged, or
predictions were made by another protocol, and all came to lie in one folder.
"""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.recipes import demo, smoke
from experiments.trials.comparability import check_comparable, difference, separate, titles
from experiments.trials.protocols import Protocol
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import (
    FailedTrial,
    Failure,
    FinishedTrial,
    Hashes,
    Record,
    TrialIdentity,
)
from experiments.trials.results import finished, publish, read_results
from tests.commands import ROOT

KEPT = ROOT / "experiments/results/camvid-quick"
Change = Callable[[FinishedTrial], FinishedTrial]


def _hashed(result: FinishedTrial, **hashes: str | None) -> Hashes:
    return result.hashes.model_copy(update=hashes)


def _changed(record: Record, **fields: object) -> Record:
    return record.model_copy(update=fields)


def _recipe(result: FinishedTrial) -> FinishedTrial:
    assert result.recipe is not None
    recipe = dataclasses.replace(result.recipe, lr=0.1, name="camvid-quick+lr=0.1")
    hashes = _hashed(result, recipe="a" * 12)
    return result.model_copy(update={"recipe": recipe, "hashes": hashes})


def _data(result: FinishedTrial) -> FinishedTrial:
    prints = {"train": "same", "test": "exchanged"}
    data = _changed(result.data, fingerprints=prints)
    return result.model_copy(update={"data": data, "hashes": _hashed(result, data="b" * 12)})


def _protocol(result: FinishedTrial) -> FinishedTrial:
    protocol = dataclasses.replace(result.protocol, passes=Protocol(flip=True))
    hashes = _hashed(result, protocol="c" * 12)
    return result.model_copy(update={"protocol": protocol, "hashes": hashes})


def _failed(result: FinishedTrial) -> FailedTrial:
    """The same trial, had it failed."""
    kept = {name: getattr(result, name) for name in TrialIdentity.model_fields}
    return TrialIdentity(**kept).fail(Path("z"), Failure(kind="other", reason="no memory"))


MIXED = {
    "recipe": (_recipe, "recipe (lr: 0.05 against 0.1)"),
    "data": (_data, "data (fingerprints.test: 'first' against 'exchanged')"),
    "protocol": (
        _protocol,
        "protocol (mode: 'whole image, single scale, no flip' against 'whole image, single "
        "scale, flip'; averaged: nothing against 'softmax of every pass')",
    ),
}


@pytest.fixture
def results() -> list[FinishedTrial]:
    """Newer results also tell what files they are of."""
    prints = {"train": "same", "test": "first"}
    return [
        result.model_copy(update={"data": _changed(result.data, fingerprints=prints)})
        for result in finished(read_results(KEPT))
    ]


@pytest.mark.parametrize("part", MIXED)
def test_a_mix_is_refused_by_what_differs_or_separated(
    results: list[FinishedTrial], part: str
) -> None:
    change, says = MIXED[part]
    check_comparable(results)
    mixed = [*results[:2], change(results[2])]
    with pytest.raises(ValueError, match="cannot share a table") as raised:
        check_comparable(mixed)
    assert f"differ in {says}: they cannot share a table" in str(raised.value)
    assert "--allow-mixed" in str(raised.value) and "\n" not in str(raised.value)
    sets = separate(mixed)
    assert [len(some) for some in sets] == [2, 1] and sets[1][0] == mixed[2]
    for some in sets:
        check_comparable(some)


def test_titles_say_what_tells_the_sets_apart(results: list[FinishedTrial]) -> None:
    ours = results[:2]
    assert titles([ours, [_recipe(ours[0])]]) == [
        "recipe camvid-quick",
        "recipe camvid-quick+lr=0.1",
    ]
    assert titles([ours, [_protocol(ours[0])]]) == [
        "whole image, single scale, no flip",
        "whole image, single scale, flip",
    ]
    of_data = titles([ours, [_data(ours[0])]])
    assert of_data[1] == "camvid test (fingerprints.test: 'exchanged')"
    both = titles([ours, [_protocol(_recipe(ours[0]))], [_recipe(ours[0])]])
    assert both[1] == "recipe camvid-quick+lr=0.1, whole image, single scale, flip"
    assert len({*both}) == 3


def test_long_differences_stay_readable(results: list[FinishedTrial]) -> None:
    """Of nineteen weights one differs; of two recipes nearly everything does."""

    def under(recipe: Recipe) -> FinishedTrial:
        hashes = _hashed(results[0], recipe=recipe.hash())
        return results[0].model_copy(update={"recipe": recipe, "hashes": hashes})

    weights = demo().class_weights
    assert weights is not None
    other = dataclasses.replace(demo(), class_weights=(*weights[:3], 0.7, *weights[4:]))
    with pytest.raises(ValueError, match="recipe .class_weights.3.: 0.69 against 0.7.:"):
        check_comparable([under(demo()), under(other)])
    with pytest.raises(ValueError, match="; and [0-9]+ more") as raised:
        check_comparable([under(smoke()), under(demo())])
    assert len(str(raised.value)) < 400


def test_failed_trials_stay_with_their_set(results: list[FinishedTrial]) -> None:
    other = _recipe(results[2])
    failed = _failed(other)
    check_comparable([*results[:2], failed])  # it is no row
    assert separate([*results[:2], other, failed]) == [results[:2], [other, failed]]


def test_what_nobody_told_goes_with_the_first(results: list[FinishedTrial]) -> None:
    hashes = _hashed(results[2], recipe=None, protocol=None)
    untold = results[2].model_copy(update={"hashes": hashes})
    assert len(separate([*results[:2], untold])) == 1
    assert len(separate([*results[:2], _data(untold)])) == 2


def test_data_without_a_hash_are_compared_by_the_scored_split(
    results: list[FinishedTrial],
) -> None:
    ours = results[0]

    def scored(**data: object) -> FinishedTrial:
        """Label maps from elsewhere, of these data as far as `data` does not say otherwise."""
        known = {"fingerprints": {"test": "first"}} | data
        split = str(data.get("split", "test"))
        protocol = dataclasses.replace(ours.protocol, passes=None, split=split)
        return ours.model_copy(
            update={
                "request": None,
                "recipe": None,
                "protocol": protocol,
                "hashes": Hashes(recipe=None, data=None, protocol=None, code=None),
                "data": _changed(ours.data, **known),
            }
        )

    assert difference(ours, scored()) is None
    assert difference(scored(), scored()) is None
    exchanged = scored(fingerprints={"test": "exchanged"})
    says = "data (fingerprints.test: 'first' against 'exchanged')"
    assert difference(ours, exchanged) == difference(scored(), exchanged) == says
    older = ours.model_copy(update={"data": _changed(ours.data, fingerprints={})})
    assert difference(older, exchanged) is None  # nothing tells them apart
    said = "data (name: 'camvid' against 'voc2012')"
    assert difference(older, scored(name="voc2012")) == said
    assert difference(older, scored(split="val")) == "data (split: 'test' against 'val')"
    failed = _failed(ours)
    assert difference(failed, scored()) is None
    assert difference(failed, scored(split="val")) == "data (split: 'test' against 'val')"
    assert titles([[ours], [exchanged]])[1] == "camvid test (fingerprints.test: 'exchanged')"


def test_publishing_two_recipes_at_once_is_refused(tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(KEPT, tmp_path / name)) for name in ("first", "again")]
    results = [result for folder in folders for result in read_results(folder)]
    with pytest.raises(ValueError, match="two results would be copied to"):
        publish(results, tmp_path / "kept", [])
    assert not (tmp_path / "kept").exists()
