"""The process that speaks with Ray for `ray_engine`: tasks are submitted here, and end with it.

Ray ends its driver's process a minute after the head of the cluster has gone, whatever that does,
which is why it is none that a user has started.
"""

import sys
import threading
import time
from multiprocessing.connection import Connection

import ray
from ray import ObjectRefGenerator
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

from experiments.engines.copied_folder import Files, lay, read_folder
from experiments.engines.ray_cluster import Cluster, connect, first_line, last_line, watch
from experiments.engines.ray_task import (
    Event,
    Lost,
    Ready,
    Refused,
    Started,
    Unseen,
    Work,
    run_job,
)
from experiments.trials.environment import die_with_parent

_WAIT = 0.2  # seconds for news of tasks, until the engine is heard


def main() -> int:
    """0 when the engine has closed its end, 1 where there is no cluster."""
    die_with_parent()
    with Connection(int(sys.argv[1])) as engine:
        settings, probe = engine.recv()
        try:
            connect(settings.address)
            cluster = Cluster(settings)
            engine.send(Ready(cluster.check(probe)))
        except ValueError as error:
            engine.send(Refused(str(error)))
            return 1
        threading.Thread(target=watch, daemon=True).start()
        tasks = _Tasks(engine, cluster)
        try:
            tasks.serve()
        except (EOFError, OSError):  # the engine wants no more, or is no more
            tasks.end()
    ray.shutdown()
    return 0


class _Tasks:
    """The tasks that have not ended; each says what becomes of it, one value after the other."""

    def __init__(self, engine: Connection, cluster: Cluster) -> None:
        self.engine = engine
        self._start = ray.remote(**cluster.options())(run_job)  # type: ignore[call-overload]
        self._share = cluster.share
        self._running: dict[ObjectRefGenerator, tuple[int, Work]] = {}

    def serve(self) -> None:
        """
        Raises:
            EOFError: the engine has closed its end.
        """
        while True:
            while self.engine.poll(0 if self._running else None):
                key, work = self.engine.recv()
                self._submit(key, work, None)
            for task in self._with_news():
                self._take(task)

    def _with_news(self) -> list[ObjectRefGenerator]:
        """All of them, lest one that says much keeps the others waiting."""
        tasks = [*self._running]
        ready, _ = ray.wait(tasks, num_returns=len(tasks), timeout=_WAIT, fetch_local=False)
        return ready

    def end(self) -> None:
        """End all of them, and wait a while until they have."""
        for task in self._running:
            ray.cancel(task, force=True)
        deadline = time.monotonic() + 5
        while self._running and time.monotonic() < deadline:
            for task in self._with_news():
                try:
                    ray.get(next(task))
                except Exception:  # StopIteration too
                    del self._running[task]

    def _submit(self, key: int, work: Work, files: Files | None) -> None:
        self._running[self._start.remote(work, self._share, files)] = key, work

    def _take(self, task: ObjectRefGenerator) -> None:
        key, work = self._running[task]
        said = _next(task)
        folder = work.out / work.folder
        try:
            if isinstance(said, Files):
                lay(folder, said)
                return
            if isinstance(said, Unseen):  # also a node that has come since all were looked at
                self._submit(key, work, read_folder(folder))
                del self._running[task]
                return
        except OSError as error:
            ray.cancel(task, force=True)
            said = Refused(str(error))
        if not isinstance(said, Started):
            del self._running[task]
        self.engine.send((key, said))


def _next(task: ObjectRefGenerator) -> Event | Lost:
    try:
        said: Event = ray.get(next(task))
        return said
    except StopIteration:
        return Lost("its task ended without a word")
    except NodeDiedError:
        return Lost("its node is gone")
    except OutOfMemoryError:
        return Lost("Ray ended it, as its node had no memory left")
    except WorkerCrashedError:
        return Lost("its worker was killed")
    except RayTaskError as error:
        return Lost(f"its task failed ({last_line(error)})")
    except Exception as error:  # whatever else befalls a task, others go on
        return Lost(first_line(error))


if __name__ == "__main__":
    sys.exit(main())
