"""Which results the present code still gives: those that it made, and those that were verified.

`experiments.verify` trains a finished trial again for its first steps and leaves what came out
beside the result.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from experiments.trials.code_hash import code_hash
from experiments.trials.result_types import Environment, FinishedTrial, Record, TrialResult
from experiments.trials.results import finished, read_record

VERIFICATION = "verification.json"

Outcome = Literal["equal", "within noise", "different"]


class LossComparison(Record):
    """How the first losses of a trial, trained again, compare with those that it kept.

    Attributes:
        steps: the step of the last loss that was compared, from 1.
        num_losses: losses that were compared: every one of the first steps, or as many as an older
            result kept of them.
        outcome: equal to the bit, within the noise of other hardware, or different.
        largest: relative difference of two losses, of the step where they differ most.
        differs_from: the first step whose loss is another; None where all are equal.
    """

    steps: int
    num_losses: int
    outcome: Outcome
    largest: float
    differs_from: int | None

    def __str__(self) -> str:
        losses = f"{self.num_losses} losses of the first {self.steps} steps"
        if self.outcome == "equal":
            return f"equal to the bit ({losses})"
        if self.outcome == "within noise":
            return f"equal within the hardware's noise ({losses}, at most {self.largest:.1e} apart)"
        return f"different from step {self.differs_from} on ({losses}, up to {self.largest:.1e})"


class Verification(LossComparison):
    """A comparison of losses with what trained again: code by its hash, version, hardware."""

    code: str
    version: str
    hardware: str


class FirstSteps(Record):
    """The loss of every one of a trial's first steps, and where they were trained."""

    losses: tuple[float, ...]
    environment: Environment

    def same_hardware(self, other: Environment) -> bool:
        """Whether nothing but the code can have moved a bit, as far as `other` tells."""
        ours = self.environment
        known = None not in (other.hardware, other.threads, other.torch)
        same = (ours.hardware, ours.threads, ours.torch, ours.processes)
        return known and same == (other.hardware, other.threads, other.torch, other.processes)


def read_verification(result: FinishedTrial) -> Verification | None:
    """What verifying this result gave last; None where nobody did.

    Raises:
        ValueError: a damaged file.
    """
    remedy = "delete it, and run experiments.verify again"
    return read_record(result.path.parent / VERIFICATION, Verification, remedy)


def verified(results: Iterable[TrialResult]) -> dict[Path, Verification]:
    """Verifications that hold under the present code, by the path of the result."""
    found = {}
    for result in finished(results):
        verification = read_verification(result)
        if (
            verification is not None
            and verification.outcome != "different"
            and verification.code == _code_hash_now(result)
        ):
            found[result.path] = verification
    return found


def stale_results(results: Iterable[TrialResult]) -> set[Path]:
    """Paths of finished results that other code made and nobody verified under the present one."""
    results = list(results)
    held = verified(results)
    return {
        result.path
        for result in finished(results)
        if result.hashes.code not in (None, _code_hash_now(result)) and result.path not in held
    }


def _code_hash_now(result: FinishedTrial) -> str | None:
    if result.recipe is None:
        return None
    try:
        return code_hash(result.model, result.recipe.data)
    except (KeyError, ValueError):  # a network or data set that is no more
        return None
