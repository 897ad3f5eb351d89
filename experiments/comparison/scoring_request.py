"""What `score` is asked for, as it reads it from its command line, without work."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.engines.request import EngineRequest

MANY = 100_000  # images, above which nothing is made that holds the counts of all in memory


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
        jobs: processes of a machine; None for one a core.
        engine: what counts the predictions, in parts where that is not this machine.
        parts: how many; None for one a thousand images.
        part: the number of the only part to count, and that of all.
        counts: where parts are left, and read where none is to be counted.
        reading: what the values of a part's files are, once that is known of all files.
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
    jobs: int | None = None
    engine: EngineRequest = field(default_factory=EngineRequest)
    parts: int | None = None
    part: tuple[int, int] | None = None
    counts: Path | None = None
    reading: Literal["train", "label", "colour"] | None = None

    @property
    def processes(self) -> int:
        """On this machine."""
        return self.jobs or os.cpu_count() or 1

    @property
    def in_parts(self) -> bool:
        return not self.engine.local or self.counts is not None

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
        if self.again and (self.in_parts or self.parts or self.part):
            raise ValueError("--again scores on this machine: --engine and parts are for a DIR")
        self._check_parts()

    def _check_parts(self) -> None:
        if self.engine.local and self.parts:
            raise ValueError(
                "--parts is for --engine slurm or ray: by hand each is counted with --part 1/16 "
                "and --counts"
            )
        if self.part and (not self.counts or not self.engine.local or self.output or self.add):
            raise ValueError(
                "--part counts one part here and leaves it in --counts FOLDER: leave --engine, "
                "--output and --add to the call that has the counts of all parts"
            )
        if self.reading and not self.part:
            raise ValueError("--reading is of a --part: for all files say it with --ids")
        if not self.engine.local and not self.output:
            raise ValueError(
                f"--engine {self.engine.name} needs --output, a folder that all machines share"
            )
