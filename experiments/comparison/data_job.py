"""A data set read on a cluster before its trials: one job checks it, one writes a decoded copy."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from datamodules.validation.check import is_checked
from experiments.engines.job import Job, ProcessState
from experiments.trials.recipe import Recipe


@dataclass
class DataJob(Job):
    """`experiments.data` for the splits of a recipe.

    Attributes:
        what: `check` or `cache`.
        out: folder of the comparison.
    """

    module: ClassVar[str] = "experiments.data"
    what: str
    recipe: Recipe
    root: Path | None
    out: Path
    state: ProcessState = ProcessState.WAITING
    note: str = ""
    started: float = 0.0
    fraction: float = 0.0
    resumed: float | None = None
    log_start: int = 0

    @property
    def name(self) -> str:
        return f"{self.recipe.data} {self.what}"

    @property
    def folder(self) -> Path:
        return self.out / f"data-{self.what}"

    @property
    def arguments(self) -> list[str]:  # type: ignore[override]  # nobody else sets them
        found = [self.what, self.recipe.data]
        found += [] if self.root is None else ["--data-root", str(self.root)]
        for split in self.splits:
            found += ["--split", split]
        return found

    @property
    def splits(self) -> list[str]:
        recipe = self.recipe
        return list(dict.fromkeys((recipe.train_split, recipe.val_split, recipe.test_split)))

    def settle(self) -> bool:
        """A check is its own result; whether a copy is there, its exit status says."""
        if self.what == "check" and is_checked(self.recipe.data, self.root, self.splits):
            self.end(0)
            return True
        return False

    def end(self, status: int) -> None:
        self.fraction = self.resumed = 1.0
        self.state = ProcessState.FAILED if status else ProcessState.DONE
        self.note = self.last_line(status) if status else ""

    def renew(self) -> None:
        self.log.unlink(missing_ok=True)

    def lose(self, reason: str) -> None:
        self.end(1)
        self.note = reason
