"""Blocks of neighbouring frames, by hand and by what they have to be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.analysis.bootstrap import blocks
from tests.experiments.analysis.made_counts import CAMVID_TEST


def test_blocks_by_hand() -> None:
    # Eight of a: 3, 3, and 2, at least half of 3. Four of b, between them: 3 and the 1 joins them.
    groups = ["a"] * 5 + ["b"] * 4 + ["a"] * 3
    assert blocks(groups, 3).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 1, 3, 3]
    assert blocks(["a", "b", "a"], 1).tolist() == [0, 1, 2]
    assert blocks(["a", "b", "b"], 20).tolist() == [0, 1, 1]  # a short group is one block


def test_blocks_of_camvid() -> None:
    sizes = np.bincount(blocks(CAMVID_TEST, 20))
    assert sizes.tolist() == [20, 20, 22, *[20] * 8, 11]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 9))
def test_blocks_are_runs_within_a_group(groups: list[str], length: int) -> None:
    block = blocks(groups, length)
    assert sorted(set(block.tolist())) == list(range(block.max() + 1))
    for group in set(groups):
        own = block[[g == group for g in groups]]
        assert (np.diff(own) >= 0).all()
        assert not set(own) & set(block[[g != group for g in groups]])
        sizes = np.unique(own, return_counts=True)[1]
        assert (sizes[:-1] == length).all() and sizes[-1] < 1.5 * length
        assert sizes[-1] >= length / 2 or len(sizes) == 1
