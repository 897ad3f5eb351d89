"""Trials of a comparison on the GPUs, for the time that is left; the same command goes on later."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datamodules.json_file import DamagedError, as_object, read_json
from experiments.speed.gpu_machine import GpuMachine
from experiments.trials.limited_process import run_limited, why_ended
from experiments.trials.network_name import check_network
from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest
from experiments.trials.results import failed, finished, read_results
from experiments.trials.trial import Trial

Write = Callable[..., None]  # content, and why it was cut short
_PATIENCE = 20  # seconds in which `compare` ends its trials
_RUNS = Path("runs") / "gpu"


@dataclass(frozen=True)
class GpuTrials:
    """A comparison by name.

    Attributes:
        recipe: name, or file.py:function; None for `camvid` where its data are, else `demo`.
        models: None for those of `compare`.
        data_root: folder of the data set; without it, procedural streets of the crop's size.
        per_device: trials that share a GPU; None for what `compare` does by itself.
    """

    recipe: str | None = None
    models: tuple[str, ...] | None = None
    data_root: Path | None = None
    seeds: tuple[int, ...] = (0,)
    per_device: int | None = None

    def request(self) -> RecipeRequest:
        """The recipe as `compare` is asked for it.

        Raises:
            ValueError: an unknown recipe or network.
        """
        for model in self.models or ():
            check_network(model)
        name = self.recipe or ("demo" if self.data_root is None else "camvid")
        recipe = load(RecipeRequest(name))
        if self.data_root is not None or recipe.data.startswith("streets"):
            return RecipeRequest(name)
        height, width = recipe.crop
        return RecipeRequest(name, data=f"streets:height={height}:width={width}")

    def arguments(self, cards: int, out: Path) -> list[str]:
        """Of `experiments.compare`, with as many trials at a time as the GPUs hold."""
        request = self.request()
        found = ["--recipe", request.recipe, "--seeds", ",".join(map(str, self.seeds))]
        found += ["--jobs", str(cards * (self.per_device or 1))]
        found += ["--out", str(out), "--wandb", "off"]
        if self.models is not None:
            found += ["--models", ",".join(self.models)]
        if self.data_root is not None:
            found += ["--data-root", str(self.data_root)]
        if request.data is not None:
            found += ["--data", request.data]
        if self.per_device is not None:
            found += ["--per-device", str(self.per_device)]
        return found


def run_gpu_trials(
    trials: GpuTrials,
    machine: GpuMachine,
    seconds: float,
    write: Write,
    say: Callable[[str], None],
    out: Path = _RUNS,
) -> bool:
    """Whether no trial failed; those that had no time to end go on by the command that is kept."""
    arguments = trials.arguments(machine.cards, out)
    command = [sys.executable, "-m", "experiments.compare", *arguments]
    log = out / "compare.txt"
    limit = max(0.0, seconds - _PATIENCE)
    status = run_limited(command, limit, log, patience=_PATIENCE)
    rows = list(_ended(out, trials)) + list(_unfinished(out, trials))
    ended = None if status == 0 else why_ended(status, log, limit)
    going_on = " ".join(["python -m experiments.compare", *arguments])
    write({"trials": rows, "command": going_on, "log": str(log)}, ended)
    for row in rows:
        say(", ".join(f"{name} {value}" for name, value in row.items()))
    if ended:
        say(f"{ended}; it goes on with {going_on}")
    return status in (0, None) and all(row["state"] != "failed" for row in rows)


def _folder(out: Path, trials: GpuTrials) -> Path:
    return Trial(load(trials.request()), "", 0, out).comparison_folder


def _ended(out: Path, trials: GpuTrials) -> Iterator[dict[str, object]]:
    folder = _folder(out, trials)
    results = read_results(folder) if folder.is_dir() else []
    for done in finished(results):
        timing = done.timing
        yield {
            "model": done.model,
            "seed": done.seed,
            "state": "done",
            "miou": done.metrics.miou,
            "steps": timing.steps if timing else None,
            "train_seconds": timing.train_seconds if timing else None,
            "device": done.environment.device,
        }
    for lost in failed(results):
        reason = lost.failure.reason
        yield {"model": lost.model, "seed": lost.seed, "state": "failed", "reason": reason}


def _unfinished(out: Path, trials: GpuTrials) -> Iterator[dict[str, object]]:
    """How far the others came, which is for a reader's eyes alone."""
    for path in sorted(_folder(out, trials).glob("*/*/progress.json")):
        if (path.parent / "result.json").exists():
            continue
        try:
            at = as_object(read_json(path, ""), str(path), "")
        except (OSError, DamagedError):
            continue
        model, seed = path.parts[-3], path.parts[-2]
        yield {
            "model": model,
            "seed": seed.removeprefix("seed"),
            "state": f"at {at.get('stage')}",
            "step": at.get("step"),
            "steps": at.get("steps"),
        }
