"""What `--engine-set` says for SLURM: a few words of our own, everything else is sbatch's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LEAST = 60  # seconds of work that a time limit has to leave before the signal to save
_OURS = ("signal", "requeues", "retries", "patience", "parallel", "cancel")
_RESERVED = (
    "array", "dependency", "output", "error", "open-mode", "nodes", "ntasks", "ntasks-per-node",
    "job-name", "requeue", "no-requeue", "wrap", "parsable",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SlurmSettings:
    """How jobs are submitted and looked after.

    Attributes:
        time: the limit, as SLURM writes it.
        minutes: of that limit.
        signal: seconds ahead of the limit at which a job is told to save.
        requeues: times that a job goes on in the queue after a preemption or a time limit.
        retries: times that a job which vanished without a result is sent again.
        patience: seconds in which the result of a job that has left the queue may still appear.
        parallel: jobs that run at a time; None for as many as there is room for.
        cancel: whether jobs end with the command that waits for them.
        options: of sbatch, without the dashes.
    """

    time: str
    minutes: int
    signal: int = 120
    requeues: int = 10
    retries: int = 2
    patience: float = 60.0
    parallel: int | None = None
    cancel: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds_to_work(self) -> int:
        """Between the start of a job and its signal."""
        return 60 * self.minutes - self.signal


def slurm_settings(said: Mapping[str, str]) -> SlurmSettings:
    """The settings of `--engine-set`.

    Raises:
        ValueError: a value that does not fit, an option that is not to be said, or a time limit
            that leaves no time to work.
    """
    options = {name.lstrip("-").replace("_", "-"): value for name, value in said.items()}
    for name in options.keys() & {*_RESERVED}:
        raise ValueError(f"--engine-set {name}= is set by the comparison itself: leave it out")
    time = options.pop("time", None)
    if time is None:
        raise ValueError(
            "--engine slurm needs the time that each job may take: say it with --engine-set "
            "time=02:00:00; --dry-run estimates it"
        )
    own = {name: options.pop(name) for name in _OURS if name in options}
    settings = SlurmSettings(
        time=time,
        minutes=_minutes(time),
        signal=_whole("signal", own, 120, 0, 3600),
        requeues=_whole("requeues", own, 10, 0, 1000),
        retries=_whole("retries", own, 2, 0, 100),
        patience=_whole("patience", own, 60, 0, 3600),
        parallel=_whole("parallel", own, 0, 0, 100_000) or None,
        cancel=_yes("cancel", own),
        options=options,
    )
    if settings.seconds_to_work < LEAST:
        needed = -(-(settings.signal + LEAST) // 60)
        raise ValueError(
            f"time={time} is too short: a job is told to save {settings.signal} s before its "
            f"end, and a start takes up to {LEAST} s: ask for "
            f"time={needed // 60:02}:{needed % 60:02}:00 or more, or for a later signal, as "
            "signal=30"
        )
    return settings


def _minutes(text: str) -> int:
    """Of a limit as SLURM writes it: minutes, minutes:seconds, h:m:s, d-h, d-h:m, d-h:m:s."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        raise ValueError(f"time={text} is no time limit of SLURM: give one, as time=02:00:00")
    days, *rest = (None if part is None else int(part) for part in found.groups())
    numbers = [part for part in rest if part is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, [*numbers, 0][:2]
    return ((days or 0) * 24 + hours) * 60 + minutes + seconds // 60


def _whole(name: str, said: Mapping[str, str], default: int, low: int, high: int) -> int:
    text = said.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,6}", text) or not low <= int(text) <= high:
        raise ValueError(f"--engine-set {name}={text}: give a whole number from {low} to {high}")
    return int(text)


def _yes(name: str, said: Mapping[str, str]) -> bool:
    text = said.get(name, "no")
    if text not in ("yes", "no"):
        raise ValueError(f"--engine-set {name}={text}: give yes or no")
    return text == "yes"
