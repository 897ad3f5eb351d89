"""Palettes of predictions agree, decide, contradict or say nothing; void and 255 beside them."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.labels import IGNORE, Label, LabelSet, UInt8
from experiments.scoring.metrics import ScoredPredictions, score_predictions
from experiments.scoring.prediction_files import PredictionError, write_prediction
from experiments.scoring.predictions import Ids, open_predictions
from tests.maps import LabelMaps

COLOURS = (200, 10, 30), (10, 180, 40), (40, 60, 220)
ROWS = tuple(Label(k, k, f"class {k}", colour) for k, colour in enumerate(COLOURS))
VOID = Label(3, IGNORE, "void", (0, 0, 0))


class Painted(LabelMaps):
    labels = LabelSet((*ROWS, VOID))


class Unpainted(LabelMaps):
    labels = LabelSet((*ROWS, VOID), ())


def masks(num: int) -> list[UInt8]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 3, (8, 9)).astype(np.uint8) for _ in range(num)]


def written(folder: Path, name: str, mask: UInt8, order: tuple[int, ...]) -> None:
    """In the right colours, numbered in an order of its own."""
    picture = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
    colours = [*COLOURS, VOID.colour]
    picture.putpalette([v for k in order for v in colours[k]])
    picture.save(folder / f"{name}.png")


def scored(folder: Path, data: LabelMaps, ids: Ids | None = None) -> ScoredPredictions:
    return score_predictions(open_predictions(folder, data, ids), data)


ORDERS = list(permutations(range(3)))


@pytest.mark.parametrize("kind", [Painted, Unpainted])
def test_palettes_that_differ_decide_where_colours_are_known(
    tmp_path: Path, kind: type[LabelMaps]
) -> None:
    data = kind(masks(len(ORDERS)))
    for id, mask, order in zip(data.ids, data.masks, ORDERS, strict=True):
        written(tmp_path, id, mask, order)
    if kind is Painted:
        scores, _, form = scored(tmp_path, data)
        assert scores.metrics().miou == 1.0 and "colours of their palettes" in form
    else:
        with pytest.raises(PredictionError, match="palettes differ in the colour of the value 0"):
            scored(tmp_path, data)
    assert scored(tmp_path, data, "train").scores.metrics().miou != 1.0  # as it was asked for


def test_the_colour_of_void_is_predicted_void(tmp_path: Path) -> None:
    data = Painted(masks(2))
    holes = [mask.copy() for mask in data.masks]
    holes[0][:2], holes[1][3] = 3, 3
    written(tmp_path, data.ids[0], holes[0], (3, 0, 1, 2))
    written(tmp_path, data.ids[1], holes[1], (2, 1, 0, 3))
    scores = scored(tmp_path, data).scores
    assert sum(scores.unpredicted) == 3 * 9 and scores.fp.sum() == 0 and scores.fn.sum() == 3 * 9


@pytest.mark.parametrize("order", ORDERS)
def test_one_palette_that_contradicts_is_refused(tmp_path: Path, order: tuple[int, ...]) -> None:
    data = Painted(masks(3))
    for id, mask in zip(data.ids, data.masks, strict=True):
        written(tmp_path, id, mask, order)
    if order == (0, 1, 2):
        assert scored(tmp_path, data).form == "class ids (palette PNG)"
        return
    with pytest.raises(PredictionError, match=r"image0.png has a palette that contradicts .*--ids"):
        scored(tmp_path, data)
    assert scored(tmp_path, data, "label").form == "the data set's label ids (palette PNG)"


def test_indices_beyond_all_ids_are_read_by_their_colours(tmp_path: Path) -> None:
    """As a 256-colour palette has them, of which an image uses a few."""
    data = Painted(masks(2))
    palette = np.zeros((256, 3), np.uint8)
    palette[[70, 130, 250]] = COLOURS
    for id, mask in zip(data.ids, data.masks, strict=True):
        picture = Image.fromarray(np.array([70, 130, 250], np.uint8)[mask])
        picture.putpalette(palette.ravel().tolist())
        picture.save(tmp_path / f"{id}.png")
    assert scored(tmp_path, data).scores.metrics().miou == 1.0


@pytest.mark.parametrize("kind", [Painted, Unpainted])
@pytest.mark.parametrize("name", ["ours", "ramp", "black", "other"])
def test_palettes_that_say_nothing_change_nothing(
    tmp_path: Path, kind: type[LabelMaps], name: str
) -> None:
    data = kind(masks(2))
    palette = {
        "ours": data.labels.palette,
        "ramp": bytes(v for v in range(256) for _ in range(3)),
        "black": bytes(768),
        "other": bytes(np.random.default_rng(0).integers(0, 256, 768, np.uint8)),
    }[name]
    for id, mask in zip(data.ids, data.masks, strict=True):
        write_prediction(tmp_path / f"{id}.png", mask, palette)
    scores, _, form = scored(tmp_path, data)
    assert scores.metrics().miou == 1.0
    assert ("palettes are not" in form) == (name == "other")


def test_a_palette_tells_label_ids_from_class_ids(tmp_path: Path) -> None:
    """Where both readings are possible, and of other classes."""

    class Shifted(LabelMaps):
        labels = LabelSet(
            (
                Label(0, IGNORE, "void", (0, 0, 0)),
                *(Label(k + 1, k, f"class {k}", colour) for k, colour in enumerate(COLOURS)),
            )
        )

    data = Shifted([mask.clip(max=1) for mask in masks(2)])
    for id, mask in zip(data.ids, data.masks, strict=True):
        picture = Image.fromarray(mask + np.uint8(1))
        picture.putpalette([0, 0, 0, *(v for colour in COLOURS for v in colour)])
        picture.save(tmp_path / f"{id}.png")
    scores, _, form = scored(tmp_path, data)
    assert scores.metrics().miou == 1.0 and form == "the data set's label ids (palette PNG)"


@pytest.mark.parametrize("first", [0, 255])
def test_255_means_a_class_where_the_table_has_one(tmp_path: Path, first: int) -> None:
    class Binary(LabelMaps):
        labels = LabelSet((Label(0, 0, "ground", (0, 0, 0)), Label(255, 1, "thing", (9, 9, 9))), ())

    one = np.full((4, 4), first > 0, np.uint8)
    data = Binary([one, np.eye(4, dtype=np.uint8)])
    for id, mask in zip(data.ids, data.masks, strict=True):
        Image.fromarray(mask * np.uint8(255)).save(tmp_path / f"{id}.png")
    scores, _, form = scored(tmp_path, data)
    assert scores.metrics().miou == 1.0 and "label ids" in form and not scores.unpredicted
    for id, mask in zip(data.ids, data.masks, strict=True):
        Image.fromarray(mask).save(tmp_path / f"{id}.png")
    assert scored(tmp_path, data).scores.metrics().miou == 1.0  # class ids as ever
