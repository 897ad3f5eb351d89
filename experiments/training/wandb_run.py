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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from datamodules.labels import IGNORE, UInt8
from experiments.trials.hashing import short_hash
from experiments.trials.trial import Trial

PROJECT = "segmentation-lab"
FORM = 1  # of what is sent; raised when that changes, so that runs of the old form are replaced
FINISH_SECONDS = 120  # a process waits so long for its upload; `wandb_mirror` makes up for the rest
SIDE = 512  # pixels that a picture's longer side has at most
PICTURE_BYTES = 2_000_000  # of a run: panels of some dozen validations


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
) -> tuple[list[Any], int]:
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


def start_run(folder: Path, mode: Literal["online", "offline"], **init: Any) -> Any:
    """A W&B run whose curves have `step` as abscissa; its files go below `folder`."""
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, disable_git=True, init_timeout=30, finish_timeout=FINISH_SECONDS
    )
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(mode=mode, project=PROJECT, dir=folder, settings=settings, **init)
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return run


class Mirror:
    """One W&B run, to which nothing is sent any more after its first error.

    Args:
        mode: online, offline, off, or None to go online where there is an account.
        init: what `wandb.init` takes; its id names the run for ever.

    Attributes:
        online: whether pictures are sent; offline they would fill disks unseen.
        whole: whether this is the run's only part. A later part repeats the steps since the last
            checkpoint, and lacks what a kill left unsent.
    """

    def __init__(self, folder: Path, mode: str | None, **init: Any) -> None:
        self.run: Any = None
        self.config: dict[str, Any] = init.get("config", {})
        self.online = self.whole = False
        self._left = PICTURE_BYTES
        if mode != "off":
            self.attempt(lambda: self._start(folder, mode, init))

    def _start(self, folder: Path, mode: str | None, init: dict[str, Any]) -> None:
        import wandb

        account = has_account()
        mode = mode or os.environ.get("WANDB_MODE") or ("online" if account else "offline")
        if mode == "online" and not account:
            print("W&B has no account here (`wandb login`): going offline", file=sys.stderr)
            mode = "offline"
        first = not any(folder.glob("wandb/*run-*"))
        if mode == "online":
            try:
                # Only online runs can be resumed; `wandb sync` joins offline parts by their id.
                self.run = start_run(folder, "online", resume="allow", **init)
                self.online = True
            except wandb.errors.CommError as error:
                print(f"W&B cannot be reached ({error}): going offline", file=sys.stderr)
        if not self.online:
            self.run = start_run(folder, "offline", **init)
        self.whole = first and not self.run.resumed

    def log(self, values: dict[str, Any]) -> None:
        if self.run:
            self.attempt(lambda: self.run.log(values))

    def show(
        self, key: str, pictures: Sequence[Picture], classes: Sequence[str], step: int
    ) -> None:
        """Log pictures as long as the run has bytes left for them."""

        def send() -> None:
            made, self._left = wandb_images(pictures, classes, self._left)
            if made:
                self.run.log({key: made, "step": step})

        if self.run:
            self.attempt(send)

    def close(self, summary: dict[str, Any] | None = None, failed: bool = False) -> None:
        def finish() -> None:
            self.run.summary.update(summary or {})
            self.run.finish(exit_code=int(failed))

        if self.run:
            self.attempt(finish)
        self.run = None

    def attempt(self, action: Callable[[], Any]) -> None:
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


def content(config: dict[str, Any], *facts: object) -> str:
    """Hash of all that a run shows but its pictures; said last of all, by a run that is whole."""
    return short_hash([FORM, config, *facts])


def trial_id(record: dict[str, Any]) -> str:
    """`Trial.id`, from a result."""
    again = [record["repeat"]] if record.get("repeat") else []
    return short_hash([record["hashes"]["recipe"], record["model"], record["seed"], *again])


def trial_run(record: dict[str, Any], group: str | None) -> dict[str, Any]:
    """What `wandb.init` takes for a trial, but the id.

    W&B itself writes the nested recipe as `recipe.lr` and so on, and groups by it.
    """
    keys = ("model", "seed", "repeat", "init_seed", "data_seed", "recipe", "protocol")
    config = {key: record.get(key) for key in keys}
    config |= {"identity": trial_id(record), "code": record["hashes"]["code"]}
    words = [record["model"], f"seed {record['seed']}"]
    words += ["tuned"] if record["recipe"].get("tuned") else []
    words += [f"repeat {record['repeat']}"] if record.get("repeat") else []
    return {"name": " ".join(words), "group": group, "job_type": "trial", "config": config}


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """Scores as `test/...`, costs and times, a number a key; or why the trial failed.

    Lists, as of bands along boundaries, stay in the result, and so do scores of single groups, of
    which a data set may have thousands.
    """
    if record.get("reason"):
        return {"reason": record["reason"]}
    scores = {key: value for key, value in record["metrics"].items() if key != "groups"}
    return _flat({"test": scores, "cost": record["cost"], "timing": record["timing"]})


def _flat(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{key}/")
        elif value is not None and not isinstance(value, list):
            flat[above + key] = value
    return flat


def of_trial(trial: Trial, group: str | None, mode: str | None) -> Mirror:
    return Mirror(trial.folder, mode, id=trial.id(), **trial_run(trial.identity(), group))
