"""Files of our own: whole or not at all, and read only as they were written."""

import errno
import json
import os
import re
from pathlib import Path

import pytest

from datamodules.json_file import DamagedError
from datamodules.labels import DataError
from datamodules.sealed_json import seal, unseal
from datamodules.whole_file import write_whole

VALUE = {"version": 2, "ids": ["a", "b"], "서울": [1.5, None, True, "é\n"], "n": {"k": -(10**20)}}


def test_a_file_replaces_another_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / ("x" * 255)
    for content in (b"first", b"second"):
        write_whole(path, content, "make room")
        assert path.read_bytes() == content and os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"before")

    def full(draft: Path, content: bytes) -> int:
        with draft.open("wb") as file:
            file.write(content[:2])  # what still fits
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    text = f"{path} cannot be written (No space left on device): it takes 5 bytes; make room"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        write_whole(path, b"after", "make room")
    assert os.listdir(tmp_path) == ["kept"] and path.read_bytes() == b"before"


@pytest.mark.parametrize("place", ["file/x", "folder", "loop/x", f"{'n' * 256}"])
def test_places_that_no_file_can_have(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"cannot be written .*it takes 1 bytes; name another"):
        write_whole(tmp_path / place, b"x", "name another")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sealed_object_is_json_and_comes_back() -> None:
    sealed = seal(VALUE)
    assert unseal(sealed, "x", "y") == VALUE
    assert {key: value for key, value in json.loads(sealed).items() if key != "seal"} == VALUE


def test_every_flipped_bit_breaks_the_seal() -> None:
    sealed = seal(VALUE)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(DamagedError, match="^x .*: do y$"):
                unseal(bytes(changed), "x", "do y")
