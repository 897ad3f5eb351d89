"""A comparison on disk with all that one leaves, and every command in this process, none trains.

What takes minutes or starts processes is replaced where a command asks for it.
"""

import contextlib
import io
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import open_data
from experiments.comparison.trial_process import TrialProcess
from experiments.engines.job import ProcessState
from experiments.reading import READERS, make_pairs
from experiments.recipes import smoke
from experiments.scoring.metrics import score_folder
from experiments.training.requested_trial import RequestedTrial
from experiments.trials.data_check import check_data, hash_of, scored_data
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import (
    Curve,
    Environment,
    Metrics,
    PositionPrior,
    TrialIdentity,
)
from experiments.trials.results import PRIOR, write_record, write_result
from experiments.trials.trial import Trial
from experiments.trials.verification import VERIFICATION, FirstSteps, Verification
from models import build_model

MODELS, STARTED, NEW = ("unet:width=4", "unet:width=5"), "unet:width=6", "unet:width=7"
COMMANDS = (
    *("compare", "run", "evaluate", "score", "evidence", "report"),
    *("cost", "ladder", "data", "reading", "verify", "wandb_mirror", "gpu"),
)
SECONDS = 60  # after which a command hangs


@dataclass(frozen=True)
class Outcome:
    """What a command in this process came to; `status` is None for an error that escaped."""

    status: int | None
    out: str
    err: str
    trained: tuple[str, ...]
    hangs: bool = False


def build(root: Path) -> None:
    """`root`/runs/smoke, a file of weights, and label maps from elsewhere."""
    recipe = smoke()
    report = check_data(recipe, None)
    data = hash_of(recipe, report)
    test = open_data(recipe.data, recipe.test_split, None)
    scored = scored_data(recipe.data, recipe.test_split, report, [*report.splits])
    for number, model in enumerate(MODELS):
        trial = Trial(recipe, model, 0, root / "runs")
        identity = trial.identity(data)
        write_record(trial.folder / "trial.json", identity)
        _predict(trial.folder / "predictions", recipe, wrong=0.2 + 0.1 * number)
        scores = score_folder(trial.folder / "predictions", test)
        result = identity.unscored(trial.result_path, scored)
        result = result.model_copy(update={"environment": Environment(hardware="a", torch="2")})
        losses = tuple(1 / step for step in range(1, 13))
        curve = Curve(train=((6, 1 / 6), (12, 1 / 12)), val=((6, 0.2),), first_losses=losses)
        result = result.model_copy(update={"curve": curve})
        result = result.scored(scores.confusion.tolist(), scores.metrics())
        write_result(result, scores.arrays())
        lines = [f'{{"step": {step}, "train/first_loss": {1 / step}}}\n' for step in range(1, 13)]
        (trial.folder / "metrics.jsonl").write_text("".join(lines))
        held = Verification(
            steps=12, num_losses=12, outcome="equal", largest=0.0, differs_from=None,
            code=identity.hashes.code or "", version="0", hardware="a",
        )  # fmt: skip
        write_record(trial.folder / VERIFICATION, held)
    started = Trial(recipe, STARTED, 0, root / "runs")
    write_record(started.folder / "trial.json", started.identity(data))
    metrics = Metrics(miou=0.01, pixel_accuracy=0.5, num_classes_counted=2, iou={})
    write_record(root / "runs/smoke" / PRIOR, PositionPrior(data=data, metrics=metrics))
    torch.manual_seed(0)
    torch.save(build_model(MODELS[0], 11).state_dict(), root / "weights.pt")
    _predict(root / "theirs", recipe, wrong=0.3)


def _predict(folder: Path, recipe: Recipe, wrong: float) -> None:
    """Label maps of the scored split: the truth, of which a share is of another class."""
    rng = np.random.default_rng(0)
    test = open_data(recipe.data, recipe.test_split, None)
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(test.ids):
        mask = test.mask(index) % 11
        mask[rng.random(mask.shape) < wrong] = 3
        image = Image.fromarray(mask)
        image.putpalette(test.labels.palette)
        image.save(folder / f"{name}.png")


@contextlib.contextmanager
def replaced(root: Path, trained: list[str]) -> Iterator[None]:
    """Training, measuring and sending leave what they would, at once; `trained` tells who began."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.comparison.launcher.run_processes", _ends(trained))
        patch.setattr("experiments.comparison.verifier._train_again", _first_steps(trained))
        patch.setattr("experiments.training.trial_runner._finish", _finish(trained))
        patch.setattr("experiments.comparison.wandb_sync.write", lambda v, f: (f, True))
        patch.setattr("experiments.run.die_with_parent", lambda: None)
        patch.setattr("experiments.run.spin_briefly", lambda: None)
        patch.setattr("experiments.reading.SIZE", (40, 80))  # of photographs
        patch.setattr("experiments.reading.make_pairs", lambda at, n: make_pairs(at, n, (40, 80)))
        patch.setattr("experiments.reading.build", lambda *_: None)
        patch.setattr("experiments.reading.measure", _measured)
        patch.setattr("experiments.costs.measurement.subprocess.run", _measures_nothing)
        patch.setenv("COLUMNS", "100")
        patch.setenv("WANDB_MODE", "offline")
        patch.chdir(root)
        yield


def _ends(trained: list[str]) -> Callable[..., None]:
    def run_processes(processes: Sequence[TrialProcess], *_: object) -> None:
        for process in processes:
            trained.append(process.trial.model)
            _end(process.trial, process.identity)
            process.state = ProcessState.DONE

    return run_processes


def _end(trial: Trial, identity: TrialIdentity) -> None:
    """The result that training would leave, of label maps that are made up."""
    recipe = trial.recipe
    report = check_data(recipe, None)
    scored = scored_data(recipe.data, recipe.test_split, report, [*report.splits])
    test = open_data(recipe.data, recipe.test_split, None)
    _predict(trial.folder / "predictions", recipe, wrong=0.3)
    scores = score_folder(trial.folder / "predictions", test)
    result = identity.unscored(trial.result_path, scored)
    result = result.scored(scores.confusion.tolist(), scores.metrics())
    write_result(result, scores.arrays())


def _first_steps(trained: list[str]) -> Callable[..., FirstSteps]:
    def train_again(result: object, root: object, num_steps: int, perturbed: bool) -> FirstSteps:
        trained.append("again")
        losses = tuple(1 / step for step in range(1, num_steps + 1))
        return FirstSteps(losses=losses, environment=Environment(hardware="a", torch="2"))

    return train_again


def _finish(trained: list[str]) -> Callable[..., None]:
    def finish(ours: RequestedTrial, identity: TrialIdentity) -> None:
        trained.append(ours.trial.model)
        _end(ours.trial, identity)

    return finish


def _measured(*_: object) -> dict[str, dict[str, float]]:
    return {name: {"images_per_second": 1.0, "private_mb": 1.0} for name in READERS}


def _measures_nothing(*_: object, **__: object) -> object:
    class Done:
        returncode, stdout, stderr = 1, "", "nothing is measured here"

    return Done()


def call(command: str, args: Sequence[str], root: Path) -> Outcome:
    """A command in this process, ended after a while."""
    trained: list[str] = []
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "oe")
    status: int | None = None
    hangs = False

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    with replaced(root, trained), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = import_module(f"experiments.{command}").main([*args])
        except SystemExit as end:
            status = int(str(end.code or 0))
        except TimeoutError:
            hangs = True
        except BaseException:
            print(ascii(traceback.format_exc()), file=sys.stderr)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    said, complained = (stream.buffer for stream in (out, err))
    assert isinstance(said, io.BytesIO) and isinstance(complained, io.BytesIO)
    return Outcome(
        status, said.getvalue().decode(), complained.getvalue().decode(), tuple(trained), hangs
    )


def copy(made: Path, root: Path) -> Path:
    """What was built, to change."""
    shutil.rmtree(root, ignore_errors=True)
    return Path(shutil.copytree(made, root, symlinks=True))
