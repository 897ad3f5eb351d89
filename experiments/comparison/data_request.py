"""What `experiments.data check` and `cache` are asked for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from datamodules.image_files import cache_home
from experiments.engines.request import EngineRequest


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """Splits to be read.

    Attributes:
        spec: data set with its options.
        splits: None for all that are there.
        again: whether what has not changed is read, too.
        deep: whether it is compared with what is kept, too.
        rebuild: whether copies that are stale or damaged are written anew.
        jobs: processes of a machine; None for one a core.
        engine: what reads, in parts where that is not this machine.
        parts: how many; None for one a thousand images.
        part: the number of the only part to read, and that of all.
        checks: where parts of a check are left, and read where none is to be checked.
        copies: folder of the decoded copies of which the part is one's; None for the usual one.
        lay_out: whether copies are only laid out, for parts that are written by hand.
    """

    spec: str
    root: Path | None
    splits: tuple[str, ...] | None = None
    again: bool = False
    deep: bool = False
    rebuild: bool = False
    jobs: int | None = None
    engine: EngineRequest = field(default_factory=EngineRequest)
    parts: int | None = None
    part: tuple[int, int] | None = None
    checks: Path | None = None
    copies: Path | None = None
    lay_out: bool = False

    @cached_property
    def parts_folder(self) -> Path:
        """Where parts of a check lie, on a disk that all machines share."""
        named = repr((self.spec, self.root and self.root.resolve(), self.splits))
        name = hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()[:16]
        return (self.checks or cache_home() / "checks" / f"{name}.parts").absolute()

    def arguments_of(self, splits: Sequence[str]) -> list[str]:
        """Of a command for some of the splits."""
        root = [] if self.root is None else ["--data-root", str(self.root.absolute())]
        jobs = [] if self.jobs is None else ["--jobs", str(self.jobs)]
        named = [text for split in splits for text in ("--split", split)]
        return [self.spec, *root, *named, *jobs]

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ValueError: what came, what is needed.
        """
        if self.engine.local and self.parts:
            raise ValueError(
                "--parts is for --engine slurm or ray: by hand each is done with --part 1/16"
            )
        if self.part and (not self.engine.local or self.rebuild or self.lay_out):
            raise ValueError(
                "--part does one part here: leave --engine, --rebuild and --lay-out to the call "
                "for all of it"
            )
        if self.lay_out and not self.engine.local:
            raise ValueError(f"--lay-out is for parts by hand: --engine {self.engine.name} does it")
        if self.copies and not self.part:
            raise ValueError("--copies is of a --part: whole copies lie where they are looked for")
