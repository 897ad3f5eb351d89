"""Every data set, on a small tree in its published structure, through the main command."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import open_data
from experiments.scoring.counts import class_iou
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_result
from tests.commands import run
from tests.experiments import here
from tests.trees import ade20k, camvid, cityscapes, coco, folder, voc2012


class Case(NamedTuple):
    data: str
    build: Callable[[Path], None]
    split: str
    classes: int
    changes: Sequence[str] = ()


CASES = {
    "ade20k": Case("ade20k", ade20k.build, "val", 150),
    "camvid": Case("camvid", camvid.build, "test", 11, ["--set", "crop_on=device"]),
    "camvid, 32 colours": Case("camvid", camvid.build_original, "test", 11),
    "cityscapes": Case("cityscapes", cityscapes.build, "val", 19),
    "cityscapes, train ids": Case(
        "cityscapes",
        partial(cityscapes.build, kinds=["labelTrainIds"]),
        "val",
        19,
        ["--set", "crop_on=auto"],
    ),
    "coco": Case("coco", coco.build, "val", 11),
    "folder": Case("folder", folder.build, "test", 3),
    "folder, one class": Case("folder", folder.build_one_class, "test", 1, ["--devices", "2"]),
    "folder, mixed": Case("folder", folder.build_mixed, "test", 4),
    "voc2012": Case("voc2012", voc2012.build, "val", 21),
}


def _compare(case: Case, base: Path) -> tuple[int, str]:
    """Of the root, with results beside it; by real processes where a trial starts several."""
    command = (
        *("--models", "hrnetv2_w18_small_v1", "--recipe", "smoke", "--set", "steps=3"),
        *("--data", case.data, "--data-root", base / "root", "--out", base / "runs"),
        *("--wandb", "off", *case.changes),
    )
    if "--devices" in case.changes:
        return run("experiments.compare", *command)
    return here.compare(*command)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_trains_and_is_scored(name: str, tmp_path: Path) -> None:
    case, base = CASES[name], tmp_path
    case.build(base / "root")
    status, text = _compare(case, base)
    assert status == 0, text
    assert "hrnetv2_w18_small_v1" in text and "report:" in text
    (path,) = base.glob("runs/*/*/seed0/result.json")
    result = read_result(path)
    assert isinstance(result, FinishedTrial)
    assert result.data.split == case.split
    assert len(result.data.classes) == case.classes
    by_itself = "device" if torch.cuda.is_available() else "workers"
    assert result.environment.crop_on == (by_itself if "crop_on=auto" in case.changes else None)
    data = open_data(case.data, case.split, base / "root")
    assert result.data.num_images == len(data.ids) >= 1
    assert result.data.fingerprints[case.split] == data.fingerprint()
    matrix = np.zeros((case.classes, case.classes), int)
    for index, id in enumerate(data.ids):
        mask = data.mask(index)
        with Image.open(path.parent / "predictions" / f"{id}.png") as file:
            prediction = np.array(file)
        assert prediction.shape == mask.shape
        np.add.at(matrix, (mask[mask < 255], prediction[mask < 255]), 1)
    assert [list(row) for row in result.confusion] == matrix.tolist()
    tp = matrix.diagonal()
    iou = class_iou(tp, matrix.sum(0) - tp, matrix.sum(1) - tp)
    assert result.metrics.miou == pytest.approx(np.nanmean(iou))


def test_every_data_set_of_files_is_here() -> None:
    from datamodules import dataset_info
    from datamodules.registry import DATASETS

    assert {case.data for case in CASES.values()} == {
        name for name in DATASETS if dataset_info(name)
    }
