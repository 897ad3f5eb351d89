"""What can have happened to a file that the project reads back, as functions of its bytes."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return damage


def replaced(content: bytes) -> Damage:
    """The file with other bytes."""
    return _bytes(lambda before: content)


def _flip(content: bytes, seed: int) -> bytes:
    if not content:
        return b"\1"
    place = random.Random(seed).randrange(8 * len(content))
    changed = bytearray(content)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inner").touch()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _quietly(change: Callable[[bytes], bytes]) -> Damage:
    """With the size and the time of change as they were."""

    def damage(path: Path) -> None:
        stat = path.stat()
        path.write_bytes(change(path.read_bytes()))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    return damage


OF_BYTES: dict[str, Damage] = {
    "missing": Path.unlink,
    "empty": _bytes(lambda content: b""),
    "blank": _bytes(lambda content: b" \n"),
    "first half": _bytes(lambda content: content[: len(content) // 2]),
    "without its last byte": _bytes(lambda content: content[:-1]),
    "without its first byte": _bytes(lambda content: content[1:]),
    "twice": _bytes(lambda content: content + content),
    "not UTF-8": _bytes(lambda content: b"\xff\xfe" + content[2:]),
    "UTF-16": _bytes(lambda content: content.decode("latin-1").encode("utf-16")),
    "zeros": _bytes(lambda content: bytes(len(content))),
    "nested": _bytes(lambda content: b"[" * 100_000 + b"]" * 100_000),
    "long number": _bytes(lambda content: b"9" * 5000),
    "a folder": _folder,
    "a loop of links": _loop,
    **{f"bit {seed}": _quietly(partial(_flip, seed=seed)) for seed in range(5)},
    **{
        f"JSON {text}": replaced(text.encode())
        for text in ("[]", "{}", "null", "7", '"text"', "NaN", '{"version": NaN}')
    },
}
OTHERS: tuple[Any, ...] = (None, -1, 1e999, "text", [], {}, [[[]]], True)


def of_json(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object without each of its keys, and with values of other types, sizes and orders."""
    for key, value in content.items():
        yield f"without {key}", {k: v for k, v in content.items() if k != key}
        for other in OTHERS:
            yield f"{key} {other!r}", {**content, key: other}
        if isinstance(value, list) and value:
            yield f"{key} shorter", {**content, key: value[:-1]}
            yield f"{key} longer", {**content, key: [*value, value[0]]}
            yield f"{key} turned", {**content, key: value[::-1]}
    yield "one key more", {**content, "new": 1}


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def put_back(whole: Path, damaged: Path) -> None:
    """A tree as it was, with its times."""
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(whole, damaged, symlinks=True)
