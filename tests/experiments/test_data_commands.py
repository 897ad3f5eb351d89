"""Command lines that nobody should type: each ends soon, in words, and never in a traceback."""

import itertools
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import data
from tests.trees import ade20k, camvid, cityscapes, coco, folder, voc2012

TREES = {
    "camvid": camvid.build,
    "cityscapes": cityscapes.build,
    "coco": coco.build,
    "folder": folder.build,
    "voc2012": voc2012.build,
    "ade20k": ade20k.build,
}
NAMES = [
    *TREES,
    *("", "camvidd", "folder:", "folder:x=1", "coco:split=val", "../camvid", "camvid\0", "서울"),
    *("streets:train=2:val=1:test=1:height=48:width=64", "streets:height=x", "streets:train=0"),
    *("streets:height=-5", "streets:width=1", "streets:height"),
]
SPLITS = [
    "train",
    "val",
    "test",
    "valid",
    "",
    "..",
    "train,val",
    "train~held",
    "train~x",
    "~",
    "\0",
]
NUMBERS = ["1", "2", "1000", "0", "-1", "1.5", "x", "", "nan"]
MIRRORS = ["http://127.0.0.1:9/x", "https://", "http://127.0.0.1:9", "", "x", "ftp://a"]
OUTPUTS = ["new", "new/deep/er", "", "file", "file/x", "loop", "full", "n" * 300, "a\0b"]


class HangError(BaseException):
    """Is caught by nobody else."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of each set, whole and with one of its files or folders gone or put elsewhere."""
    top = tmp_path_factory.mktemp("places")
    for name, build in TREES.items():
        build(top / name)
        rng = random.Random(name)
        for number in range(4):
            root = top / f"{name}-{number}"
            shutil.copytree(top / name, root, symlinks=True)
            paths = sorted(root.rglob("*"))
            victim = rng.choice([path for path in paths if path.is_dir() or number > 1])
            _harm(victim, number)
    (top / "empty").mkdir()
    (top / "file").write_text("x")
    (top / "loop").symlink_to("loop")
    (top / "full").mkdir()
    (top / "full/x").touch()
    return top


def _harm(path: Path, number: int) -> None:
    kept = path.with_name("kept-elsewhere")
    path.rename(kept)
    if number == 1:
        path.write_text("a file where a folder was")
    elif number == 2:
        os.mkfifo(path)
    elif number == 3:
        path.symlink_to(path.name)
    if kept.is_dir():
        shutil.rmtree(kept)
    else:
        kept.unlink()


def _lines(places: Path, number: int, seed: int) -> Iterator[list[str]]:
    rng = random.Random(seed)
    roots = [path.name for path in sorted(places.iterdir())] + ["", "nowhere", "n" * 300, "a\0b"]
    verbs = itertools.cycle(["check", "show", "cache", "export", "check", "labels", "fetch"])
    for verb in itertools.islice(verbs, number):
        line = [verb, rng.choice([*TREES] if rng.random() < 0.75 else NAMES)]
        fitting = [root for root in roots if root.split("-")[0] == line[1]]
        if rng.random() < 0.9:
            root = rng.choice(fitting if fitting and rng.random() < 0.8 else roots)
            line += ["--data-root", str(places / root) if root else ""]
        options = {
            "check": {"--split": SPLITS, "--jobs": NUMBERS, "--again": [], "--deep": []},
            "show": {"--split": SPLITS, "--num": NUMBERS, "--output": OUTPUTS},
            "cache": {"--split": SPLITS, "--jobs": NUMBERS, "--rebuild": []},
            "export": {"--split": SPLITS, "--predictions": roots, "--output": OUTPUTS},
            "fetch": {"--mirror": MIRRORS},
        }.get(verb, {"--nonsense": ["x"]} if rng.random() < 0.1 else {})
        for option, values in options.items():
            often = {"fetch": 1.0, "export": 0.9}.get(verb, 0.4)  # nothing is fetched from afar
            if rng.random() < often:
                line += [
                    option,
                    *([rng.choice(values[: 3 if rng.random() < 0.7 else None])] if values else []),
                ]
        yield line


def _outcome(line: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """What became of a command line: its status, or what is wrong with how it ended."""

    def ring(*args: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(30)
    try:
        status = data.main(line)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 2
    except HangError:
        return f"hang: {line}"
    except BaseException as error:
        return f"traceback: {line} {error!r}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    out, err = capfd.readouterr()
    if "Traceback" in out + err:
        return f"traceback: {line} {err}"
    if not (out if status == 0 else out + err).strip():
        return f"silent: {line}"
    if status == 2 and "usage:" not in err and not 0 < len(err.splitlines()) <= 3:
        return f"many words: {line} {err}"
    return f"status {status}"


def _run(places: Path, number: int, seed: int, capfd: pytest.CaptureFixture[str]) -> Counter[str]:
    return Counter(_outcome(line, capfd) for line in _lines(places, number, seed))


@pytest.fixture(autouse=True)
def home(places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    monkeypatch.chdir(places)
    monkeypatch.setattr("datamodules.http_download.RETRY_WAITS", ())


def _check(outcomes: Counter[str], number: int) -> None:
    assert {name for name in outcomes if not name.startswith("status ")} == set()
    assert set(outcomes) <= {"status 0", "status 1", "status 2"}
    assert outcomes.total() == number and len(outcomes) == 3


def test_command_lines(places: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _check(_run(places, 150, 0, capfd), 150)


@pytest.mark.slow
def test_many_command_lines(places: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _check(_run(places, 600, 1, capfd), 600)
