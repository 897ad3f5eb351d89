"""A search for a network's own learning rate and weight decay, as a value of its recipe."""

import dataclasses
from dataclasses import dataclass

from experiments.trials.value_checks import MAX_SEED, is_number, is_text, is_whole


@dataclass(frozen=True, kw_only=True)
class TuningBudget:
    """A search for a network's own `lr` and `weight_decay`, the same for every network.

    Candidates are `num_trials` points of a low-discrepancy sequence, log-uniform from
    value / span to value * span around the recipe's own values, which are the first of them.

    Attributes:
        seed: of every candidate.
        steps: of every candidate.
        train_split, select_split: what candidates train on, and where their mIoU is compared.
    """

    num_trials: int
    seed: int
    lr: float
    weight_decay: float
    span: float
    steps: int
    train_split: str
    select_split: str

    def __post_init__(self) -> None:
        checks = {
            "num_trials": is_whole(self.num_trials, 1),
            "seed": is_whole(self.seed, 0, MAX_SEED),
            "lr": is_number(self.lr) and self.lr > 0,
            "weight_decay": is_number(self.weight_decay, 0),
            "span": is_number(self.span, 1),
            "steps": is_whole(self.steps, 1),
            "train_split": is_text(self.train_split),
            "select_split": is_text(self.select_split),
        }
        for field, fine in checks.items():
            if not fine:
                raise ValueError(
                    f"the search for lr and weight_decay has {field} {getattr(self, field)!r}, "
                    "with which nothing can be searched: ask for it with --tune N"
                )

    def __str__(self) -> str:
        ranges = [
            f"{name} {value / self.span:.3g} to {value * self.span:.3g}"
            for name, value in (("lr", self.lr), ("weight_decay", self.weight_decay))
        ]
        return (
            f"{self.num_trials} trials with seed {self.seed}; {' and '.join(ranges)}, log-uniform "
            f"by a Halton sequence, the recipe's own first; {self.steps} steps each on "
            f"{self.train_split}; highest mIoU on {self.select_split}"
        )

    def difference(self, other: "TuningBudget") -> str:
        """The fields in which two searches are not the same, with both values."""
        ours, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return "; ".join(
            f"{name}: {value} against {theirs[name]}"
            for name, value in ours.items()
            if value != theirs[name]
        )
