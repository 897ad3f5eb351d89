"""A split in parts: all images, each once, and as they are in the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules import open_data
from datamodules.image_files import ImageFileDataset
from datamodules.parts import all_parts, stretch
from tests.trees import camvid


@given(st.integers(0, 200), st.integers(1, 250))
def test_parts_are_a_partition_of_even_sizes(num: int, of: int) -> None:
    ranges = [part.images(num) for part in all_parts(of)]
    assert [i for images in ranges for i in images] == list(range(num))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


@pytest.mark.parametrize("spec", ["camvid", "streets:train=7:height=48:width=64", "joined"])
def test_a_stretch_has_the_images_of_the_whole(
    spec: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("data") / "CamVid"
    camvid.build(root)
    split = "train+val" if spec == "joined" else "train"
    whole = open_data("camvid" if spec == "joined" else spec, split, root)
    some = stretch(whole, range(2, 5))
    assert isinstance(some, ImageFileDataset) == isinstance(whole, ImageFileDataset)
    assert (some.ids, some.groups) == (whole.ids[2:5], whole.groups[2:5])
    assert some.labels == whole.labels
    for i in range(3):
        for ours, theirs in zip(some[i], whole[2 + i], strict=True):
            assert np.array_equal(ours, theirs)
        assert np.array_equal(some.mask(i), whole.mask(2 + i))
    assert some.fingerprint() != whole.fingerprint()
    assert not list(stretch(whole, range(2, 2)).ids)
