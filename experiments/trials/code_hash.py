"""The source that a trial's numbers come from, as one hash."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from datamodules.registry import DATASETS
from models import builder, parse_model
from models.registry import FAMILIES, MODELS

ROOT = Path(__file__).parents[2]
# What they import and is no part of how numbers come about; a package stands for all in it.
_NOT_NUMBERS = (
    "datamodules.download",
    "datamodules.http_download",
    "datamodules.registry",
    "datamodules.validation",
    "experiments.recipes",
    "experiments.trials",
    "models.registry",
)


@cache
def code_hash(model: str, data: str) -> str:
    """Hash of the source that a trial's numbers come from.

    The network's file, the data set's file, the training code, and every file of the project that
    these import; docstrings, comments and layout do not count, nor do tables of names.
    """
    name, _ = parse_model(model)
    entries = [builder(name), DATASETS[data.split(":")[0]]]
    return _hash(["experiments.training.trainer"], entries)


@cache
def module_hash(module: str) -> str:
    """Hash of the source that numbers of a module of the project come from, whatever network and
    data set it is asked for; as `code_hash`."""
    return _hash([module], [*MODELS.values(), *FAMILIES.values(), *DATASETS.values()])


def _hash(modules: list[str], entries: list[str]) -> str:
    """
    Args:
        entries: of the registries, as `module:name`.
    """
    roots = [*modules, *(entry.split(":")[0] for entry in entries)]
    digest = hashlib.sha256(" ".join(entries).encode())
    for module in sorted(_reached(roots)):
        digest.update(module.encode())
        digest.update(_meaning(module).encode())
    return digest.hexdigest()[:12]


def _reached(roots: list[str]) -> set[str]:
    """Modules of the project that the roots import, directly or not."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        module = todo.pop()
        if module in found or _is_no_number(module) or _source(module) is None:
            continue
        found.add(module)
        todo += _imported(module)
    return found


# A comparison asks for the hashes of many networks, which share most of their modules.
@cache
def _imported(module: str) -> tuple[str, ...]:
    """What a module imports, anywhere in it; also names that may be no modules."""
    found: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(found)


def _is_no_number(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _NOT_NUMBERS)


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


@cache
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
