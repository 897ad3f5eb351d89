"""What the user asks of Weights & Biases: by a flag, else by W&B's own variables.

`WANDB_MODE` and `WANDB_DISABLED` say whether runs are sent, `WANDB_PROJECT` and `WANDB_ENTITY`
whereto, `WANDB_DIR` where their files go. W&B's client itself reads the rest, as the key.
"""

import os
from pathlib import Path

from experiments.trials.environment import WandbMode

PROJECT = "segmentation-lab"
_MODES: dict[str, WandbMode] = {
    "online": "online",
    "run": "online",  # as W&B called it once
    "shared": "online",  # one process tells of a run here, so that there is nothing to share
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "off",
}


def asked_mode(flag: WandbMode | None) -> WandbMode | None:
    """The flag's, else what W&B's variables say; None leaves it to whether there is an account.

    Raises:
        ValueError: a `WANDB_MODE` that is none.
    """
    if flag is not None:
        return flag
    if os.environ.get("WANDB_DISABLED", "").strip().lower() in ("1", "true", "yes", "on"):
        return "off"
    said = os.environ.get("WANDB_MODE", "").strip()
    if said and said.lower() not in _MODES:
        raise ValueError(f"WANDB_MODE is {said!r}: set it to {', '.join(_MODES)}, or unset it")
    return _MODES.get(said.lower())


def project() -> str:
    return os.environ.get("WANDB_PROJECT", "").strip() or PROJECT


def project_path() -> str:
    """The project with its entity; without one it is the account's own."""
    entity = os.environ.get("WANDB_ENTITY", "").strip()
    return f"{entity}/{project()}" if entity else project()


def files_folder(folder: Path) -> Path:
    """Where a run's files go, in a folder `wandb`: `folder`, unless the user names another."""
    return Path(os.environ.get("WANDB_DIR", "").strip() or folder)
