"""The study's trials on disk, of counts that are made up: each quantity is what a test asks for."""

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.claims.quantities import Arrays
from experiments.claims.registration import (
    AT_EQUAL_SECONDS,
    BAND,
    NETWORKS,
    THIN,
    CountedQuantity,
)
from experiments.claims.study import STEP_TIMES, StudyTrial, registered
from experiments.costs.layer_order import LayerOrder
from experiments.costs.step_times import StepTimes
from experiments.trials.field_record import Field, Fields
from experiments.trials.overrides import load
from experiments.trials.result_types import Checkpoint, FinishedTrial
from experiments.trials.results import FIELD, write_record
from tests.experiments.made import COST, Floats, failed, rising, trial

Shifts = Mapping[CountedQuantity, float]  # points

BLOCKS, BLOCK = 12, 4  # images of a block; real blocks have about twenty
IMAGES, CLASSES, PIXELS = BLOCKS * BLOCK, 3, 10_000  # pixels of each class in each image
SHARE = 0.3  # of them within the band
# Of a network without a shift, as fractions.
USUAL: dict[CountedQuantity, float] = {
    "miou": 0.5,
    "boundary_gain": -0.2,
    "boundary_iou": 0.4,
    "thin_recall": 0.3,
}
SD = 0.4  # points, over the seeds of a network
ORDERS = LayerOrder(
    first="a",
    second="b",
    size=(360, 480),
    difference=3e-15,
    batch_difference=0.043,
    gmacs=(64.2, 71.9),
    seconds=(1.31, 1.52),
    ratio=0.86,
    ratio_low=0.84,
    ratio_high=0.88,
    num_pairs=20,
    threads=2,
    hardware="",
    torch="",
)


def write_study(
    root: Path,
    shifts: Mapping[str, float | Shifts] | None = None,
    *,
    trials: Iterable[StudyTrial] | None = None,
    failing: Mapping[StudyTrial, str] | None = None,
    radii: Mapping[str, float] | None = None,
    sd: float = SD,
) -> None:
    """Leave a result of each trial, below `root` as the study itself would.

    Args:
        shifts: points above what is usual, by a network's registered name; a number is of mIoU. The
            mean over a network's seeds has exactly that.
        trials: those that have ended; all registered ones by default.
        failing: reasons, of the trials among them that failed.
        radii: of 95 % of the receptive field after training, in pixels, by registered name; that
            of 50 % is a third of it, and untrained both are half as large.
        sd: points, of all quantities over a network's seeds.
    """
    trials = list(registered() if trials is None else trials)
    by_model: dict[str, Shifts] = {}
    for name, shift in (shifts or {}).items():
        own: Shifts = {"miou": shift} if isinstance(shift, float | int) else shift
        by_model |= {NETWORKS[name]: own}
        by_model |= {AT_EQUAL_SECONDS[name]: own} if name in AT_EQUAL_SECONDS else {}
    fields = {NETWORKS[name]: radius for name, radius in (radii or {}).items()}
    for one in trials:
        reason = (failing or {}).get(one)
        if reason is not None:
            folder, recipe = _place(root, one)
            failed(folder, one.model, reason, one.seed, one.repeat, recipe=recipe)
            continue
        seeds = [t.seed for t in trials if t.model == one.model and t.times == one.times]
        noise = sd * _scores(one.model, sorted({*seeds}))[one.seed]
        result = write_trial(root, one, by_model.get(one.model, {}), noise)
        if one.model in fields:
            write_fields(result, fields[one.model])


def write_trial(
    root: Path,
    one: StudyTrial,
    shifts: Shifts | None = None,
    noise: float = 0.0,
    gain: float | None = None,
) -> FinishedTrial:
    """Leave the result of one trial, `noise` points above its shifts in every quantity.

    Args:
        gain: of its validation mIoU as the sum of learning rates doubles; without it no curve.
    """
    points = {name: (shifts or {}).get(name, 0.0) + noise for name in USUAL}
    values = {name: USUAL[name] + points[name] / 100 for name in USUAL}
    counts = _counts(values, _number(f"{one.model} {one.seed}"))
    folder, recipe = _place(root, one)
    share = _number(one.model) % 1000 / 1000  # makes costs differ
    within = values["miou"] + (1 - SHARE) * values["boundary_gain"]
    beyond = values["miou"] - SHARE * values["boundary_gain"]
    iou = dict.fromkeys(_CLASS_NAMES, values["miou"])
    return trial(
        folder,
        one.model,
        counts,
        one.seed,
        repeat=one.repeat,
        recipe=recipe,
        data={"num_images": IMAGES, "classes": _CLASS_NAMES, "block": BLOCK},
        metrics={
            "miou": values["miou"],
            "pixel_accuracy": 0.9,
            "num_classes_counted": CLASSES,
            "iou": iou,
            "bands": {"pixels": [BAND], "within": [within], "beyond": [beyond]},
        },
        cost={
            **COST,
            "params": round(4e5 * (1 + 3 * share)),
            "gmacs": 2.6 + 0.3 * share,
            "peak_memory_gb": 0.5 + share,
        },
        timing={"train_seconds": 500.0 * one.times * (1 + share), "steps": 2300 * one.times},
        **({} if gain is None else rising(gain, 2300 * one.times)),
    )


def write_steps(root: Path, seconds: Mapping[str, float]) -> None:
    """Leave what a step takes each network, by its registered name."""
    times = StepTimes(
        seconds={NETWORKS[name]: value for name, value in seconds.items()},
        num_rounds=12,
        precision="bf16-mixed",
        batch=8,
        size=(128, 160),
        hardware="a CPU",
        torch="",
    )
    write_record(root / STEP_TIMES, times)


def write_fields(result: FinishedTrial, radius: float) -> None:
    """Leave receptive fields beside a trial; the radius is that of 95 % after training."""

    def field(steps: int, radius: float) -> Field:
        return Field(
            steps=steps,
            num_silent=0,
            radius_50=radius / 3,
            radius_95=radius,
            support=(100, 100),
            profile=(0.5, 1.0),
            cells=("500000 500000",),
        )

    fields = Fields(
        version="",
        trial=result.id,
        model=result.model,
        seed=result.seed,
        num_images=16,
        size=(360, 480),
        data="d",
        code=None,
        checkpoint=Checkpoint(file="", sha256=""),
        trained=field(2300, radius),
        untrained=field(0, radius / 2),
    )
    write_record(result.path.with_name(FIELD), fields)


_CLASS_NAMES = [f"class {i}" for i in range(CLASSES)]


def _place(root: Path, one: StudyTrial) -> tuple[Path, dict[str, Any]]:
    """The folder of its recipe, and that recipe's fields."""
    recipe = load(one.request)
    return root / recipe.name, dict(vars(recipe))


def _number(text: str) -> int:
    """The same in every process, as `hash` is not."""
    return zlib.crc32(text.encode())


def _scores(model: str, seeds: list[int]) -> dict[int, float]:
    """By seed, with a mean of 0 and an SD of 1; 0 of a single one."""
    if len(seeds) == 1:
        return {seeds[0]: 0.0}
    drawn = np.random.default_rng(_number(model)).normal(size=len(seeds))
    drawn = (drawn - drawn.mean()) / drawn.std(ddof=1)
    return dict(zip(seeds, drawn.tolist(), strict=True))


def _counts(values: Mapping[CountedQuantity, float], number: int) -> dict[str, Any]:
    """Counts whose sums have these values, without false positives: IoU is the share found.

    Images differ from each other alike for all trials, and a little differently for each.
    """
    common = np.random.default_rng(0)
    own = np.random.default_rng(number)

    def found(value: float, pixels: float) -> np.ndarray:
        noise = 0.05 * _centred(common) + 0.02 * _centred(own)
        tp = np.rint(pixels * (value + noise)).astype(np.int64)
        return np.repeat(tp[:, None], CLASSES, axis=1)

    truth = np.full((IMAGES, CLASSES), PIXELS)
    tp = found(values["miou"], PIXELS)
    near = np.rint(
        SHARE * (tp + (1 - SHARE) * PIXELS * values["boundary_gain"])
    )  # so that near minus beyond is that gain
    band = np.zeros((IMAGES, 1, 3, CLASSES), np.int64)
    band[:, 0, 0] = near
    band[:, 0, 2] = SHARE * PIXELS - near
    edges = (3, THIN + 1, 9)
    width = np.zeros((IMAGES, CLASSES, len(edges) + 1, 4), np.int64)
    width[:, :, 1, 1] = 100 * PIXELS  # of objects of 3 and 4 pixels; no others are thin
    width[:, :, 1, 2] = found(values["thin_recall"], 100 * PIXELS)
    boundary = np.stack([found(values["boundary_iou"], PIXELS), truth], axis=1)
    counts: Arrays = {
        "ids": np.array([f"frame{i:03d}" for i in range(IMAGES)]),
        "groups": np.array(["clip"] * IMAGES),
        "tp": tp,
        "fp": np.zeros_like(tp),
        "fn": truth - tp,
        "widths": np.array([BAND]),
        "band": band,
        "width_edges": np.array(edges),
        "width": width,
        "boundary": boundary,
    }
    return dict(counts)


def _centred(rng: np.random.Generator) -> Floats:
    """A number an image, with a mean of 0 and an SD of 1."""
    drawn = rng.normal(size=IMAGES)
    centred: Floats = (drawn - drawn.mean()) / drawn.std()
    return centred
