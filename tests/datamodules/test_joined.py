"""Several splits as one: their images in order, their labels, and what parts of them are."""

from pathlib import Path

import numpy as np
import pytest

from datamodules import open_data
from datamodules.joined import join
from datamodules.labels import DataError
from datamodules.validation.check import check
from tests.trees.camvid import build

STREETS = "streets:height=33:width=40:train=5:val=3:test=2"


def test_images_of_both_in_their_order() -> None:
    train, val, both = (open_data(STREETS, split) for split in ("train", "val", "train+val"))
    assert both.ids == train.ids + val.ids
    assert both.groups == train.groups + val.groups
    assert len({part.fingerprint() for part in (train, val, both)}) == 3
    for index in range(8):
        part, own = (train, index) if index < 5 else (val, index - 5)
        for ours, theirs in zip(both[index], part[own], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(both.mask(index), part.mask(own))


def test_a_part_is_of_all_of_them() -> None:
    whole = open_data(STREETS, "train+val")
    held, rest = (open_data(STREETS, f"train+val~{part}") for part in ("held", "rest"))
    assert sorted(held.ids + rest.ids) == sorted(whole.ids)
    assert held.ids and set(held.groups).isdisjoint(rest.groups)


def test_files_are_read_by_their_own_split(tmp_path: Path) -> None:
    root = tmp_path
    build(root)
    train, val, both = (open_data("camvid", split, root) for split in ("train", "val", "train+val"))
    assert both.ids == train.ids + val.ids
    np.testing.assert_array_equal(both.mask(len(train.ids)), val.mask(0))
    report = check("camvid", root, ["train", "val", "train+val"])
    assert not [finding for finding in report.errors if finding.kind == "shared image"]
    summaries = report.splits
    sums = zip(summaries["train"].pixels, summaries["val"].pixels, strict=True)
    assert summaries["train+val"].pixels == [a + b for a, b in sums]


def test_a_name_that_two_splits_have_is_refused() -> None:
    train = open_data(STREETS, "train")
    with pytest.raises(DataError, match=r"splits of a\+b have two images named .*: rename one"):
        join([train, train], "a+b")
