"""Runs jobs as tasks of Ray: on one machine, on a cluster by its address, on Kubernetes.

Ray's own retries are off: a job that was lost goes on from what it has saved.
"""

import importlib.util
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.engines.job import Job, ProcessState
from experiments.engines.ray_process import Driver
from experiments.engines.ray_settings import RaySettings, ray_settings
from experiments.engines.ray_task import Ended, Lost, Ready, Refused, Started, Work
from experiments.engines.request import EngineRequest, JobSize
from experiments.trials.code_hash import module_hash
from experiments.trials.command_line import complain
from experiments.trials.signals import GOES_ON

PAUSE = 5.0  # seconds until a lost job is sent again: what was left of it has ended by then
_VARIABLES = ("OMP_NUM_THREADS", "WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY")  # handed on


@dataclass
class _Sent:
    """A job, how often it was lost or told to end, and when it is to be sent (again)."""

    job: Job
    lost: int = 0
    requeued: int = 0
    due: float | None = 0.0  # by the monotonic clock; None for one that a driver has


class RayEngine:
    """Tasks of Ray, one a job, which end with this process."""

    interval, ends_jobs = 0.5, True

    def __init__(self, settings: RaySettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self._driver: Driver | None = None
        self._jobs: dict[int, _Sent] = {}  # that have not ended
        self._count = 0
        self._gone: float | None = None  # since when there is no cluster
        self._again = 0.0  # when one is looked for then

    @classmethod
    def open(cls, request: EngineRequest, size: JobSize, folder: Path) -> "RayEngine":
        """An engine with a cluster that can run jobs of this size.

        Raises:
            ValueError: no library, no cluster, no node that is large enough, or a setting that
                does not fit.
        """
        if request.detach:
            raise ValueError(
                "--detach is for --engine slurm: tasks of Ray end with the command that submits "
                "them, so start that with nohup, or as a job of the cluster by `ray job submit "
                "--no-wait -- python -m ...`"
            )
        if size.num_nodes > 1:
            raise ValueError(
                f"--num-nodes is {size.num_nodes}: a task of Ray runs on one node; train one "
                "trial over several by --engine slurm"
            )
        settings = ray_settings(dict(request.settings), size)
        if importlib.util.find_spec("ray") is None:
            raise ValueError(
                "--engine ray needs Ray, which is not installed: pip install -e .[ray]"
            )
        engine = cls(settings, folder)
        engine._connect()
        return engine

    def _connect(self) -> None:
        self._driver = driver = Driver(self.settings, self.folder)
        while (answer := driver.answer()) is None:
            time.sleep(0.05)
        if isinstance(answer, Refused):
            self._disconnect()
            driver.forget()
            raise ValueError(answer.reason)
        if answer.remark:
            complain(answer.remark)

    def _disconnect(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    def submit(self, jobs: Sequence[Job]) -> None:
        if self._driver is None:
            self._connect()
        for job in jobs:
            job.renew()
        for job in jobs:
            self._jobs[self._count] = _Sent(job)
            self._count += 1
        self._send()

    def poll(self) -> None:
        answer = None if self._driver is None else self._driver.answer()
        if self._driver is None:
            if time.monotonic() >= self._again:
                self._driver = Driver(self.settings, self.folder)
        elif isinstance(answer, Ready):
            self._gone = None
            for key, said in self._driver.news():
                self._take(key, said)
            if not self._driver.lives():
                self._lose_cluster()
        elif isinstance(answer, Refused):
            self._wait_for_cluster(answer.reason)
        self._send()
        for sent in self._jobs.values():
            if sent.job.state is ProcessState.RUNNING:
                sent.job.look_at_progress()

    def how_to_end(self) -> str:
        return "Ctrl-C"  # nobody detaches from them

    def cancel(self) -> None:
        self._disconnect()
        for sent in self._jobs.values():
            sent.job.state = ProcessState.STOPPED
        self._jobs.clear()

    def _send(self) -> None:
        """Hand those that are due to the driver, which has Ray find places for them."""
        driver = self._driver
        if driver is None or not isinstance(driver.answer(), Ready):
            return
        for key, sent in self._jobs.items():
            if sent.due is not None and sent.due <= time.monotonic():
                sent.job.mark_log()
                sent.due = None
                driver.send(key, self._work(sent.job, driver.probe))

    def _work(self, job: Job, probe: Path) -> Work:
        out = job.out.absolute()
        return Work(
            module=job.module,
            arguments=tuple(job.arguments),
            names_out=job.names_out,
            out=out,
            folder=job.folder.absolute().relative_to(out),
            code=None if "--code" in job.arguments else module_hash(job.module),
            probe=probe,
            cwd=Path.cwd(),
            variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
            sync=self.settings.sync,
        )

    def _take(self, key: int, said: Started | Ended | Refused | Lost) -> None:
        sent = self._jobs[key]
        job = sent.job
        if isinstance(said, Started):
            job.state, job.started = ProcessState.RUNNING, time.monotonic()
            job.note = f"on {said.host}"
        elif isinstance(said, Refused):
            job.lose(said.reason)
        elif isinstance(said, Lost):
            self._lost(sent, said.reason)
        elif said.status == GOES_ON:
            self._goes_on(sent)
        else:
            job.end(said.status)
            if job.state is ProcessState.HELD and sent.lost:  # by what is left of its lost process
                self._lost(sent, job.note)
        if job.state.ended:
            del self._jobs[key]

    def _goes_on(self, sent: _Sent) -> None:
        sent.requeued += 1
        if sent.requeued > self.settings.requeues:
            sent.job.lose(
                f"was told to end {sent.requeued} times: give the same command again, or say "
                "requeues= by --engine-set"
            )
        else:
            self._wait(sent, "was told to end, and goes on", 0.0)

    def _lost(self, sent: _Sent, reason: str) -> None:
        """What is on disk counts first; else it is sent again, a number of times."""
        sent.lost += 1
        if sent.job.settle():
            return
        if sent.lost > self.settings.retries:
            times = f" ({sent.lost} times)" if sent.lost > 1 else ""
            sent.job.lose(f"{reason}{times}; the same command goes on from its last checkpoint")
        else:
            self._wait(sent, f"{reason}; it goes on", PAUSE)

    def _wait(self, sent: _Sent, note: str, seconds: float) -> None:
        sent.job.state, sent.job.note = ProcessState.WAITING, note
        sent.due = time.monotonic() + seconds

    def _lose_cluster(self) -> None:
        self._disconnect()
        self._gone = time.monotonic()
        for key, sent in [*self._jobs.items()]:
            if sent.due is None:
                self._lost(sent, "the cluster is gone")
            if sent.job.state.ended:
                del self._jobs[key]

    def _wait_for_cluster(self, reason: str) -> None:
        """One that has gone may come back, its head first and then its nodes."""
        self._disconnect()
        now = time.monotonic()
        self._gone = self._gone or now
        self._again = now + PAUSE
        if now - self._gone > self.settings.patience:
            for sent in self._jobs.values():
                sent.job.lose(
                    f"the cluster has not come back in {self.settings.patience:.0f} s "
                    f"({reason.partition(': ')[0]}): start it, and give the same command again"
                )
            self._jobs.clear()
