"""The boundary target: by hand, by a slow loop, and beside OpenCV's Canny and dilation."""

import cv2
import numpy as np
import pytest
import torch

from datamodules import open_data
from datamodules.labels import IGNORE
from lightning_modules.boundaries import boundary_target


def drawn(*rows: str) -> torch.Tensor:
    """A mask (1, H, W) of digits; v is void."""
    values = [[IGNORE if cell == "v" else int(cell) for cell in row] for row in rows]
    return torch.tensor(values, dtype=torch.uint8)[None]


def shown(target: torch.Tensor) -> list[str]:
    return ["".join("#" if cell else "." for cell in row) for row in target[0]]


def test_two_cells_on_either_side_of_a_step() -> None:
    columns, rows = drawn(*["0000011111"] * 3), drawn(*["00"] * 3, *["77"] * 4)
    assert shown(boundary_target(columns)) == ["...####..."] * 3
    assert shown(boundary_target(rows)) == ["..", "##", "##", "##", "##", "..", ".."]


def test_void_has_no_edges_and_is_none() -> None:
    assert not boundary_target(drawn(*["000vvv111"] * 3)).any()
    assert not boundary_target(torch.full((2, 8, 8), IGNORE)).any()
    assert not boundary_target(torch.zeros(2, 8, 8, dtype=torch.long)).any()
    half_void = drawn(*["00000111v1"] * 3)
    assert shown(boundary_target(half_void)) == ["...####..."] * 3
    assert shown(boundary_target(drawn(*["0000011v11"] * 3))) == ["...####..."] * 3
    assert shown(boundary_target(drawn(*["000001v111"] * 3))) == ["...###...."] * 3


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64])
def test_a_slow_loop_gives_the_same(kind: torch.dtype) -> None:
    generator = np.random.default_rng(0)
    coarse = generator.choice([0, 3, 18, IGNORE], size=(2, 4, 5), p=[0.4, 0.3, 0.2, 0.1])
    mask = coarse.repeat(6, axis=1).repeat(7, axis=2)
    _, height, width = mask.shape
    expected = np.zeros(mask.shape, dtype=bool)
    for n, y, x in np.ndindex(*mask.shape):
        for other_y, other_x in ((y, x + 1), (y + 1, x)):
            if other_y == height or other_x == width:
                continue
            pair = mask[n, y, x], mask[n, other_y, other_x]
            if pair[0] != pair[1] and IGNORE not in pair:
                expected[n, max(0, y - 1) : y + 3, max(0, x - 1) : x + 3] = True
    expected &= mask != IGNORE
    found = boundary_target(torch.from_numpy(mask).to(kind))
    assert found.dtype == torch.bool
    assert np.array_equal(found.numpy(), expected)


def test_it_is_mostly_what_canny_and_a_dilation_give() -> None:
    """As PIDNet's loader has it, without the frame that it empties; on masks without void."""
    data = open_data("streets:height=240:width=320:train=6:val=1:test=1", "train", None)
    both = ours = theirs = 0
    for index in range(6):
        mask = data[index][1].copy()
        mask[mask == IGNORE] = data.labels.num_classes  # one more class, to compare the method
        canny = cv2.Canny(mask, 0.1, 0.2)
        official = cv2.dilate(canny, np.ones((4, 4), np.uint8)) > 0
        target = boundary_target(torch.from_numpy(mask)[None])[0].numpy()
        both, ours, theirs = (
            both + (target & official).sum(),
            ours + target.sum(),
            theirs + official.sum(),
        )
    assert both / theirs > 0.95, both / theirs
    assert both / ours > 0.93, both / ours
