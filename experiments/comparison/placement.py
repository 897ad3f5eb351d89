"""Which of this machine's GPUs each trial gets, and how many trials run side by side."""

from collections.abc import Sequence

from experiments.comparison.gpus import VISIBLE, Gpu, UnlistedError, gpus_here, label


class Places:
    """Hands GPUs out to trials and takes them back; without any, counts trials alone.

    Attributes:
        gpus: all of them.
        devices: GPUs that each trial gets.
        per_device: trials that may share one.
        at_a_time: trials that run side by side; the others wait until one ends.
    """

    def __init__(
        self, gpus: Sequence[Gpu], *, jobs: int = 1, devices: int = 1, per_device: int = 1
    ) -> None:
        """
        Raises:
            ValueError: a trial asks for more GPUs than there are, or trials for one to share.
        """
        if per_device > 1 and not gpus:
            raise ValueError(
                f"--per-device is {per_device} and no GPU is visible here that trials could "
                "share: leave it out; --jobs alone says how many share the processor"
            )
        if gpus and devices > len(gpus):
            visible = "1 GPU is" if len(gpus) == 1 else f"{len(gpus)} GPUs are"
            raise ValueError(
                f"--devices is {devices} and {visible} visible here: ask for at most "
                f"{len(gpus)}, or train on the processor with {VISIBLE}="
            )
        self.gpus, self.devices, self.per_device = tuple(gpus), devices, per_device
        self._jobs = jobs
        self.at_a_time = min(jobs, len(gpus) * per_device // devices) if gpus else jobs
        self._load = [0] * len(gpus)
        self._running = 0

    def shared_by(self, per_device: int) -> "Places":
        """All of them, free, for another number of trials on each."""
        return Places(self.gpus, jobs=self._jobs, devices=self.devices, per_device=per_device)

    def take(self) -> tuple[Gpu, ...] | None:
        """GPUs for one more trial, empty where there are none; None where it has to wait."""
        chosen = least_loaded(self._load, self.devices if self.gpus else 0, self.per_device)
        if chosen is None or self._running == self.at_a_time:
            return None
        self._running += 1
        for index in chosen:
            self._load[index] += 1
        return tuple(self.gpus[index] for index in chosen)

    def give_back(self, gpus: Sequence[Gpu]) -> None:
        """What a trial had that has ended, in whatever way."""
        self._running -= 1
        for gpu in gpus:
            self._load[self.gpus.index(gpu)] -= 1

    def __str__(self) -> str:
        """`4 at a time on gpus 0,1,2,3, 2 for each trial, up to 2 trials on one`."""
        said = f"{self.at_a_time} at a time"
        if self.gpus:
            said += f" on {label(self.gpus)}"
            said += f", {self.devices} for each trial" if self.devices > 1 else ""
            said += f", up to {self.per_device} trials on one" if self.per_device > 1 else ""
        return said


def least_loaded(load: Sequence[int], count: int, most: int) -> tuple[int, ...] | None:
    """So many of those with the fewest trials, the first of equals; none that has `most`.

    None where fewer have room. To take the fewest first keeps room on as many as can be.

    Args:
        load: trials on each.
    """
    free = sorted((trials, index) for index, trials in enumerate(load) if trials < most)
    return tuple(sorted(index for _, index in free[:count])) if len(free) >= count else None


def find_places(*, jobs: int, devices: int, per_device: int) -> Places:
    """Where trials may run on this machine.

    Raises:
        ValueError: as `Places` and `gpus_here`. That GPUs cannot be told apart is no reason to
            refuse trials that run one after the other: each takes the first.
    """
    try:
        gpus = gpus_here()
    except UnlistedError as error:
        if jobs > 1 or per_device > 1:
            raise ValueError(
                f"{error}: cure that, leave out --jobs and --per-device, or train on the processor "
                f"with {VISIBLE}="
            ) from None
        gpus = []
    return Places(gpus, jobs=jobs, devices=devices, per_device=per_device)
