"""SLURM, through submitit: arrays of jobs, watched by what they leave and by the queue.

Nothing waits for accounting, which many clusters do not keep: a result on disk comes first, the
queue second. A job that has left the queue without a result is lost, and sent again.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.engines.job import Job, ProcessState
from experiments.engines.request import EngineRequest, JobSize
from experiments.engines.slurm_queue import QueuedJob, cancel, check_slurm, queued
from experiments.engines.slurm_records import SlurmRecords, Submission
from experiments.engines.slurm_settings import SlurmSettings, slurm_settings
from experiments.engines.slurm_submission import check_shared, submit


class SlurmEngine:
    """Jobs of a cluster.

    Attributes:
        folder: what was submitted, with submitit's own logs; shared by all nodes.
    """

    interval = 2.0

    def __init__(self, settings: SlurmSettings, size: JobSize, folder: Path) -> None:
        self.settings, self.size, self.folder = settings, size, folder
        self.ends_jobs = settings.cancel
        self.records = SlurmRecords(folder)
        self._jobs: list[Job] = []

    @classmethod
    def open(cls, request: EngineRequest, size: JobSize, folder: Path) -> "SlurmEngine":
        """
        Raises:
            ValueError: submitit or SLURM is not there, or a setting does not fit.
        """
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise ValueError(
                "--engine slurm needs submitit: install it with pip install -e .[slurm]"
            ) from None
        settings = slurm_settings(dict(request.settings))
        check_slurm()
        return cls(settings, size, folder)

    def submit(self, jobs: Sequence[Job], after: str = "") -> None:
        """Send what is not in the queue, and take up what is.

        Args:
            after: what has to have ended first, as `afterok:12`.
        """
        self._jobs = [*jobs]
        live, known = queued(), self.records.sent()
        fresh = [job for job in jobs if self._is_fresh(job, known.get(job.folder), live)]
        if fresh and self.records.new:
            check_shared(self.settings, self.folder)
        for job in fresh:
            job.renew()
            self.records.ended_path(job).unlink(missing_ok=True)
        self._send(dict.fromkeys((job.folder for job in fresh), 1), after)
        self.poll()

    def _is_fresh(self, job: Job, sent: Submission | None, live: Mapping[str, QueuedJob]) -> bool:
        """Whether a job is to be sent: nobody has, or its last end is known and done with, also
        where the queue has not noticed yet."""
        if sent is None:
            return True
        if job.settle() and job.state is ProcessState.FAILED:  # which is to be done again
            job.state, job.note, job.fraction, job.resumed = ProcessState.WAITING, "", 0.0, None
            return True
        ended = self.records.ended(job, sent)
        return ended is not None and (ended.final or sent.id not in live)

    def poll(self) -> None:
        waiting = [job for job in self._jobs if not job.state.ended and not job.settle()]
        if not waiting:
            return
        try:
            live = queued()
        except OSError as error:  # which says nothing of any job
            for job in waiting:
                job.note = str(error)
            return
        known, lost = self.records.sent(), dict[Path, int]()
        for job in waiting:
            sent = known[job.folder]
            if sent.id in live:
                _show(job, sent.id, live[sent.id])
            elif self._has_gone(job, sent):
                lost[job.folder] = sent.attempts + 1
        self._send(lost)

    def _has_gone(self, job: Job, sent: Submission) -> bool:
        """Whether a job that left the queue without a result is to be sent again."""
        ended, now = self.records.ended(job, sent), time.time()
        if ended is not None and not ended.final:
            ended = None  # it has saved, and nothing has sent it back
        since = now if sent.gone is None else sent.gone
        self.records.note({job.folder: sent.model_copy(update={"gone": since})})
        # A result may come later than the queue's word, through the caches of a file system.
        if (ended is None or ended.status in (0, 1)) and now - since < self.settings.patience:
            job.note = f"job {sent.id} has left the queue; its result may still come"
            return False
        if ended is None and sent.attempts <= self.settings.retries:
            return True
        self.records.note({job.folder: None})
        if ended is None:
            job.lose(
                f"job {sent.id} left the queue without a result, as {sent.attempts - 1} before it: "
                f"{job.log} and {self.folder} have what was seen of it"
            )
        elif ended.reason:
            job.lose(f"{ended.reason}; the same command goes on from the last checkpoint")
        else:
            job.end(ended.status)
        return False

    def _send(self, attempts: Mapping[Path, int], after: str = "") -> None:
        """Submit jobs, by their folders, each for the so-manieth time.

        Raises:
            ValueError: SLURM refuses them; none is sent.
        """
        if not attempts:
            return
        from experiments.engines.slurm_task import SlurmTask

        jobs = [job for job in self._jobs if job.folder in attempts]
        tasks = [
            SlurmTask(
                module=job.module,
                arguments=job.arguments,
                folder=job.folder,
                ended=self.records.ended_path(job),
                requeues=self.settings.requeues,
                devices=self.size.devices,
            )
            for job in jobs
        ]
        ids = submit(tasks, self.settings, self.size, self.folder, after)
        self.records.note(
            {
                job.folder: Submission(id=id, attempts=attempts[job.folder])
                for job, id in zip(jobs, ids, strict=True)
            }
        )

    def cancel(self) -> None:
        self.forget([job for job in self._jobs if not job.state.ended])

    def forget(self, jobs: Sequence[Job]) -> None:
        """End jobs that are in the queue, and know nothing of them any more."""
        cancel(self._ids(jobs))
        self.records.note(dict.fromkeys((job.folder for job in jobs), None))
        for job in jobs:
            self.records.ended_path(job).unlink(missing_ok=True)
            if not job.state.ended:
                job.state = ProcessState.STOPPED

    def live(self) -> list[str]:
        """Ids of all jobs of the folder that the queue shows."""
        shown = queued()
        return [sent.id for sent in self.records.sent().values() if sent.id in shown]

    def id_of(self, job: Job) -> str:
        """Of a submitted job, as the queue shows it."""
        return self.records.sent()[job.folder].id

    def failed(self, job: Job) -> int:
        """The exit status of a job that nobody has waited for; 0 where it is none or unknown."""
        sent = self.records.sent().get(job.folder)
        ended = None if sent is None else self.records.ended(job, sent)
        return 0 if ended is None else ended.status

    def how_to_end(self) -> str:
        ids = self._ids([job for job in self._jobs if not job.state.ended])
        return " ".join(["scancel", *dict.fromkeys(id.partition("_")[0] for id in ids)])

    def _ids(self, jobs: Sequence[Job]) -> list[str]:
        known = self.records.sent()
        return [known[job.folder].id for job in jobs if job.folder in known]


def _show(job: Job, id: str, entry: QueuedJob) -> None:
    """Take over what the queue says of a job."""
    if entry.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"):
        job.state = ProcessState.WAITING
        job.note = f"job {id}" + (f" ({entry.reason})" if entry.reason not in ("", "None") else "")
        return
    if job.state is ProcessState.WAITING:
        job.started = time.monotonic()
    job.state, job.note = ProcessState.RUNNING, f"job {id} on {entry.nodes}"
    job.look_at_progress()
