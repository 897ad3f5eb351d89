"""Values of the command line: what is taken, and what is refused in one sentence."""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.trials import command_line as ask

Convert = Callable[[str], object]


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (ask.whole(1), "1", 1),
        (ask.whole(0), "+7", 7),
        (ask.seed, "18446744073709551615", 2**64 - 1),
        (ask.seeds, "0", (0,)),
        (ask.seeds, "2, 0,1", (2, 0, 1)),
        (ask.points, "0.5", 0.5),
        (ask.size, "33x2048", (33, 2048)),
        (ask.names, " hrnet, unet:width=9,", ("hrnet", "unet:width=9")),
        (ask.words, "유넷 [b]", "유넷 [b]"),
        (ask.title, "..a", "..a"),
        (ask.path, "nowhere/at all", Path("nowhere/at all")),
    ],
)
def test_what_is_meant(convert: Convert, text: str, value: object) -> None:
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "texts"),
    [
        (ask.whole(1, 9), ("0", "-1", "10", "", " ", "1.0", "1e0", "0x1", "1_0", "nan", "９")),
        (ask.whole(0), ("9" * 21, "9" * 5000, "--1")),
        (ask.seed, ("-1", "18446744073709551616", "none", "0.0")),
        (ask.seeds, ("0,0", "0,00", "a,b", "0-3", "0..2", "1,,2", ",", "", "0;1", f"1,{2**64}")),
        (ask.points, ("nan", "inf", "-inf", "0", "-1", "100", "", "1%", "1e-999")),
        (ask.size, ("", "64", "64x", "x64", "32x64", "64x32", "64X64", "64x64x64", "99999x64")),
        (ask.names, ("", ",", " , ", "unet\0", "\x1b[31munet")),
        (ask.words, ("", " ", "\t", "a\0b", "a\x1b]8;;x\x07", "a\u202eb", "a\udcffb")),
        (ask.title, ("", ".", "..", "...", "a\nb", "a\0b", "\x1b[2J", "x" * 201)),
        (ask.path, ("", "a\0b", "x" * 300, "x/" * 3000)),
    ],
)
def test_what_is_not_meant(convert: Convert, texts: tuple[str, ...]) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as error:
            convert(text)
        said = str(error.value)
        assert said.startswith("is ") and ": " in said and "\n" not in said
        assert ask.visible(said) == said and len(said) < 250


def test_places_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert ask.folder(str(tmp_path)) == tmp_path
    assert ask.folder(str(tmp_path / "new")) == tmp_path / "new"
    assert ask.file(str(tmp_path / "file")) == tmp_path / "file"
    for convert, text in (
        (ask.folder, str(tmp_path / "file")),
        (ask.folder, "/dev/null"),
        (ask.file, str(tmp_path)),
        (ask.file, "/dev/null"),  # which a file that is written whole would take the place of
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=": "):
            convert(text)


def test_a_parser_says_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ask.Parser(prog="x")
    parser.add_argument("--jobs", type=ask.whole(1, 8))
    parser.add_argument("--mode", choices=("on", "off"))
    for args, says in (
        (["--jobs", "0"], "--jobs is 0: give a whole number from 1 to 8\n"),
        (["--jobs", "\x1b[31m"], "--jobs is '\\x1b[31m': give a whole number from 1 to 8\n"),
        (["--jobs"], "--jobs: expected one argument\n"),
        (["--mode", "\x1b"], "--mode: invalid choice: '\\x1b' (choose from"),
        (["\x1b"], "unrecognized arguments: \\x1b\n"),
    ):
        with pytest.raises(SystemExit) as end:
            parser.parse_args(args)
        assert end.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(says.rstrip())


def test_errors_become_sentences(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def said(error: Exception) -> str:
        ask.complain(error)
        return capsys.readouterr().err

    with pytest.raises(OSError, match="none") as gone:
        (tmp_path / "none").read_text()
    assert said(gone.value) == f"cannot use {tmp_path}/none: no such file or directory\n"
    with pytest.raises(UnicodeEncodeError) as lacks:
        "길".encode("ascii")
    assert "PYTHONUTF8=1" in said(lacks.value)
    assert said(ValueError("a \x1b[31mred\u202e name")) == "a \\x1b[31mred\\u202e name\n"
    assert said(ValueError()) == "ValueError, of which nothing more is known\n"


def test_any_text_is_printed_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    ask.Parser()
    print("길 é \udcff")
    stream.flush()
    assert stream.buffer.getvalue() == b"\\uae38 \\xe9 \\udcff\n"


def test_what_is_seen_stays() -> None:
    for text in ("길\t차\n하늘", "café ⟨a⟩ 🚗", "नमस्ते", "العربية", "a\u200db"):
        assert ask.visible(text) == text
    for text in ("\0", "\x07", "\x1b[31m", "\x9b31m", "\u202e", "\u2066", "\u2028", "\ufeff"):
        assert ask.visible(text).isprintable()
