"""The sentences of the layout: who imports whom, and what starts without torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure_counts import PACKAGES, Structure

ROOT = Path(__file__).parents[1]
CODE = Structure(ROOT)
ROOMS = {  # of experiments, with the rooms that each may import
    "trials": set[str](),
    "scoring": {"trials"},
    "costs": {"trials"},
    "speed": {"trials", "costs"},
    "analysis": {"trials", "scoring"},
    "training": {"trials", "scoring", "costs", "speed"},
    "reporting": {"trials", "scoring", "analysis", "costs", "speed"},
    "engines": {"trials"},
    "comparison": {
        "trials",
        "scoring",
        "analysis",
        "costs",
        "speed",
        "training",
        "reporting",
        "engines",
    },
    "claims": {"trials", "scoring", "analysis", "costs", "training", "comparison"},
    "lecture_report": {"trials", "scoring", "analysis", "costs", "reporting", "claims"},
}
WITH_TORCH = {"costs", "speed", "training"}  # a notebook or a report starts without them
# A recipe is looked up by name where the command line names it, and nowhere else.
EXCEPTION = ("experiments.trials.overrides", "experiments.recipes")
DATA_ORDER = (  # of datamodules; each may import those before it
    {"json_file", "clutter", "file_names", "palettes", "image_decoding", "parent_process"},
    {"sealed_json"},
    {"labels"},
    {"imagenet_statistics", "whole_file"},
    {"dataset"},
    {"image_files"},
    {"http_download"},
    {"download", "holdout", "joined", "parts"},
    {"datasets"},
    {"registry"},
    {""},
    {"loading", "validation"},
)
SUFFIXES = (".py", ".md", ".json", ".toml", ".csv", ".j2", ".js", ".css", ".ipynb", ".lock", ".yml")


def room(module: str) -> str:
    """The part of its package that a module belongs to; empty for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def wrong_imports() -> list[str]:
    """Imports that go against the layout, as `file:line imports module`."""
    found = []
    for module, imports in CODE.imports.items():
        for one in imports:
            if one.module != module and not allowed(module, one.module):
                path = CODE.paths[module].relative_to(ROOT)
                found.append(f"{path}:{one.line} imports {one.module}")
    return found


def allowed(module: str, imported: str) -> bool:
    package, other = module.split(".")[0], imported.split(".")[0]
    packages = {
        "models": {"models"},
        "datamodules": {"datamodules"},
        "lightning_modules": {"models", "datamodules", "lightning_modules"},
        "experiments": set(PACKAGES),
    }
    if other not in packages[package]:
        return False
    if package == "experiments" and other == "experiments":
        return within_experiments(module, imported)
    if package == "experiments":
        torch_only = other == "lightning_modules" and room(module) in set(ROOMS) - WITH_TORCH
        return not torch_only
    return True


def within_experiments(module: str, imported: str) -> bool:
    here, there = room(module), room(imported)
    if there == "" or (module, imported) == EXCEPTION:  # the package itself holds the version
        return True
    if module == "experiments.recipes":
        return imported == "experiments.trials.recipe"
    if here in ROOMS:
        return there in ROOMS[here] | {here}
    return there in ROOMS or imported == "experiments.recipes"  # a command


def test_data_flows_one_way() -> None:
    assert wrong_imports() == []


def test_a_wrong_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "experiments.trials.trial": "experiments.scoring.metrics",
        "experiments.reporting.tables": "experiments.training.trainer",
        "experiments.analysis.evidence": "experiments.compare",
        "experiments.run": "experiments.compare",
        "datamodules.labels": "models",
        "models.unet": "lightning_modules.losses",
        "experiments.scoring.counts": "lightning_modules.confusion_matrix",
    }
    assert [pair for pair in wrong.items() if allowed(*pair)] == []
    tree = ast.parse("def late():\n    from experiments.scoring.metrics import score_folder\n")
    monkeypatch.setitem(CODE.trees, "experiments.trials.trial", tree)
    monkeypatch.setattr(CODE, "imports", {name: list(CODE._imports(name)) for name in CODE.trees})
    (found,) = wrong_imports()
    assert found == "experiments/trials/trial.py:2 imports experiments.scoring.metrics"


def test_data_sets_are_read_in_one_order() -> None:
    place = {name: i for i, names in enumerate(DATA_ORDER) for name in names}
    for module, imports in CODE.imports.items():
        if module.split(".")[0] == "datamodules":
            for one in imports:
                here, there = place[room(module)], place[room(one.module)]
                assert there <= here, f"{module}:{one.line} imports {one.module}"


def test_the_house_stays_small() -> None:
    """Figures that issue and design name; what grows beyond them hides its structure."""
    commands = set(CODE.commands)
    assert CODE.circles() == []
    assert CODE.num_levels() <= 12
    assert len(list((ROOT / "experiments").glob("*.py"))) <= 16
    for module, imported in CODE.graph.items():
        assert len(imported) <= (12 if module in commands else 8), (module, sorted(imported))
    assert CODE.num_any("experiments") <= 30
    assert CODE.num_namespaces("experiments") <= 2 * len(commands)
    for module, blocks in CODE.function_import_blocks().items():
        if module in commands:
            assert blocks <= 1, module


def test_only_costs_and_training_import_torch() -> None:
    heavy = {"torch", "torchvision", "lightning", "timm"}
    for module, tree in CODE.trees.items():
        if room(module) in set(ROOMS) - WITH_TORCH and module.startswith("experiments."):
            for node in ast.walk(tree):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
                assert not {name.split(".")[0] for name in names} & heavy, module


def test_reading_results_needs_no_torch() -> None:
    modules = [
        name
        for name in CODE.paths
        if name.startswith("experiments") and room(name) not in WITH_TORCH
    ]
    script = "import sys\n" + "\n".join(f"import {name}" for name in sorted(modules))
    script += "\nprint({'torch', 'lightning', 'timm'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_every_name_in_the_registries_exists() -> None:
    from datamodules.registry import DATASETS
    from models.registry import MODELS

    for entry in (*MODELS.values(), *DATASETS.values()):
        module, name = entry.split(":")
        names = {
            node.name
            for node in CODE.trees[module].body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        assert name in names


def test_tests_share_helpers_in_plain_modules_and_import_nothing_private() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                ours = node.module.split(".")[0] in (*PACKAGES, "tests")
                private = [a.name for a in node.names if re.match("_(?!_)", a.name)]
                assert not (ours and private), f"{path.name}:{node.lineno} imports {private}"
                last = node.module.split(".")[-1]
                assert not last.startswith("test_"), f"{path.name}:{node.lineno} imports {last}"


def test_no_path_of_a_machine_is_committed() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert files
    for name in filter(None, files):
        if name.endswith((*SUFFIXES, "Makefile")) and (ROOT / name).is_file():
            text = (ROOT / name).read_text()
            for path in ("/home" + "/", "/root" + "/", "/work" + "/"):
                assert path not in text, name
