"""Weights & Biases: a mirror of what the result files hold, that never stops or delays a run.

Online with an account, offline without one; an error of W&B is said once, and the run goes on.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import table
from experiments.store import Result
from experiments.trial import Trial

PROJECT = "segmentation-lab"
HELP = "W&B (default: online with an account, else offline)"
MODES = ("online", "offline", "off")


class Mirror:
    """One W&B run, to which nothing is sent any more after its first error.

    Args:
        id: names the run for ever: the same trial goes to the same run.
        mode: online, offline, off, or None to go online where there is an account.
    """

    def __init__(
        self, id: str, name: str, group: str | None, config: dict[str, Any], folder: Path,
        mode: str | None, job: str = "trial",
    ) -> None:  # fmt: skip
        self.run: Any = None
        if mode != "off":
            self._try(lambda: self._start(id, name, group, config, folder, mode, job))

    def _start(
        self, id: str, name: str, group: str | None, config: dict[str, Any], folder: Path,
        mode: str | None, job: str,
    ) -> None:  # fmt: skip
        import wandb

        mode = (
            mode or os.environ.get("WANDB_MODE") or ("online" if wandb.api.api_key else "offline")
        )
        if mode == "online" and not wandb.api.api_key:
            raise RuntimeError("no account: log in with `wandb login`, or use --wandb offline")
        folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=PROJECT,
            id=id,
            name=name,
            group=group,
            job_type=job,
            config=config,
            dir=folder,
            mode="online" if mode == "online" else "offline",
            resume="allow" if mode == "online" else None,  # offline runs cannot resume; sync merges
            settings=wandb.Settings(console="off", silent=True, init_timeout=30, disable_git=True),
        )
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


def of_trial(trial: Trial, group: str | None, mode: str | None) -> Mirror:
    config = {**trial.identity(), "model": trial.model}
    name = f"{trial.model} seed {trial.seed}"
    return Mirror(trial.id(), name, group, config, trial.folder, mode)


def comparison(results: list[Result], folder: Path, group: str, mode: str | None) -> None:
    """The comparison's own run: its table, and accuracy against cost."""
    done = [result for result in results if result.done]
    config = {"recipe": done[0]["recipe"], "models": [r["model"] for r in done]}
    mirror = Mirror(group, f"comparison {group}", group, config, folder, mode, "comparison")

    def send() -> None:
        import wandb

        columns: list[str | int] = ["model", "seeds", *table.COLUMNS]
        data: list[Any] = [[r.model, len(r.seeds), *r.numbers()] for r in table.rows(done)]
        shown = wandb.Table(columns=columns, data=data)
        mirror.run.log(
            {
                "comparison": shown,
                "accuracy against cost": wandb.plot.scatter(
                    shown, "GMACs", "mIoU %", title="accuracy against cost"
                ),
            }
        )

    if mirror.run:
        mirror._try(send)
    mirror.close()
