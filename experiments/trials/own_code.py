"""A user's own functions, named as `file.py:function`."""

import ast
import hashlib
import importlib.util
import types
from collections.abc import Callable, Sequence
from pathlib import Path

from models.registry import nearest


def load_function(text: str, what: str) -> Callable[..., object]:
    """The function that `file.py:function` names.

    Args:
        what: it is to be, as "recipe".

    Raises:
        ValueError: no such file, or no such function in it.
    """
    path, _, function = text.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"no {what} file at {Path(path).absolute()}: give file.py:function")
    spec = importlib.util.spec_from_file_location(f"user_{what}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = [name for name, value in vars(module).items() if isinstance(value, types.FunctionType)]
    if function not in known:
        raise ValueError(f"{path} has no function {function!r}; {nearest(function, known)}")
    found: Callable[..., object] = getattr(module, function)
    return found


def files_hash(functions: Sequence[str]) -> str | None:
    """12 hex digits of the bytes of the files that these are in, none of which is run; or None.

    Raises:
        ValueError: a file that is not there, or has no such function.
    """
    digest = hashlib.sha256()
    for text in functions:
        path, _, function = text.rpartition(":")
        if not Path(path).is_file():
            raise ValueError(f"no file at {Path(path).absolute()}: give file.py:function")
        source = Path(path).read_bytes()
        try:
            body = ast.parse(source).body
        except SyntaxError as error:
            raise ValueError(f"{path} is no Python that runs ({error}): mend it") from None
        known = [node.name for node in body if isinstance(node, ast.FunctionDef)]
        if function not in known:
            raise ValueError(f"{path} has no function {function!r}; {nearest(function, known)}")
        digest.update(source)
    return digest.hexdigest()[:12] if functions else None
