"""The sentences of the layout: who imports whom, and what starts without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "datamodules", "lightning_modules", "experiments")
# The only ones that import torch; a notebook or a report starts without.
WITH_TORCH = {"cost", "fit", "match", "measure", "progress", "reading", "trace"}
SUFFIXES = (".py", ".md", ".json", ".toml", ".csv", ".j2", ".js", ".css", ".ipynb", ".lock")


def _imports(path: Path) -> set[str]:
    """Packages of the project that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
    return found & set(PACKAGES)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("models", {"models"}),
        ("datamodules", {"datamodules"}),
        ("lightning_modules", {"lightning_modules", "datamodules", "models"}),
    ],
)
def test_data_flows_one_way(package: str, allowed: set[str]) -> None:
    for path in (ROOT / package).glob("*.py"):
        assert _imports(path) <= allowed, path


def test_reading_results_needs_no_torch() -> None:
    found = {path.stem for path in (ROOT / "experiments").glob("*.py")}
    assert found > WITH_TORCH
    imports = "\n".join(f"import experiments.{name}" for name in sorted(found - WITH_TORCH))
    script = f"import sys\n{imports}\nprint({{'torch', 'lightning', 'timm'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_every_name_in_the_tables_exists() -> None:
    from datamodules.registry import DATASETS
    from models.registry import MODELS

    for entry in (*MODELS.values(), *DATASETS.values()):
        module, name = entry.split(":")
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
        names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        assert name in names


def test_no_path_of_a_machine_is_committed() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert files
    for name in filter(None, files):
        if name.endswith((*SUFFIXES, "Makefile")):
            text = (ROOT / name).read_text()
            for path in ("/home" + "/", "/root" + "/", "/work" + "/"):
                assert path not in text, name
