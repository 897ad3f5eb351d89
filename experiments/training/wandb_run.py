"""Weights & Biases: a mirror of what the result files hold, that never stops or delays a run.

Online with an account, offline without one; an error of W&B is said once, and the run goes on.

A trial is a run: its id follows from recipe, network and seed, its group is the comparison, its
job type `trial`. Grouped by `model`, which its config holds beside `seed` and `recipe.*`, the
curves over `step` of a network's seeds become a line with a band. A comparison is a run of its
own, of job type `comparison`, with the tables and accuracy against cost.
"""

import netrc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from datamodules.labels import IGNORE, UInt8
from experiments.trials.environment import WandbMode
from experiments.trials.hashing import short_hash
from experiments.trials.result_types import (
    Curve,
    FailedTrial,
    FinishedTrial,
    TrialIdentity,
    TrialResult,
)

if TYPE_CHECKING:  # it takes a second, and may be missing or off
    import wandb

PROJECT = "segmentation-lab"
FORM = 1  # of what is sent; raised when that changes, so that runs of the old form are replaced
FINISH_SECONDS = 120  # a process waits so long for its upload; `wandb_mirror` makes up for the rest
SIDE = 512  # pixels that a picture's longer side has at most
PICTURE_BYTES = 2_000_000  # of a run: panels of some dozen validations


Values = dict[str, object]  # that a run logs, or ends with, by name


@dataclass(frozen=True, kw_only=True)
class RunInit:
    """What a W&B run is, but its id.

    Attributes:
        group: runs of one comparison share it.
        config: with the `identity` that all versions of the run share.
    """

    name: str
    group: str | None
    job_type: Literal["trial", "comparison"]
    config: Values

    @property
    def identity(self) -> str:
        return str(self.config["identity"])


@dataclass(frozen=True)
class Picture:
    """A photo (H, W, 3), and class indices (H, W) to lay over it."""

    caption: str
    image: UInt8
    masks: dict[str, UInt8]

    def small(self) -> "Picture":
        """The same, reduced by the whole number that brings it to SIDE."""
        by = -(-max(self.image.shape) // SIDE)
        photo = np.asarray(Image.fromarray(self.image).reduce(by))
        masks = {name: mask[::by, ::by] for name, mask in self.masks.items()}
        return Picture(self.caption, photo, masks)

    @property
    def num_bytes(self) -> int:
        """What its files take: a JPEG, and a PNG a mask."""
        files = [BytesIO() for _ in range(1 + len(self.masks))]
        Image.fromarray(self.image).save(files[0], "JPEG")
        for file, mask in zip(files[1:], self.masks.values(), strict=True):
            Image.fromarray(mask).save(file, "PNG")
        return sum(len(file.getvalue()) for file in files)


def wandb_images(
    pictures: Sequence[Picture], classes: Sequence[str], left: int
) -> "tuple[list[wandb.Image], int]":
    """`wandb.Image`s of the pictures that fit into `left` bytes, and what is left; 0 once full."""
    import wandb

    names = dict(enumerate(classes)) | {IGNORE: "ignore"}
    made = []
    for picture in map(Picture.small, pictures):
        if left and picture.num_bytes > left:
            print(f"W&B gets no more pictures of this run: {PICTURE_BYTES} bytes", file=sys.stderr)
            left = 0
        if left:
            left -= picture.num_bytes
            masks = {k: {"mask_data": m, "class_labels": names} for k, m in picture.masks.items()}
            made.append(
                wandb.Image(picture.image, masks=masks, caption=picture.caption, file_type="jpg")
            )
    return made, left


def start_run(
    folder: Path, mode: Literal["online", "offline"], id: str, init: RunInit, resume: bool = False
) -> "wandb.Run":
    """A W&B run whose curves have `step` as abscissa; its files go below `folder`."""
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, disable_git=True, init_timeout=30, finish_timeout=FINISH_SECONDS
    )
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        mode=mode,
        project=PROJECT,
        dir=folder,
        settings=settings,
        id=id,
        name=init.name,
        group=init.group,
        job_type=init.job_type,
        config=init.config,
        resume="allow" if resume else None,
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return run


class Mirror:
    """One W&B run, to which nothing is sent any more after its first error.

    Args:
        mode: None to go online where there is an account.
        id: names the run for ever.

    Attributes:
        online: whether pictures are sent; offline they would fill disks unseen.
        whole: whether this is the run's only part. A later part repeats the steps since the last
            checkpoint, and lacks what a kill left unsent.
    """

    def __init__(self, folder: Path, mode: WandbMode | None, id: str, init: RunInit) -> None:
        self.run: wandb.Run | None = None
        self.config = init.config
        self.online = self.whole = False
        self._left = PICTURE_BYTES
        if mode != "off":
            self.attempt(lambda: self._start(folder, mode, id, init))

    def _start(self, folder: Path, mode: WandbMode | None, id: str, init: RunInit) -> None:
        import wandb

        account = has_account()
        asked = mode or os.environ.get("WANDB_MODE") or ("online" if account else "offline")
        if asked == "online" and not account:
            print("W&B has no account here (`wandb login`): going offline", file=sys.stderr)
            asked = "offline"
        first = not any(folder.glob("wandb/*run-*"))
        if asked == "online":
            try:
                # Only online runs can be resumed; `wandb sync` joins offline parts by their id.
                self.run = start_run(folder, "online", id, init, resume=True)
                self.online = True
            except wandb.errors.CommError as error:
                print(f"W&B cannot be reached ({error}): going offline", file=sys.stderr)
        if self.run is None:
            self.run = start_run(folder, "offline", id, init)
        self.whole = first and not self.run.resumed

    def log(self, values: Values) -> None:
        if (run := self.run) is not None:
            self.attempt(lambda: run.log(values))

    def show(
        self, key: str, pictures: Sequence[Picture], classes: Sequence[str], step: int
    ) -> None:
        """Log pictures as long as the run has bytes left for them."""
        run = self.run

        def send() -> None:
            assert run is not None
            made, self._left = wandb_images(pictures, classes, self._left)
            if made:
                run.log({key: made, "step": step})

        if run is not None:
            self.attempt(send)

    def close(self, summary: Mapping[str, object] | None = None, failed: bool = False) -> None:
        run = self.run

        def finish() -> None:
            assert run is not None
            run.summary.update(dict(summary or {}))
            run.finish(exit_code=int(failed))

        if run is not None:
            self.attempt(finish)
        self.run = None

    def fail(self, reason: str) -> None:
        """End the run as failed."""
        self.close({"reason": reason}, failed=True)

    def attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # whatever W&B raises, training is worth more
            self.run = None
            print(f"W&B is left out from here: {error}", file=sys.stderr)


def has_account() -> bool:
    """Whether W&B finds a key, without asking its server or the user."""
    try:
        logins = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        logins = {}
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    return bool(os.environ.get("WANDB_API_KEY")) or host in logins


def content(config: Values, *facts: object) -> str:
    """Hash of all that a run shows but its pictures; said last of all, by a run that is whole."""
    return short_hash([FORM, config, *facts])


def content_of_trial(config: Values, shown: Values, curve: Curve) -> str:
    """The same of a trial, from training or from its result."""
    points = {"train": curve.train, "val": curve.val}
    return content(config, shown, points)


def init_of_trial(trial: TrialIdentity, group: str | None) -> RunInit:
    """The run of a trial.

    W&B itself writes the nested recipe as `recipe.lr` and so on, and groups by it.
    """
    recipe, tuned = trial.recipe, bool(trial.recipe and trial.recipe.tuning)
    words = [trial.model, f"seed {trial.seed}"]
    words += ["tuned"] if tuned else []
    words += [f"repeat {trial.repeat}"] if trial.repeat else []
    config: Values = {
        "model": trial.model,
        "seed": trial.seed,
        "repeat": trial.repeat,
        "init_seed": trial.init_seed,
        "data_seed": trial.data_seed,
        "recipe": asdict(recipe) if recipe else None,
        "protocol": {"split": trial.protocol.split, **trial.protocol.describe()},
        "identity": trial.id,
        "code": trial.hashes.code,
    }
    return RunInit(name=" ".join(words), group=group, job_type="trial", config=config)


def summary(result: TrialResult) -> Values:
    """Scores as `test/...`, costs and times, a number a key; or why the trial failed.

    Lists, as of bands along boundaries, stay in the result, and so do scores of single groups, of
    which a data set may have thousands.
    """
    if isinstance(result, FailedTrial):
        return {"reason": result.failure.reason}
    assert isinstance(result, FinishedTrial)
    parts = {"test": result.metrics, "cost": result.cost, "timing": result.timing}
    tree = {
        name: part.model_dump(mode="json", exclude={"groups"})
        for name, part in parts.items()
        if part is not None
    }
    return _flat(tree)


def _flat(tree: Mapping[str, object], above: str = "") -> Values:
    flat: Values = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}/")
        elif value is not None and not isinstance(value, list):
            flat[above + key] = value
    return flat
