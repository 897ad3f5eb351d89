"""Weights & Biases: a mirror of what the results hold, that never stops or delays a run."""

WANDB_HELP = "where W&B runs go; default: online with an account, else offline"


def loggers(*_: object) -> list[object]:
    return []
