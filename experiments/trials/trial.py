"""What a trial is: one recipe, network and seed; its folder, its hashes and its lock."""

import platform
import re
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

from experiments import __version__
from experiments.trials.code_hash import code_hash
from experiments.trials.command_line import visible
from experiments.trials.folder_lock import HOLDER, LEASE, held
from experiments.trials.hashing import short_hash
from experiments.trials.recipe import Recipe, RecipeRequest
from experiments.trials.result_types import (
    Environment,
    Failure,
    Hashes,
    TrialIdentity,
    TuningStudy,
)
from experiments.trials.results import (
    IDENTITY,
    RESULT,
    TUNED,
    read_identity,
    read_result,
    write_record,
)

_LONGEST = 240  # bytes of a folder's name; file systems take 255

Rerun = Literal["failed", "stale", "all"]  # trials that are done again, though they have ended


class State(Enum):
    """What a trial's folder holds, against what is asked for now."""

    NEW = "new"
    STARTED = "goes on"  # a checkpoint to resume from
    FAILED = "failed before"  # goes on from its last checkpoint
    REDO = "failed under other code"
    DONE = "done"
    STALE = "done by other code"
    OTHER = "of another recipe or data set"
    OUTDATED = "started by other code"


class Action(Enum):
    """What is done with a trial."""

    RUN = "start it, or go on"
    KEEP = "leave its result"
    REDO = "clear it away and start"
    REFUSE = "cannot be mixed with what is there"


def action(state: State, rerun: Rerun) -> Action:
    """By what its folder holds and what a user wants done again."""
    again = {
        "failed": {State.REDO},
        "stale": {State.REDO, State.STALE, State.OTHER, State.OUTDATED},
        "all": set(State) - {State.NEW},
    }
    if state in again[rerun]:
        return Action.REDO
    if state in (State.OTHER, State.OUTDATED):
        return Action.REFUSE
    return Action.KEEP if state in (State.DONE, State.STALE) else Action.RUN


@dataclass(frozen=True)
class Trial:
    """One run of a comparison. Same trial, same result file."""

    recipe: Recipe
    model: str
    seed: int
    out: Path
    repeat: int = 0
    """Which run of the same seeds: what differs between these is noise of the machine."""
    mark: str = ""
    """What else tables and logs call it; no part of the trial."""
    chosen_from: TuningStudy | None = field(default=None, compare=False, repr=False)
    """The search behind a tuned recipe, kept beside the result; no part of the trial."""
    request: RecipeRequest | None = field(default=None, compare=False, repr=False)
    """How the recipe was asked for, to be asked for again; no part of the trial."""

    @property
    def folder(self) -> Path:
        seed = seed_folder(self.seed, self.recipe.tuning is not None, self.repeat)
        return self.comparison_folder / slug(self.model) / seed

    @property
    def comparison_folder(self) -> Path:
        """What all trials of its recipe share."""
        return self.out / slug(self.recipe.name)

    @property
    def name(self) -> str:
        """As tables and logs call it."""
        tuned = "tuned" if self.recipe.tuning else ""
        repeat = f"repeat {self.repeat}" if self.repeat else ""
        words = (self.model, f"seed {self.seed}", tuned, repeat, self.mark)
        return " ".join(word for word in words if word)

    @property
    def result_path(self) -> Path:
        return self.folder / RESULT

    @property
    def init_seed(self) -> int:
        return self.seed if self.recipe.init_seed is None else self.recipe.init_seed

    @property
    def data_seed(self) -> int:
        return self.seed if self.recipe.data_seed is None else self.recipe.data_seed

    def identity(self, data: str | None = None) -> TrialIdentity:
        """What every result says, however the trial ended; `data` is the data set's hash."""
        return TrialIdentity(
            version=__version__,
            request=self.request,
            recipe=self.recipe,
            model=self.model,
            seed=self.seed,
            repeat=self.repeat,
            init_seed=self.init_seed,
            data_seed=self.data_seed,
            protocol=self.recipe.protocol,
            hashes=Hashes(
                recipe=self.recipe.hash(),
                data=data,
                protocol=self.recipe.protocol.hash(),
                code=code_hash(self.model, self.recipe.data),
            ),
            environment=Environment(python=platform.python_version(), machine=platform.machine()),
        )

    def state(self, data: str) -> State:
        """What is there, given the hash of the data set as it is now.

        Raises:
            ValueError: a damaged file, or a trial of another name that becomes the same folder.
        """
        result = read_result(self.result_path)
        kept = result or read_identity(self.folder)
        if kept is None:
            return State.NEW
        self._check_own(kept)
        found = kept.hashes
        now = self.identity(data).hashes
        if result is not None and not result.done:
            return State.FAILED if found == now else State.REDO
        if found.model_copy(update={"code": now.code}) != now:
            return State.OTHER
        if result is None:
            return State.STARTED if found == now else State.OUTDATED
        return State.DONE if found == now else State.STALE

    def _check_own(self, kept: TrialIdentity) -> None:
        """Refuse what another trial left: `a b` and `a:b` become one folder, and files get copied.

        Raises:
            ValueError: naming both.
        """
        theirs, ours = (f"{one.model} seed {one.seed} repeat {one.repeat}" for one in (kept, self))
        recipe = kept.recipe.name if kept.recipe else self.recipe.name
        if slug(recipe) == slug(self.recipe.name):  # else somebody has renamed a folder
            theirs, ours = f"{theirs} under {recipe}", f"{ours} under {self.recipe.name}"
        if theirs != ours:
            raise ValueError(
                f"{self.folder} holds the trial {theirs}, not {ours}: name another --out, or take "
                "it away"
            )

    def prepare(self, data: str, rerun: Rerun = "failed") -> bool:
        """Whether there is work to do; clears away what is to be done again. Needs the lock.

        The search of a tuned trial is written only where there is work: a kept result keeps its.

        Raises:
            ValueError: what is there belongs to another recipe, data set or code.
        """
        state = self.state(data)
        todo = action(state, rerun)
        if todo is Action.REDO:
            self._clear()
        elif todo is Action.REFUSE:
            raise ValueError(
                f"{self.folder} holds a trial {state.value}, which cannot be mixed with this "
                "one: do it again with --rerun stale, or keep it and name another --out"
            )
        elif todo is Action.KEEP:
            return False
        if self.chosen_from is not None:
            write_record(self.folder / TUNED, self.chosen_from)
        return True

    def start(self, data: str) -> TrialIdentity:
        """Leave in the folder what the trial is, before its first checkpoint. Needs the lock."""
        for draft in self.folder.glob(".*"):  # of a process that was killed while writing
            draft.unlink()
        identity = self.identity(data)
        write_record(self.folder / IDENTITY, identity)
        return identity

    def fail(self, data: str, failure: Failure, rerun: Rerun = "failed") -> None:
        """Leave a failed result of a trial that cannot be run, unless a finished one is kept.

        Raises:
            ValueError: as `prepare`.
        """
        with self.lock():
            if self.prepare(data, rerun):
                write_record(self.result_path, self.identity(data).fail(self.result_path, failure))

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in (LEASE, HOLDER, TUNED):
                path.unlink()

    def lock(self) -> AbstractContextManager[None]:
        """Hold the trial's folder.

        Raises:
            BusyError: another process holds it.
        """
        return held(self.folder, self.name)


def comparison_id(trial_ids: Iterable[str]) -> str:
    """Names a comparison in W&B, on any machine, by the ids of its trials."""
    return short_hash(sorted(trial_ids))


def group_of(trials: Iterable[Trial]) -> str:
    """Names the comparison of some trials in W&B."""
    return comparison_id(trial.identity().id for trial in trials)


def seed_folder(seed: int, tuned: bool, repeat: int) -> str:
    """The innermost folder of a trial's result."""
    return f"seed{seed}{'-tuned' * tuned}" + (f"-repeat{repeat}" if repeat else "")


def slug(name: str) -> str:
    """A name as a folder: `:` and `/` are not allowed everywhere.

    What no folder can be called, as `..`, or is too long for one, ends in the hash of the name.
    Other names may become one folder, as `a b` and `a:b`: who writes there looks whose it is.
    """
    plain = re.sub(r"[:/\s]+", "-", name)
    fine = visible(plain).replace("\\", "_").lstrip(".")
    if plain and fine == plain and len(plain.encode()) <= _LONGEST:
        return plain
    short = fine.encode()[: _LONGEST - 40].decode(errors="ignore")
    return f"{short}-{short_hash(name)}".lstrip(".-")
