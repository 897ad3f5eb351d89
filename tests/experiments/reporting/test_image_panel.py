"""Pictures of the report: which images, and how they are drawn."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE
from experiments.reporting.image_panel import choose, error_map, make_panel, photo, picture
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import Arrays, per_image
from tests.experiments.made import trial
from tests.experiments.reporting.pages import page, words
from tests.experiments.street_trials import IDS

Results = Sequence[TrialResult]


def scored(root: Path, model: str, wrong: list[int]) -> FinishedTrial:
    """A trial of 12 images of 100 pixels and two equal classes, so many wrong of the first."""
    fn = np.stack([np.array(wrong), np.zeros(12, int)], 1)
    counts = {"ids": np.arange(12), "groups": np.arange(12)}
    return trial(root, model, {**counts, "tp": 50 - fn, "fp": fn[:, ::-1], "fn": fn})


def test_images_are_those_of_largest_disagreement_in_each_part(tmp_path: Path) -> None:
    """Twelve images are six parts of two: 0 and 1, 2 and 3, ..."""
    a = scored(tmp_path, "a", [0, 9, 5, 0, 0, 0, 7, 7, 20, 21, 3, 3])
    b = scored(tmp_path, "b", [0, 0, 0, 1, 2, 9, 7, 6, 20, 20, 3, 3])
    chosen = choose([a, b])
    assert list(chosen)[:5] == ["1", "2", "5", "7", "9"]
    # 9 of 50 wrong: IoU 41/50 and 50/59 against 1 and 1
    assert chosen["1"] == pytest.approx(1 - (41 / 50 + 50 / 59) / 2)


def test_counts_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counting(result: FinishedTrial) -> Arrays | None:
        read.append(result.path)
        return per_image(result)

    monkeypatch.setattr("experiments.reporting.image_panel.per_image", counting)
    trials = [scored(tmp_path, name, [0] * 12) for name in ("a", "b")]
    choose(trials)
    assert read == [result.path for result in trials]


def test_one_model_shows_evenly_spaced_images(results: Results, data: None) -> None:
    panel = make_panel([results[0]], None)
    assert [IDS.index(name) for name in panel.ids] == [1, 4, 7, 10, 12, 14]
    assert panel.spread == {} and "Evenly spaced" in words(page([results[0]], panel))


def test_only_kept_predictions_are_chosen(results: Results, data: None) -> None:
    kept = [IDS[i] for i in (3, 4, 15)]
    for path in results[0].predictions.iterdir():
        if path.stem not in kept:
            path.unlink()
    panel = make_panel(results, None)
    assert panel.ids == kept
    (results[0].predictions / f"{kept[0]}.png").unlink()
    assert page(results, panel).count("prediction not kept") == 1


def test_error_map() -> None:
    truth = np.array([[1, 2], [IGNORE, IGNORE]], np.uint8)
    prediction = np.array([[1, 3], [1, IGNORE]], np.uint8)
    assert error_map(truth, prediction).tolist() == [[0, 1], [IGNORE, IGNORE]]


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_not_scored_is_hatched_and_classes_keep_their_colour() -> None:
    """Black may be a class of the user's; hatched white is none."""
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 16:] = IGNORE
    image = opened(picture(mask, CAMVID))
    assert image.mode == "P" and image.size == (32, 32)
    pixels = np.asarray(image.convert("RGB"))
    assert (pixels[:, :16] == CAMVID.classes[0].colour).all()
    assert {*map(tuple, pixels[:, 16:].reshape(-1, 3))} == {(160,) * 3, (255,) * 3}


def test_pictures_are_small() -> None:
    """A photo of Cityscapes' size, with more detail than a street has."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    scene = np.asarray(Image.fromarray(noise).resize((2048, 1024), Image.Resampling.BICUBIC))
    assert opened(photo(scene)).size == (480, 240)
    assert len(photo(scene)) < 40_000
    tall = np.zeros((2000, 1000), np.uint8)
    assert opened(picture(tall, CAMVID)).size == (240, 480)
