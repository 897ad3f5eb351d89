"""What a trial is: one recipe, network and seed; its folder, its hashes and its lock."""

import json
import os
import platform
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from datamodules import about
from datamodules.check import checked
from datamodules.files import Progress
from datamodules.labels import DataError
from datamodules.outcome import Outcome
from experiments.recipes import Recipe, short_hash
from experiments.source import code_hash
from experiments.store import SCHEMA, TUNED, Result, read_result, write_json


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


class BusyError(RuntimeError):
    """Another process holds the trial; the message names it."""


@dataclass(frozen=True)
class Trial:
    """One cell of a comparison. Same trial, same result file."""

    recipe: Recipe
    model: str
    seed: int
    out: Path
    repeat: int = 0
    """Which run of the same seeds: what differs between these is noise of the machine."""
    mark: str = ""
    """What else tables and logs call it; no part of the trial."""
    chosen_from: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    """The search behind a tuned recipe, kept beside the result; no part of the trial."""

    @property
    def folder(self) -> Path:
        seed = seed_folder(self.seed, self.recipe.tuned is not None, self.repeat)
        return self.out / slug(self.recipe.name) / slug(self.model) / seed

    @property
    def name(self) -> str:
        """As tables and logs call it."""
        tuned = "tuned" if self.recipe.tuned else ""
        repeat = f"repeat {self.repeat}" if self.repeat else ""
        words = (self.model, f"seed {self.seed}", tuned, repeat, self.mark)
        return " ".join(word for word in words if word)

    @property
    def result_path(self) -> Path:
        return self.folder / "result.json"

    @property
    def init_seed(self) -> int:
        return self.seed if self.recipe.init_seed is None else self.recipe.init_seed

    @property
    def data_seed(self) -> int:
        return self.seed if self.recipe.data_seed is None else self.recipe.data_seed

    def identity(self, data: str | None = None) -> dict[str, Any]:
        """What every result says, however the trial ended; `data` is the data set's hash."""
        return {
            "schema": SCHEMA,
            "recipe": json.loads(json.dumps(asdict(self.recipe))),
            "untuned": self.recipe.untuned().hash(),
            "model": self.model,
            "seed": self.seed,
            "repeat": self.repeat,
            "init_seed": self.init_seed,
            "data_seed": self.data_seed,
            "protocol": self.recipe.protocol,
            "hashes": {
                "recipe": self.recipe.hash(),
                "data": data,
                "protocol": short_hash(self.recipe.protocol),
                "code": code_hash(self.model, self.recipe.data),
            },
            "environment": {"python": platform.python_version(), "machine": platform.machine()},
        }

    def id(self) -> str:
        """Names the trial in W&B and in comparisons, on any machine."""
        again = [self.repeat] if self.repeat else []
        return short_hash([self.recipe.hash(), self.model, self.seed, *again])

    def state(self, data: str) -> State:
        """What is there, given the hash of the data set as it is now."""
        result = read_result(self.result_path)
        if result is not None:
            found = result["hashes"]
        elif (self.folder / "trial.json").is_file():
            found = json.loads((self.folder / "trial.json").read_text())["hashes"]
        else:
            return State.NEW
        now = self.identity(data)["hashes"]
        if result is not None and not result.done:
            return State.FAILED if found == now else State.REDO
        if {**found, "code": None} != {**now, "code": None}:
            return State.OTHER
        if result is None:
            return State.STARTED if found == now else State.OUTDATED
        return State.DONE if found == now else State.STALE

    def prepare(self, data: str, rerun: str = "failed") -> bool:
        """Whether there is work to do; clears away what is to be done again. Needs the lock.

        The search of a tuned trial is written only where there is work: a kept result keeps its.

        Raises:
            ValueError: what is there belongs to another recipe, data set or code.
        """
        again = {
            "failed": {State.REDO},
            "stale": {State.REDO, State.STALE, State.OTHER, State.OUTDATED},
            "all": set(State) - {State.NEW},
        }
        state = self.state(data)
        if state in again[rerun]:
            self._clear()
        elif state in (State.OTHER, State.OUTDATED):
            raise ValueError(
                f"{self.folder} holds a trial {state.value}, which cannot be mixed with this "
                "one: do it again with --rerun stale, or keep it and name another --out"
            )
        elif state in (State.DONE, State.STALE):
            return False
        if self.chosen_from is not None:
            write_json(self.folder / TUNED, self.chosen_from)
        return True

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in ("lock", "holder.json", TUNED):
                path.unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the trial's folder; the system lets go of it when the process dies, however.

        Raises:
            BusyError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        holder = self.folder / "holder.json"
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(f"{self.name} is held by {_describe(holder)}") from None
        try:
            me = {"pid": os.getpid(), "host": socket.gethostname(), "start": time.time()}
            holder.write_text(json.dumps(me))
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


def leads() -> bool:
    """Whether this machine keeps the folders of trials; others lend their processors to it."""
    return int(os.environ.get("NODE_RANK", "0")) == 0


def check_data(
    recipe: Recipe, root: Path | None, progress: Progress = lambda done, total: None
) -> Outcome:
    """What the check of the recipe's splits has found; made once and kept.

    Raises:
        DataError: the data set is not there, with where it was looked for and how to get it; or it
            is damaged; or a split has no labels.
        ValueError: the recipe weighs another number of classes than the data set has.
    """
    names = dict.fromkeys((recipe.train_split, recipe.val_split, recipe.test_split))
    known = about(recipe.data)
    if recipe.train_split == recipe.test_split or (
        known and (recipe.test_split, recipe.train_split) in known.nested
    ):
        raise ValueError(
            f"recipe {recipe.name} scores {recipe.test_split}, which its training split "
            f"{recipe.train_split} shows: name another with --set test_split= or train_split="
        )
    outcome = checked(recipe.data, root, list(names), progress=progress)
    if outcome.refused:
        raise DataError(
            f"{recipe.data} is refused for {len(outcome.errors)} errors, the first: "
            f"{outcome.errors[0]}; "
            f"python -m experiments.data check {recipe.data} --data-root {root} shows them all"
        )
    for name in names:
        if outcome.inspected and not any(outcome.splits[name].pixels):
            raise DataError(
                f"the split {name} of {recipe.data} has no label that is scored: name another, as "
                "--set test_split=val"
            )
    sizes = set(outcome.splits[recipe.train_split].sizes)
    if recipe.crop_on == "device" and len(sizes) > 1:
        raise ValueError(
            f"the training images of {recipe.data} have {len(sizes)} sizes, and crops on the "
            "device need one: --set crop_on=workers"
        )
    weights, classes = recipe.class_weights, len(outcome.classes)
    if weights is not None and len(weights) != classes:
        raise ValueError(
            f"recipe {recipe.name} weighs {len(weights)} classes and {recipe.data} has {classes}: "
            "give a weight for each (--set class_weights=1,2,...) or --set class_weights=none"
        )
    return outcome


def data_hash(recipe: Recipe, root: Path | None) -> str:
    """Hash of the content of the training and the evaluation split.

    Raises:
        ValueError: as `check_data`.
    """
    splits = check_data(recipe, root).splits
    return short_hash([splits[s].fingerprint for s in (recipe.train_split, recipe.test_split)])


def _describe(holder: Path) -> str:
    try:
        held = json.loads(holder.read_text())
    except (OSError, ValueError):  # its process is between taking the lock and saying so
        return "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(held["start"]))
    return f"process {held['pid']} on {held['host']} since {since}"


def seed_folder(seed: int, tuned: bool, repeat: int) -> str:
    """The innermost folder of a trial's result."""
    return f"seed{seed}{'-tuned' * tuned}" + (f"-repeat{repeat}" if repeat else "")


def slug(name: str) -> str:
    """A name as a folder: `:` and `/` are not allowed everywhere."""
    return re.sub(r"[:/\s]+", "-", name)


def stale_results(results: list[Result]) -> set[str]:
    """Paths of finished results that other code than the present made."""
    return {
        str(r.path)
        for r in results
        if r.done and r["hashes"]["code"] not in (None, _code_hash_now(r))
    }


def _code_hash_now(result: Result) -> str | None:
    try:
        return code_hash(result["model"], result["recipe"]["data"])
    except (KeyError, ValueError):  # a network or data set that is no more
        return None
