"""Weights & Biases: a mirror of what the result files hold, that never stops or delays a run.

Online with an account, offline without one; an error of W&B is said once, and the run goes on.
"""

import netrc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.rows import COLUMNS, rows
from experiments.store import Result
from experiments.trial import Trial

PROJECT = "segmentation-lab"


class Mirror:
    """One W&B run, to which nothing is sent any more after its first error.

    Args:
        folder: where offline files go, below `wandb`.
        mode: online, offline, off, or None to go online where there is an account.
        init: what `wandb.init` takes; its id names the run for ever.
    """

    def __init__(self, folder: Path, mode: str | None, **init: Any) -> None:
        self.run: Any = None
        if mode != "off":
            self._try(lambda: self._start(folder, mode, init))

    def _start(self, folder: Path, mode: str | None, init: dict[str, Any]) -> None:
        import wandb

        account = _has_account()
        mode = mode or os.environ.get("WANDB_MODE") or ("online" if account else "offline")
        if mode == "online" and not account:
            print("W&B has no account here (`wandb login`): going offline", file=sys.stderr)
            mode = "offline"
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(console="off", silent=True, init_timeout=30, disable_git=True)
        init = {**init, "project": PROJECT, "dir": folder, "settings": settings}
        try:
            # Only online runs can be resumed; `wandb sync` joins offline parts by their id.
            self.run = wandb.init(
                mode="online" if mode == "online" else "offline",
                resume="allow" if mode == "online" else None,
                **init,
            )
        except wandb.errors.CommError as error:
            print(f"W&B cannot be reached ({error}): going offline", file=sys.stderr)
            self.run = wandb.init(mode="offline", **init)
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def log(self, values: dict[str, Any]) -> None:
        self._try(lambda: self.run.log(values) if self.run else None)

    def images(self, key: str, make: Callable[[Any], list[Any]], step: int) -> None:
        """Log pictures that `make(wandb)` builds."""

        def send() -> None:
            import wandb

            self.run.log({key: make(wandb), "step": step})

        if self.run:
            self._try(send)

    def close(self, summary: dict[str, Any] | None = None) -> None:
        def finish() -> None:
            self.run.summary.update(summary or {})
            self.run.finish()

        if self.run:
            self._try(finish)
        self.run = None

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # whatever W&B raises, training is worth more
            self.run = None
            print(f"W&B is left out from here: {error}", file=sys.stderr)


def _has_account() -> bool:
    """Whether W&B finds a key, without asking its server or the user."""
    try:
        logins = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        logins = {}
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    return bool(os.environ.get("WANDB_API_KEY")) or host in logins


def of_trial(trial: Trial, group: str | None, mode: str | None) -> Mirror:
    name = f"{trial.model} seed {trial.seed}"
    identity = trial.identity()
    return Mirror(
        trial.folder, mode, id=trial.id(), name=name, group=group, job_type="trial", config=identity
    )


def comparison(results: list[Result], folder: Path, group: str, mode: str | None) -> None:
    """The comparison's own run: its table, and accuracy against cost."""
    done = [result for result in results if result.done]
    config = {"recipe": done[0]["recipe"], "models": [r["model"] for r in done]}
    name = f"comparison {group}"
    mirror = Mirror(
        folder, mode, id=group, name=name, group=group, job_type="comparison", config=config
    )

    def send() -> None:
        import wandb

        columns: list[str | int] = ["model", "init", "seeds", *COLUMNS]
        data: list[Any] = [[r.model, r.init, len(r.seeds), *r.numbers()] for r in rows(done)]
        shown = wandb.Table(columns=columns, data=data)
        plot = wandb.plot.scatter(shown, "GMACs", "mIoU %", title="accuracy against cost")
        mirror.run.log({"comparison": shown, "accuracy against cost": plot})

    if mirror.run:
        mirror._try(send)
    mirror.close()
