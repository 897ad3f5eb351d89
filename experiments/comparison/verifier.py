"""Finished trials, trained again for their first steps, against the losses that they kept.

A few per cent of a trial's work show whether the present code still gives its numbers: all that
follows comes from the same weights, batches and arithmetic.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from experiments import __version__
from experiments.training.trial_request import Resources, request_of
from experiments.trials.code_hash import code_hash
from experiments.trials.environment import is_main_node, trial_environment
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import finished, write_record
from experiments.trials.trial import Trial
from experiments.trials.verification import (
    VERIFICATION,
    FirstSteps,
    LossComparison,
    Verification,
)

MARGIN = 3  # times the measured noise that losses of other hardware may be apart


def verify(
    results: Sequence[TrialResult], root: Path | None, num_steps: int
) -> Iterator[tuple[FinishedTrial, Verification]]:
    """Train each finished trial of ours again, and leave beside its result what came out.

    Args:
        root: folder of the data set.
        num_steps: at most so many; a shorter trial is trained again whole.

    Raises:
        ValueError: a trial that cannot be trained again, or keeps no loss of so few steps.
    """
    if num_steps < 1:
        raise ValueError(f"{num_steps} steps verify nothing: give at least 1")
    if not is_main_node():
        return
    for result in finished(results):
        if result.recipe is None or result.checkpoint is not None:
            continue  # of weights or label maps from elsewhere, which nobody trained here
        verification = _verified(result, root, num_steps)
        write_record(result.path.with_name(VERIFICATION), verification)
        yield result, verification


def say_verified(
    results: Sequence[TrialResult], root: Path | None, num_steps: int, console: Console
) -> list[str]:
    """Verify, say of each finished trial whether it holds, and return what to say of the others."""
    complaints = []
    for result, verification in verify(results, root, num_steps):
        line = f"{result.label} seed {result.seed}: {verification}"
        console.print(f"verified: {line}", soft_wrap=True)
        if verification.outcome == "different":
            complaints.append(f"{line}: this code does not give it")
    return complaints


def _verified(result: FinishedTrial, root: Path | None, num_steps: int) -> Verification:
    assert result.recipe is not None
    kept = kept_losses(result, num_steps)
    if not kept:
        first = min((step for step, _ in result.curve.train), default=None)
        need = f"ask for at least {first}" if first else "run it again"
        raise ValueError(f"{result.path} keeps no loss of the first {num_steps} steps: {need}")
    again = _train_again(result, root, max(kept), perturbed=False)
    noise: list[float] = []
    if _differing(kept, again.losses) and not again.same_hardware(result.environment):
        other = _train_again(result, root, max(kept), perturbed=True)
        noise = [abs(a - b) for a, b in zip(again.losses, other.losses, strict=True)]
    return Verification(
        code=code_hash(result.model, result.recipe.data),
        version=__version__,
        **dict(compare_losses(kept, again.losses, noise)),
        hardware=again.environment.hardware or "unknown",
    )


def kept_losses(result: FinishedTrial, num_steps: int) -> dict[int, float]:
    """By step, from 1: of every one of the first steps, or what the curve has of them."""
    kept = {step: loss for step, loss in result.curve.train if step <= num_steps}
    return kept | dict(enumerate(result.curve.first_losses[:num_steps], 1))


def compare_losses(
    kept: Mapping[int, float], again: Sequence[float], noise: Sequence[float]
) -> LossComparison:
    """What the losses say of each other.

    Args:
        kept: by step, from 1.
        again: of the same steps trained again, from step 1.
        noise: by how much rounding alone moves each of them; empty where nothing may.
    """
    differing = _differing(kept, again)
    bounds = [MARGIN * most for most in accumulate(noise, max)]
    within = bool(noise) and all(
        abs(kept[step] - again[step - 1]) <= bounds[step - 1] for step in differing
    )
    apart = (abs(kept[step] - again[step - 1]) / max(abs(kept[step]), 1e-12) for step in kept)
    return LossComparison(
        steps=max(kept),
        num_losses=len(kept),
        outcome="equal" if not differing else "within noise" if within else "different",
        largest=max(apart),
        differs_from=min(differing, default=None),
    )


def _differing(kept: Mapping[int, float], again: Sequence[float]) -> list[int]:
    return [step for step, loss in kept.items() if loss != again[step - 1]]


def _train_again(
    result: FinishedTrial, root: Path | None, num_steps: int, perturbed: bool
) -> FirstSteps:
    """By a process of its own, with as many processes and threads as the trial had."""
    assert result.recipe is not None
    trial = Trial(result.recipe, result.model, result.seed, Path(), request=result.request)
    resources = Resources(data_root=root, devices=result.environment.processes, wandb="off")
    command = [*request_of(trial, resources).arguments(), "--first-losses", str(num_steps)]
    threads = result.environment.threads or 1
    done = subprocess.run(
        [sys.executable, "-m", "experiments.run", *command, *["--perturb"] * perturbed],
        env={**trial_environment(1, threads), "OMP_NUM_THREADS": str(threads)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.strip().splitlines()
    try:
        return FirstSteps.model_validate_json(lines[-1] if lines else "")
    except ValidationError:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ValueError(f"{result.path} cannot be trained again: {reason}") from None
