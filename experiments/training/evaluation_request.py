"""What an evaluation is asked for, as `evaluate` reads it from its command line, without work."""

from dataclasses import dataclass
from pathlib import Path

from experiments.trials.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """Which weights predict which images, and how; None for what the trial tells.

    Attributes:
        checkpoint: a trial's folder, or a file of weights.
        network: with its options.
        add: a comparison that the result is shown with.
    """

    checkpoint: Path
    protocol: Protocol
    network: str | None = None
    data: str | None = None
    data_root: Path | None = None
    split: str | None = None
    precision: str | None = None
    out: Path | None = None
    add: Path | None = None
