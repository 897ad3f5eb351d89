"""What splits share, by hand and against slow loops: clips, views, resemblance."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.image_files import Sample
from datamodules.validation.image_checks import ImageCheck
from datamodules.validation.leakage import (
    NEAR,
    CheckedImage,
    Split,
    clips,
    leakage,
    nearest,
    num_views,
)


def _split(name: str, *images: tuple[str, float | None, int]) -> Split:
    """Images of a clip, a second and a perceptual hash."""
    return Split(
        name,
        [
            CheckedImage(
                Sample(f"{name}{i}", clip, Path(f"{name}{i}.png"), None, second),
                ImageCheck([], content=f"{name}{i}", view=view),
            )
            for i, (clip, second, view) in enumerate(images)
        ],
    )


def test_stretches_of_video_by_hand() -> None:
    seconds = [0.0, 1.0, 3.0, 5.5, 6.0, 20.0]
    split = _split("train", *(("a", s, 0) for s in reversed(seconds)), ("b", None, 0))
    first, second = clips(split)
    assert first[:3] == ("a", 6, 3)  # 0 to 3, 5.5 to 6, and 20 alone
    assert first.seconds == pytest.approx(3.5)
    assert str(first) == "6 frames of 3 stretches of clip a, 3.5 s in all"
    assert first.rate == pytest.approx(3 / 3.5)
    assert str(second) == "1 image of group b"


def test_groups_that_span_splits() -> None:
    train = _split("train", *((name, None, 0) for name in "abcdee"))
    val = _split("val", *((name, None, 2**64 - 1) for name in "eedcbx"))
    (finding,) = leakage([train, val], frozenset())
    assert finding.text == (
        "val has 1 image of group b, of which train has 1 image; 1 image of group c, of which train"
        " has 1 image; 1 image of group d, of which train has 1 image; and 1 more"
    )
    assert not list(leakage([train, val], frozenset({("val", "train")})))


hashes = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12)


@given(hashes, hashes, st.integers(1, 40))
def test_the_nearest_hash_is_that_of_a_slow_loop(
    these: list[int], those: list[int], chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datamodules.validation.leakage.CHUNK_PAIRS", chunk)
        found = nearest(np.array(these, np.uint64), np.array(those, np.uint64))
    for a, distance, index in zip(these, *found, strict=True):
        slow = [bin(a ^ b).count("1") for b in those]
        assert distance == min(slow) == slow[index]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**20 - 1)), max_size=20))
def test_views_are_counted_as_a_slow_loop_does(frames: list[tuple[int, int]]) -> None:
    split = _split("val", *(("clip", float(second), view) for second, view in frames))
    views: list[int] = []
    for _, view in sorted(frames, key=lambda frame: frame[0]):
        if all(bin(view ^ other).count("1") > NEAR for other in views):
            views.append(view)
    assert num_views(split) == len(views)
