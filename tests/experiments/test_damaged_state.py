"""Every file that is read back, damaged in every way, under every command that reads it.

A command goes on and says what it made again, or ends with one sentence that names the file, before
it trains. All cases run with WHOLE=1, a sample without; the tests say how many there were.
"""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments import stage

SPEC = "streets:height=48:width=64:train=24:val=4:test=6"
EVERY = 1 if os.environ.get("WHOLE") else 13  # of the cases one is run
ARGUMENTS = {
    "compare": ["--recipe", "smoke", "--wandb", "off", "--models", "{models}"],
    "report": ["runs/smoke"],
    "evidence": ["runs/smoke"],
    "score": ["--again", "runs/smoke", "--jobs", "1"],
    "evaluate": [
        *("weights.pt", "--model", "unet:width=4", "--data", SPEC),
        *("--add", "runs/smoke", "--out", "evaluated"),
    ],
    "verify": ["runs/smoke", "--steps", "12"],
    "wandb_mirror": ["runs/smoke"],
}
TRIAL = "runs/smoke/unet-width=4/seed0"
READS = {  # by whom
    f"{TRIAL}/result.json": set(ARGUMENTS),
    f"{TRIAL}/per_image.npz": {"compare", "report", "evidence", "evaluate", "wandb_mirror"},
    f"{TRIAL}/verification.json": {"compare", "report", "evaluate", "score"},
    f"{TRIAL}/metrics.jsonl": {"wandb_mirror"},
    "runs/smoke/unet-width=6/seed0/trial.json": {"compare"},
    "runs/smoke/position-prior.json": {"compare", "report", "evidence", "score", "wandb_mirror"},
    "evaluated/evaluation.json": {"evaluate"},
}
# What is made again, each by whom; nothing else may pass over damage.
MADE = {
    ("position-prior.json", "compare"),
    ("per_image.npz", "score"),
    ("verification.json", "verify"),
    ("metrics.jsonl", "wandb_mirror"),
}
OPTIONAL = {"result.json", "verification.json", "metrics.jsonl", "trial.json"} | {
    "position-prior.json", "evaluation.json",
}  # fmt: skip


def _text(change: Callable[[str], str]) -> Callable[[Path, Path], None]:
    return lambda path, _: _write(path, change(path.read_text()).encode())


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path, _: Path) -> None:
    """Whoever opens it gets an error of the system, also a superuser."""
    path.unlink()
    path.symlink_to(path.name)


def _cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


ANY = {
    "missing": lambda path, _: path.unlink(),
    "empty": lambda path, _: _write(path, b""),
    "cut": _cut,
    "zeros": lambda path, _: _write(path, bytes(path.stat().st_size)),
    "a folder": _folder,
    "a loop": _loop,
}
JSON = ANY | {
    "not UTF-8": lambda path, _: _write(path, path.read_bytes() + b"\xff"),
    "a list": lambda path, _: _write(path, b"[1, 2]"),
    "a text": lambda path, _: _write(path, b'"x"'),
    "null": lambda path, _: _write(path, b"null"),
    "an empty object": lambda path, _: _write(path, b"{}"),
    "deep": lambda path, _: _write(path, b'{"a":' * 100_000),
    "long number": lambda path, _: _write(path, b'{"schema": ' + b"9" * 5000 + b"}"),
    "of another version": _text(lambda text: json.dumps(json.loads(text) | {"schema": 9})),
}
NPZ = ANY | {
    "no archive": lambda path, _: _write(path, b"numbers"),
    "another array": lambda path, _: _array(path),
    "without an array": lambda path, _: _arrays(path, lambda a: a.pop("tp")),
    "NaN": lambda path, _: _arrays(path, lambda a: a.update(tp=np.full(a["tp"].shape, np.nan))),
    "another shape": lambda path, _: _arrays(path, lambda a: a.update(tp=a["tp"][1:])),
    "objects": lambda path, _: _arrays(path, lambda a: a.update(tp=np.array([{}], object))),
    "a huge header": lambda path, _: _huge(path),
    "of another file": lambda path, root: _write(path, _other(path, root)),
}


def _array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def _arrays(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with np.load(path) as arrays:
        found = dict(arrays)
    change(found)
    np.savez(path, **found)


def _huge(path: Path) -> None:
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (12345678901234,), }"
    header = header.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "tp.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )


def _other(path: Path, root: Path) -> bytes:
    """The same file of another trial; of what there is once, another file."""
    same = [other for other in root.rglob(path.name) if other != path]
    return (same[0] if same else root / "runs/smoke/unet-width=5/seed0/result.json").read_bytes()


Keys = tuple[str | int, ...]
# Without these a file says too little; what else it lacks has a value that stands for it.
NEEDED = {
    *("model", "seed", "protocol", "hashes", "data", "confusion", "metrics", "version", "recipe"),
    *("hashes.recipe", "hashes.data", "hashes.protocol", "hashes.code", "protocol.split"),
    *("data.name", "data.split", "data.num_images", "data.classes", "data.block"),
    *("metrics.miou", "metrics.pixel_accuracy", "metrics.num_classes_counted", "metrics.iou"),
    *("metrics.iou.Sky", "metrics.bands.within", "metrics.objects.width", "protocol.passes"),
    *("recipe.name", "recipe.crop", "recipe.batch", "recipe.steps", "recipe.lr"),
    *("steps", "num_losses", "outcome", "largest", "differs_from", "code", "hardware", "weights"),
}


def _keys(value: object, above: Keys = ()) -> Iterator[tuple[Keys, object]]:
    """Every key of nested objects with its value; of lists the first item alone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*above, key), inner
            yield from _keys(inner, (*above, key))
    elif isinstance(value, list) and value:
        yield from _keys(value[0], (*above, 0))


def _breaks(keys: Keys, value: object) -> list[str]:
    """In which ways a field cannot be taken for another value that it might have."""
    found = ["gone"] if ".".join(map(str, keys)) in NEEDED else []
    if isinstance(value, int | float) and not isinstance(value, bool):
        found += ["a text", "NaN"]
    if isinstance(value, dict | str | list) and keys != ("data",):
        found.append("a list")
    return found


def _changed(content: object, keys: tuple[str | int, ...], change: str) -> object:
    record = json.loads(json.dumps(content))
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    if change == "gone":
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = {"a text": "x", "NaN": float("nan"), "a list": [[[]]]}[change]
    return record


Case = tuple[str, str, str, Callable[[Path, Path], None]]  # file, damage, command, how


def cases(made: Path) -> list[Case]:
    found: list[Case] = []
    for file, commands in READS.items():
        damages = dict(NPZ if file.endswith(".npz") else JSON)
        if file.endswith(".jsonl"):  # of which a line has no version, and that may have none
            del damages["of another version"], damages["empty"]
        if file.endswith(".json"):
            content = json.loads((made / file).read_text())
            for keys, value in _keys(content):
                for change in _breaks(keys, value):
                    record = _changed(content, keys, change)
                    name = f"{'.'.join(map(str, keys))} {change}"
                    damages[name] = lambda path, _, record=record: _write(
                        path, json.dumps(record).encode()
                    )
        makers = {command for name, command in MADE if file.endswith(name)}
        for command in sorted(commands | makers):
            some = list(damages.items())
            if file.endswith("result.json") and command != "verify":  # which trains what it says
                some.append(
                    ("of another trial", lambda path, root: _write(path, _other(path, root)))
                )
            # Each field once is enough, by whichever command.
            whole = [(n, h) for n, h in some if n in (*JSON, *NPZ, "of another trial")]
            fields = [pair for pair in some if pair not in whole]
            place = sorted(commands | makers).index(command)
            some = whole + fields[place :: len(commands | makers)]
            found += [(file, name, command, how) for name, how in some]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "root"
    stage.build(root)
    aside = stage.copy(root, root.with_name("aside"))
    done = stage.call("evaluate", ARGUMENTS["evaluate"], aside)
    assert done.status == 0, done.err
    shutil.copytree(aside / "evaluated", root / "evaluated")  # and not what it added
    return root


def wrong(case: Case, root: Path) -> str:
    """Why the outcome is not right; empty where it is."""
    file, damage, command, _ = case
    models = ",".join((*stage.MODELS, stage.STARTED, stage.NEW))
    done = stage.call(command, [arg.format(models=models) for arg in ARGUMENTS[command]], root)
    name = Path(file).name
    if done.hangs:
        return "hangs"
    if done.status is None:
        return f"traceback: {done.err.strip().splitlines()[-1]}"
    if done.status:
        lines = done.err.strip().splitlines()
        if done.trained and command == "compare":
            return "refused after training"
        names = (name, str(Path(file).parent), "unet:width=4")
        if (
            len(lines) != 1
            or not any(one in lines[0] for one in names)
            or re.search(r"Errno|Traceback", lines[0])
        ):
            return f"no sentence with the file: {done.err[-300:]!r}"
        return ""
    if damage == "missing" and name in OPTIONAL:
        return ""
    if (name, command) in MADE:
        said = name in done.out + done.err or command in ("score", "verify")
        return "" if said else "made again without a word"
    return "passed over in silence"


def test_damage_is_made_good_or_named(made: Path, tmp_path: Path) -> None:
    every = cases(made)
    some = every[::EVERY]
    failures = []
    for case in some:
        root = stage.copy(made, tmp_path / "root")
        case[3](root / case[0], root)
        reason = wrong(case, root)
        if reason:
            failures.append(f"{case[0]}, {case[1]}, {case[2]}: {reason}")
    print(f"{len(some)} of {len(every)} cases, {len(failures)} wrong")
    assert not failures, "\n".join([f"{len(failures)} of {len(some)} are wrong", *failures])
