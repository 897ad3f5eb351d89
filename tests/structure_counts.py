"""The structure of the code in figures, read from its source: `python -m tests.structure_counts`.

Another checkout is counted with its folder as argument, so that two commits can be compared.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = ("models", "datamodules", "lightning_modules", "experiments")


@dataclass(frozen=True)
class Import:
    """One import of a project module, and whether it stands in a function."""

    line: int
    module: str
    function: str | None


class Structure:
    """Modules of a checkout and who imports whom, wherever in a file the import stands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = {
            ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
            for package in PACKAGES
            for path in sorted((root / package).rglob("*.py"))
        }
        self.trees = {name: ast.parse(path.read_text()) for name, path in self.paths.items()}

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        return {name: list(self._imports(name)) for name in self.trees}

    def _imports(self, module: str) -> Iterator[Import]:
        for node, function in _with_function(self.trees[module]):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    name = inner if inner in self.paths else node.module
                    if name in self.paths:
                        yield Import(node.lineno, name, function)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in self.paths:
                        yield Import(node.lineno, alias.name, function)

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        return {
            name: {one.module for one in imports} - {name} for name, imports in self.imports.items()
        }

    @property
    def commands(self) -> list[str]:
        """Modules of `experiments` that can be typed as `python -m`."""
        flat = [name for name in self.paths if name.startswith("experiments.")]
        return [
            name
            for name in flat
            if name.count(".") == 1 and "__name__" in self.paths[name].read_text()
        ]

    def num_levels(self) -> int:
        """Modules on the longest chain of imports; circles count once."""
        depth: dict[str, int] = {}

        def of(module: str, above: tuple[str, ...]) -> int:
            if module in above:
                return 0
            if module not in depth:
                depth[module] = 1 + max(
                    (of(name, (*above, module)) for name in self.graph[module]), default=0
                )
            return depth[module]

        return max(of(module, ()) for module in self.graph)

    def circles(self) -> list[str]:
        """Chains of imports that end where they began, each once."""
        found: dict[frozenset[str], str] = {}
        done: set[str] = set()

        def walk(module: str, above: tuple[str, ...]) -> None:
            if module in above:
                circle = (*above[above.index(module) :], module)
                found.setdefault(frozenset(circle), " -> ".join(circle))
            elif module not in done:
                for name in sorted(self.graph[module]):
                    walk(name, (*above, module))
                done.add(module)

        for module in self.graph:
            walk(module, ())
        return list(found.values())

    def num_any(self, package: str) -> int:
        return sum(isinstance(node, ast.Name) and node.id == "Any" for node in self._nodes(package))

    def num_string_subscripts(self, package: str) -> int:
        """Places such as `result["metrics"]`, which no type checker follows."""
        return sum(
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
            for node in self._nodes(package)
        )

    def num_namespaces(self, package: str) -> int:
        """Parameters and returns that are an `argparse.Namespace`."""
        return sum(
            "Namespace" in ast.unparse(argument.annotation)
            for node in self._nodes(package)
            if isinstance(node, ast.FunctionDef)
            for argument in (*node.args.args, *node.args.kwonlyargs)
            if argument.annotation is not None
        )

    def _nodes(self, package: str) -> Iterator[ast.AST]:
        for name, tree in self.trees.items():
            if name.split(".")[0] == package:
                yield from ast.walk(tree)

    def function_import_blocks(self) -> dict[str, int]:
        """Functions of each module that import project modules."""
        blocks = {
            name: len({one.function for one in imports if one.function})
            for name, imports in self.imports.items()
        }
        return {name: count for name, count in blocks.items() if count}


def _with_function(tree: ast.Module) -> Iterator[tuple[ast.AST, str | None]]:
    """Every node with the outermost function around it."""
    todo: list[tuple[ast.AST, str | None]] = [(tree, None)]
    while todo:
        node, function = todo.pop()
        yield node, function
        inner = function
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function is None:
            inner = node.name
        todo += [(child, inner) for child in ast.iter_child_nodes(node)]


def widest(fan_out: Mapping[str, int]) -> str:
    first = sorted(fan_out.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{name} {count}" for name, count in first)


def main(root: Path) -> None:
    code = Structure(root)
    flat = list((root / "experiments").glob("*.py"))
    fan_out = {name: len(modules) for name, modules in code.graph.items()}
    circles, blocks = code.circles(), code.function_import_blocks()
    print(f"files flat in experiments/: {len(flat)}")
    print(f"levels of imports: {code.num_levels()}")
    print(f"circles: {len(circles)}")
    for circle in circles:
        print(f"  {circle}")
    commands = set(code.commands)
    print("widest commands:", widest({k: v for k, v in fan_out.items() if k in commands}))
    print("widest other files:", widest({k: v for k, v in fan_out.items() if k not in commands}))
    for name, count in (
        ("Any", code.num_any),
        ("string subscripts", code.num_string_subscripts),
        ("Namespace parameters", code.num_namespaces),
    ):
        print(f"{name} in experiments/: {count('experiments')}")
    print(f"functions that import: {sum(blocks.values())}, most: {widest(blocks)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
