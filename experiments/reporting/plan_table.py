"""The trials of a comparison that is still to run, as a table for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from experiments.trials.trial import Trial

if TYPE_CHECKING:  # it brings torch
    from experiments.costs.training_estimate import TrainingEstimate


def plan_table(plan: Sequence[tuple[Trial, str, "TrainingEstimate"]]) -> Table:
    """Trials to come: state, and what each would take."""
    table = Table(title="plan", box=box.SIMPLE, pad_edge=False)
    table.add_column("trial", overflow="fold")
    for name in ("state", "params M", "GMACs a crop", "hours"):
        table.add_column(name, justify="right")
    for trial, state, estimate in plan:
        table.add_row(
            trial.name,
            state,
            f"{estimate.crop.params / 1e6:.2f}",
            f"{estimate.crop.gmacs:.2f}",
            f"{estimate.hours:.2g}",
        )
    return table
