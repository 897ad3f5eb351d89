"""What `score` is asked for, as it reads it from its command line, without work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ScoringRequest:
    """Predictions to score: folders of anybody's, or those that finished trials have kept.

    Attributes:
        data: data set with its options.
        ids: what the values are; None tells it from them.
        names: what tables call the folders; None takes the folders' own names.
        add: a comparison that the results are shown with.
        output: folder in which the results are kept.
        again: finished trials that are scored once more instead.
        audit: whether mIoU by other definitions is shown as well.
        allow_mixed: whether results that no table may share get tables of their own.
        jobs: processes.
    """

    folders: tuple[Path, ...] = ()
    data: str | None = None
    split: str = "test"
    data_root: Path | None = None
    ids: Literal["train", "label"] | None = None
    names: tuple[str, ...] | None = None
    add: Path | None = None
    output: Path | None = None
    again: Path | None = None
    audit: bool = False
    allow_mixed: bool = False
    jobs: int = 1

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ValueError: what came, what is needed.
        """
        new = self.folders or self.data or self.names or self.add or self.output or self.ids
        if self.again and new:
            raise ValueError(
                "--again takes predictions and data set from the results: give no others"
            )
        if not self.again and not (self.folders and self.data):
            raise ValueError("a DIR of predictions and --data, or --again with results, are needed")
