"""Ends a comparison at chosen moments of its work, whoever of its processes is hit, and looks."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.commands import start

PHASES = (
    "start",  # imports and the check of the data, of compare
    "imports",  # of the trial
    "training",
    "saving",  # a state has just been written, as after a validation
    "prediction",
    "scoring",
    "result",  # counts are written, the result is about to be
    "end",  # of compare, which draws the report
)
MARK = "KILLED_COMPARISON"  # in the environment of all that a comparison starts
Victim = Literal["compare", "trial", "rank", "reader"]


@dataclass(frozen=True)
class Kill:
    phase: str
    victim: Victim
    signal: signal.Signals
    jitter: float  # of a phase's usual time


@dataclass
class Comparison:
    """One small comparison with W&B, in a folder, with temporary files of its own."""

    folder: Path
    devices: int

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.out = self.folder / "runs"
        self.temporary = Path(tempfile.mkdtemp(dir="/tmp", prefix="kills-"))  # short: for sockets
        self.marks: list[str] = []

    def start(self) -> Any:
        command = ["--models", "unet:width=4", "--recipe", "smoke", "--wandb", "offline"]
        self.marks.append(f"{os.getpid()}-{self.folder}-{len(self.marks)}")
        return start(
            "experiments.compare",
            *(*command, "--devices", self.devices, "--out", self.out),
            output=self.folder / "printed.txt",
            TMPDIR=str(self.temporary),
            **{MARK: self.marks[-1]},
        )

    def finish(self) -> None:
        process = self.start()
        status = process.wait(600)
        assert status == 0, (self.folder / "printed.txt").read_text()

    def kill(self, kill: Kill) -> str:
        """Start it and have a process ended; the phase that this was in."""
        begun, process = time.time(), self.start()
        while not self._reached(kill.phase, begun, process):
            if process.poll() is not None:
                break
            time.sleep(0.005)
        time.sleep(kill.jitter * {"start": 3, "imports": 6, "end": 2}.get(kill.phase, 0.2))
        victim = self._victim(kill.victim, process.pid)
        late = process.poll() is not None or victim is None
        if victim is not None and not late:
            with contextlib.suppress(psutil.Error):
                victim.send_signal(kill.signal)
        asked = victim is not None and victim.pid == process.pid
        status = process.wait(600)
        expected = {128 + kill.signal, -kill.signal} if asked and not late else {0, 1}
        if kill.phase == "start":  # Python itself, before it knows of any command
            expected.add(1)
        text = (self.folder / "printed.txt").read_text()
        assert status in {*expected, 0}, (kill, status, text)
        assert "Traceback" not in text or kill.phase == "start", (kill, text)
        left = self.left_processes(60)  # on a machine with much else to do
        assert not left, (kill, left)
        return f"too late for {kill.phase}" if late else kill.phase

    def _reached(self, phase: str, begun: float, process: Any) -> bool:
        trial = self.out / "smoke" / "unet-width=4" / "seed0"

        def newer(pattern: str) -> list[Path]:
            paths = trial.glob(pattern)
            with contextlib.suppress(OSError):
                return [path for path in paths if path.stat().st_mtime > begun]
            return []

        if phase == "start":
            return True
        if phase == "imports":
            return self._victim("trial", process.pid) is not None
        if phase == "training":
            return bool(newer("metrics.jsonl"))
        if phase == "saving":
            return bool(newer("checkpoints/*"))
        if phase == "prediction":
            return bool(newer("predictions/*.png"))
        if phase == "scoring":
            return len(newer("predictions/*.png")) == 6
        return bool(newer("per_image.npz" if phase == "result" else "result.json"))

    def _victim(self, who: Victim, compare: int) -> psutil.Process | None:
        """The trial stands in for a rank or a reader that is not there."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(compare)
            if who == "compare":
                return process
            trials = [p for p in process.children() if "experiments.run" in p.cmdline()]
            if not trials or who == "trial":
                return trials[0] if trials else None
            below = trials[0].children(recursive=True)
            ranks = [p for p in below if p.environ().get("LOCAL_RANK") == "1"]
            ranks = [p for p in ranks if "experiments.run" in p.cmdline()]
            readers = [p for p in below if p not in ranks and "wandb" not in p.cmdline()[0]]
            readers = [p for p in readers if not p.children() and "tracker" not in str(p.cmdline())]
            chosen = ranks if who == "rank" else readers
            return (chosen or trials)[0]
        return None

    def left_processes(self, seconds: float, appearing: bool = False) -> list[str]:
        """What lives of all that it has started, after a while for what ends by itself.

        Args:
            appearing: watch for all that while, also where nothing lives at first.
        """
        deadline = time.monotonic() + seconds
        while ((left := list(self._alive())) or appearing) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _alive(self) -> Iterator[str]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ended = process.status() == psutil.STATUS_ZOMBIE
                if process.environ().get(MARK) in self.marks and not ended:
                    yield f"{process.pid} {' '.join(process.cmdline())[:120]}"

    def bits(self) -> dict[str, object]:
        """All that an interruption must not change."""
        (path,) = self.out.rglob("result.json")
        result = json.loads(path.read_text())
        kept = ("confusion", "metrics", "curve", "per_image_sha256", "hashes")
        pictures = sorted(path.parent.glob("predictions/*.png"))
        hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in pictures}
        return {"predictions": hashes, **{key: result[key] for key in kept}}

    def files(self) -> set[str]:
        """All that it has left but runs of W&B, of which each start leaves one, and states."""
        found = {str(p.relative_to(self.out)) for p in self.out.rglob("*") if p.is_file()}
        return {p for p in found if "wandb/" not in p and not p.endswith(".ckpt")}

    def stray(self) -> list[str]:
        """Temporary files that are left; their folder is removed."""
        found = [str(path) for path in self.temporary.rglob("*")]
        shutil.rmtree(self.temporary)
        return found


def random_kills(number: int, seed: str) -> list[Kill]:
    """Of all phases, victims and signals, in the order in which a comparison comes by them."""
    draw = random.Random(seed)
    victims: list[Victim] = ["compare", "trial", "rank", "reader"]
    kills = []
    for _ in range(number):
        phase = draw.choice(PHASES)
        own = phase in ("start", "end")  # there are no others then
        kills.append(
            Kill(
                phase,
                "compare" if own else draw.choice(victims),
                draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]),
                draw.random(),
            )
        )
    return sorted(kills, key=lambda kill: PHASES.index(kill.phase))
