"""Parts of a split: whole groups, and nothing of another split."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules import open_data
from datamodules.holdout import HOLDOUT_SHARE, held_groups
from datamodules.labels import DataError
from datamodules.validation.check import checked
from tests.trees import camvid

STREETS = "streets:height=48:width=64:train=40:val=4:test=6"


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60))
def test_held_groups_are_some_but_never_all(groups: list[str]) -> None:
    held = held_groups(groups)
    assert held < set(groups)
    assert bool(held) == (len(set(groups)) > 1)
    assert held == held_groups(groups[::-1])


@given(st.integers(5, 200))
def test_single_photos_come_to_a_fifth(images: int) -> None:
    held = held_groups([f"photo {i}" for i in range(images)])
    assert abs(len(held) - HOLDOUT_SHARE * images) <= 0.5


def test_both_parts_make_the_split() -> None:
    whole, held, rest = (open_data(STREETS, f"train{part}") for part in ("", "~held", "~rest"))
    assert sorted(held.ids + rest.ids) == sorted(whole.ids)
    assert not set(held.groups) & set(rest.groups)
    assert Counter(held.groups) == dict.fromkeys(set(held.groups), 8)  # whole drives
    index = whole.ids.index(held.ids[3])
    for ours, theirs in zip(held[3], whole[index], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len({whole.fingerprint(), held.fingerprint(), rest.fingerprint()}) == 3


def test_parts_need_no_file_of_another_split(tmp_path: Path) -> None:
    camvid.build(tmp_path)
    for split in ("val", "test"):
        (tmp_path / f"{split}.txt").unlink()
    outcome = checked("camvid", tmp_path, ["train~rest", "train~held"])
    assert not outcome.errors
    assert set(outcome.splits) == {"train~rest", "train~held"}


def test_what_cannot_be_held_out_is_refused() -> None:
    one_drive = STREETS.replace("train=40", "train=8")
    with pytest.raises(DataError, match="all 8 images of train belong to one group"):
        open_data(one_drive, "train~held")
    with pytest.raises(DataError, match="train~most is no part of train: name ~held or ~rest"):
        open_data(STREETS, "train~most")
