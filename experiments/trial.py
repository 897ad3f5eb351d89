"""What a trial is: one recipe, network and seed; its folder, its hashes and its lock."""

import ast
import hashlib
import json
import os
import platform
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from datamodules.table import DATASETS
from experiments.recipes import Recipe, short_hash
from experiments.store import SCHEMA
from models import parse_model
from models.table import MODELS

ROOT = Path(__file__).parents[1]


class BusyError(RuntimeError):
    """Another process holds the trial; the message names it."""


@dataclass(frozen=True)
class Trial:
    """One cell of a comparison. Same trial, same result file."""

    recipe: Recipe
    model: str
    seed: int
    out: Path

    @property
    def folder(self) -> Path:
        return self.out / slug(self.recipe.name) / slug(self.model) / f"seed{self.seed}"

    @property
    def result_path(self) -> Path:
        return self.folder / "result.json"

    @property
    def init_seed(self) -> int:
        return self.seed if self.recipe.init_seed is None else self.recipe.init_seed

    @property
    def data_seed(self) -> int:
        return self.seed if self.recipe.data_seed is None else self.recipe.data_seed

    def identity(self) -> dict[str, Any]:
        """What every result says, however the trial ended."""
        return {
            "schema": SCHEMA,
            "recipe": json.loads(json.dumps(asdict(self.recipe))),
            "model": self.model,
            "seed": self.seed,
            "init_seed": self.init_seed,
            "data_seed": self.data_seed,
            "protocol": self.recipe.protocol,
            "hashes": {
                "recipe": self.recipe.hash(),
                "protocol": short_hash(self.recipe.protocol),
                "code": code_hash(self.model, self.recipe.data),
            },
            "environment": {"python": platform.python_version(), "machine": platform.machine()},
        }

    def id(self) -> str:
        """Names the trial in W&B and in comparisons, on any machine."""
        return short_hash([self.recipe.hash(), self.model, self.seed])

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
            raise BusyError(
                f"{self.model} seed {self.seed} is held by {_describe(holder)}"
            ) from None
        try:
            me = {"pid": os.getpid(), "host": socket.gethostname(), "start": time.time()}
            holder.write_text(json.dumps(me))
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


def _describe(holder: Path) -> str:
    try:
        held = json.loads(holder.read_text())
    except (OSError, ValueError):  # its process is between taking the lock and saying so
        return "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(held["start"]))
    return f"process {held['pid']} on {held['host']} since {since}"


def slug(name: str) -> str:
    """A name as a folder: `:` and `/` are not allowed everywhere."""
    return re.sub(r"[:/\s]+", "-", name)


@cache
def code_hash(model: str, data: str) -> str:
    """Hash of the source that a trial's numbers come from.

    The network's file, the data set's file, the training code, and every file of the project that
    these import; docstrings, comments and layout do not count, nor do tables of names.
    """
    name, _ = parse_model(model)
    entries = [MODELS[name], DATASETS[data.split(":")[0]]]
    roots = ["experiments.fit", *(entry.split(":")[0] for entry in entries)]
    digest = hashlib.sha256(" ".join(entries).encode())
    for module in sorted(_reached(roots)):
        digest.update(module.encode())
        digest.update(_meaning(module).encode())
    return digest.hexdigest()[:12]


_NOT_NUMBERS = ("experiments.recipes", "experiments.trial", "models.table", "datamodules.table")


def _reached(roots: list[str]) -> set[str]:
    """Modules of the project that the roots import, directly or not."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        module = todo.pop()
        if module in found or module in _NOT_NUMBERS or _source(module) is None:
            continue
        found.add(module)
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.ImportFrom) and node.module:
                todo += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
    return found


def _source(module: str) -> Path | None:
    if module.split(".")[0] not in ("models", "datamodules", "lightning_modules", "experiments"):
        return None
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _source(module)
    assert path is not None
    return ast.parse(path.read_text())


def _meaning(module: str) -> str:
    """The code of a module without docstrings; comments and layout are gone once parsed."""
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                s
                for s in body
                if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            ]
    return ast.dump(tree)
