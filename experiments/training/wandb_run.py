"""Weights & Biases: a mirror of what the result files hold, that never stops or delays a run.

Online with an account, offline without one; an error of W&B is said once, and the run goes on.
"""

import netrc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.training.wandb_content import RunInit, Values
from experiments.training.wandb_pictures import PICTURE_BYTES, Picture, wandb_images
from experiments.training.wandb_settings import asked_mode, files_folder, project
from experiments.trials.environment import WandbMode

if TYPE_CHECKING:  # it takes a second, and may be missing or off
    import wandb

FINISH_SECONDS = 120  # a process waits so long for its upload; `wandb_mirror` makes up for the rest


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
        project=project(),
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
        mode: None for what W&B's variables say, and online where there is an account if they say
            nothing.
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
        self.attempt(lambda: self._start(files_folder(folder), asked_mode(mode), id, init))

    def _start(self, folder: Path, mode: WandbMode | None, id: str, init: RunInit) -> None:
        if mode == "off":
            return
        import wandb

        account = has_account()
        asked = mode or ("online" if account else "offline")
        if asked == "online" and not account:
            print("W&B has no account here (`wandb login`): going offline", file=sys.stderr)
            asked = "offline"
        first = not any(folder.glob(f"wandb/*run-*-{id}"))
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
