"""A real SLURM on this machine: a controller and two nodes on ports of the loopback.

Debian's packages slurmctld, slurmd, slurm-client and munge have what it takes; nothing of it is
installed or started for the machine itself.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from tests.commands import free_port

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,bf_min_age_reserve=0,requeue_setup_env_fail
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=5
InactiveLimit=0
MaxArraySize=4
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=20
PartitionName=hard Nodes=n1,n2 MaxTime=INFINITE PriorityTier=1 GraceTime=0
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
PartitionName=short Nodes=n1,n2 MaxTime=1 PriorityTier=1
"""


def lacking() -> list[str]:
    """What of it this machine does not have."""
    return [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]


class Slurm:
    """The cluster while it runs.

    Attributes:
        environment: with which its commands, and ours, find it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="slurm-"))  # short: for sockets
        configuration = self.folder / "slurm.conf"
        self.environment = {"SLURM_CONF": str(configuration), "PATH": _PATH}
        self._hurried: set[str] = set()
        self._env = {**os.environ, **self.environment}
        munge, state = self.folder / "munge", self.folder / "state"
        munge.mkdir(mode=0o711)
        state.mkdir()
        (munge / "key").write_bytes(secrets.token_bytes(128))
        (munge / "key").chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log",
                 "seed-file": "seed"}  # fmt: skip
        options = [f"--{name}={munge / file}" for name, file in files.items()]
        self._do("munged", "--force", "--num-threads=2", *options)
        ports = [free_port() for _ in range(3)]
        text = CONFIGURATION.format(folder=self.folder, ports=ports, user=getpass.getuser())
        configuration.write_text(text)
        self._do("slurmctld", "-f", str(configuration))
        for node in ("n1", "n2"):
            self.start_node(node)
        self.wait(lambda: self.ask("sinfo", "-h", "-o", "%t", "-p", "main").strip() == "idle")

    def _do(self, *command: str, seconds: float = 60) -> str:
        path = shutil.which(command[0], path=_PATH)
        assert path is not None
        done = subprocess.run(
            [path, *command[1:]], env=self._env, capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def ask(self, *command: str, seconds: float = 60) -> str:
        """What one of its commands prints, within so many seconds."""
        return self._do(*command, seconds=seconds)

    def start_node(self, name: str) -> None:
        self._do("slurmd", "-N", name, "-f", str(self.folder / "slurm.conf"))

    def kill_node(self, name: str) -> None:
        """Its daemon alone: what runs there goes on, unknown to anybody."""
        os.kill(int((self.folder / f"{name}.pid").read_text()), signal.SIGKILL)

    def states(self) -> Mapping[str, str]:
        """Of all jobs that the queue shows, by id."""
        lines = self.ask("squeue", "-h", "-r", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def hurry(self) -> None:
        """Have jobs that were sent back to the queue start soon, and not after two minutes: later
        than the second in which their credential was revoked, or they fail."""
        shown = self.ask("squeue", "-h", "-r", "-o", "%i %T %r").splitlines()
        rows = [line.split(maxsplit=2) for line in shown]
        self._hurried &= {id for id, state, _ in rows if state == "PENDING"}
        for id, state, reason in rows:
            if (state, reason) == ("PENDING", "BeginTime") and id not in self._hurried:
                self._hurried.add(id)
                with contextlib.suppress(AssertionError):  # it is starting
                    self._do("scontrol", "update", f"JobId={id}", "StartTime=now+2seconds")

    def wait(self, condition, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.states(), self.logs())
            time.sleep(0.1)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        """End all of it and what it runs."""
        with contextlib.suppress(AssertionError):
            self._do("scancel", "--full", "--signal=KILL", "--user", getpass.getuser())
        deadline = time.monotonic() + 20
        while (left := self._processes()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _processes(self) -> list[psutil.Process]:
        """All that was started for it, and all that this has started."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = str(self.folder) in " ".join(process.cmdline())
                ours |= process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if ours and process.pid != os.getpid():
                    found.append(process)
        return found


@contextlib.contextmanager
def cluster() -> Iterator[Slurm]:
    slurm = Slurm()
    try:
        yield slurm
    finally:
        slurm.stop()
