"""What is known on disk of jobs in the queue of SLURM: which were sent, and how they ended."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from experiments.engines.job import Job
from experiments.trials.hashing import short_hash
from experiments.trials.results import read_record, write_record
from experiments.trials.signals import GOES_ON

_AGAIN = "delete it, and the jobs that are in the queue with scancel"


class Submission(BaseModel):
    """One job in the queue.

    Attributes:
        id: as the queue shows it, `12_3` of an array.
        attempts: times that it was sent, as it vanished.
        gone: when it was first seen to have left the queue without a result, in seconds since 1970.
    """

    id: str
    attempts: int = 1
    gone: float | None = None


class Submissions(BaseModel):
    """All jobs that were sent, by the folder of each."""

    jobs: dict[str, Submission] = {}


class Ended(BaseModel):
    """What a job said last, and the job that said it."""

    status: int
    reason: str
    job: str | None

    @property
    def final(self) -> bool:
        """Whether nothing sends it back to the queue."""
        return self.status != GOES_ON or bool(self.reason)


class SlurmRecords:
    """Files of one folder, which a later command reads as well.

    Reading raises ValueError where a file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "submissions.json"

    @property
    def new(self) -> bool:
        """Whether nothing was ever sent."""
        return not self._path.exists()

    def sent(self) -> dict[Path, Submission]:
        """What is known of jobs, by the folder of each."""
        kept = read_record(self._path, Submissions, _AGAIN)
        return {} if kept is None else {Path(folder): one for folder, one in kept.jobs.items()}

    def note(self, jobs: Mapping[Path, Submission | None]) -> None:
        """Keep what is now known of some jobs, by their folders; None to know nothing."""
        known = {**self.sent(), **jobs}
        kept = {str(folder): sent for folder, sent in known.items() if sent is not None}
        write_record(self._path, Submissions(jobs=kept))

    def ended_path(self, job: Job) -> Path:
        """Where a job says how it ended."""
        return (self.folder / f"{short_hash(str(job.folder))}.json").absolute()

    def ended(self, job: Job, sent: Submission) -> Ended | None:
        """How a job ended; None where it has not said so, or one that was sent before it has."""
        try:
            said = read_record(self.ended_path(job), Ended)
        except ValueError:  # a damaged one says nothing, as if it were not there
            return None
        return said if said is not None and said.job == sent.id else None
