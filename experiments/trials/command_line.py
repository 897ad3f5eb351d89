"""What every command takes from its command line, and how it says what is wrong with it.

The functions are types of argparse: each gives a value or refuses the text in one sentence, before
any work. Nothing here brings pydantic or rich, which `--help` does without.
"""

import argparse
import io
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from models.registry import MIN_SIDE

MOST = 1_000_000  # of what is counted where nothing else bounds it
MOST_PROCESSES = 1024  # of one kind, on one machine
MAX_SEED = 2**64 - 1  # torch's generators take no more
MAX_SIDE = 2**16  # pixels of an image
MAX_NAME = 200  # characters of a name that becomes a folder
RUNS_CODE = "name, or file.py:function, which runs the code of that file"

# What a terminal obeys instead of showing it: control characters but tabs and line ends, marks that
# turn the direction of text, other line ends, and halves of characters, as of names in no encoding.
_UNSEEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and lets any text be printed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        print_any_text()

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        complain(re.sub(r"^argument (\S+): is ", r"\1 is ", message).removeprefix("argument "))
        self.exit(2)


def print_any_text() -> None:
    """From now on print by its number what the terminal's encoding lacks, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def visible(text: str) -> str:
    r"""The text with `\x1b` and the like for what would be obeyed or not be seen."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """Print a line of which parts may be anybody's, as paths and names."""
    print(visible(text), flush=True)


def complain(error: object) -> None:
    """Say on the standard error what is wrong."""
    print(visible(_sentence(error)), file=sys.stderr)


def _sentence(error: object) -> str:
    if isinstance(error, UnicodeEncodeError):
        lacks = error.object[error.start : error.end]
        return (
            f"{lacks!r} cannot be a name or text in the encoding of this system "
            f"({error.encoding}): set PYTHONUTF8=1, or a UTF-8 locale"
        )
    if isinstance(error, OSError) and error.strerror and error.filename:
        name = error.filename2 or error.filename  # of a file that is moved, where to
        return f"cannot use {name}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    return str(error) or f"{type(error).__name__}, of which nothing more is known"


def whole(low: int, high: int = MOST, need: str = "") -> Callable[[str], int]:
    """A whole number of a range, both ends included.

    Args:
        need: what else to say of it than the range.
    """

    def convert(text: str) -> int:
        found = re.fullmatch(r"[+-]?[0-9]{1,20}", text)
        if found is None or not low <= int(text) <= high:
            raise _refused(text, need or f"give a whole number from {low} to {high}")
        return int(text)

    return convert


def part(text: str) -> tuple[int, int]:
    """One of several parts, as 2/16: its number, from 1, and that of all."""
    found = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= MOST:
        raise _refused(text, f"give the number of a part and of all, from 1/1 to {MOST}/{MOST}")
    return int(found[1]), int(found[2])


def points(text: str) -> float:
    """A difference of mIoU in points."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 100:  # nan neither
        raise _refused(text, "give points of mIoU above 0 and below 100")
    return value


seed = whole(0, MAX_SEED)


def seeds(text: str) -> tuple[int, ...]:
    """Seeds with commas between."""
    need = f"give whole numbers from 0 to {MAX_SEED}, each once, as 0,1,2"
    convert = whole(0, MAX_SEED, need)
    try:
        found = tuple(convert(part.strip()) for part in text.split(","))
    except argparse.ArgumentTypeError:
        raise _refused(text, need) from None
    if len({*found}) < len(found):
        raise _refused(text, need)
    return found


def size(text: str) -> tuple[int, int]:
    """Height and width, of sides that a network takes, as 1024x2048."""
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not MIN_SIDE <= min(sides) <= max(sides) <= MAX_SIDE:
        raise _refused(
            text, f"give height x width of at least {MIN_SIDE} and at most {MAX_SIDE}, as 360x480"
        )
    return sides


def words(text: str) -> str:
    """A text that says something."""
    if not text.strip():
        raise _refused(text, "it is empty: leave the option out, or give it a value")
    if visible(text) != text:
        raise _refused(text, "it holds a character that cannot be seen")
    return text


def names(text: str) -> tuple[str, ...]:
    """Networks with commas between."""
    found = tuple(part.strip() for part in words(text).split(",") if part.strip())
    if not found:
        raise _refused(text, "it names nothing; give names with commas between")
    return found


def some_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Some of the known words, with commas between, each once."""
    words = tuple(known)

    def convert(text: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in text.split(","))
        if {*found} - {*words} or len({*found}) < len(found):
            raise _refused(text, f"give some of {', '.join(words)}, each once, with commas between")
        return found

    return convert


def title(text: str) -> str:
    """A name that tables show and that becomes a folder."""
    if text.strip(".") == "" or "\n" in words(text) or len(text) > MAX_NAME:
        raise _refused(text, f"give a name of 1 to {MAX_NAME} characters")
    return text


def path(text: str) -> Path:
    """Something on disk, there or not."""
    if text == "":
        raise _refused(text, "give a path; . is the folder you are in")
    if "\0" in text:
        raise _refused(text, "no path holds the character NUL")
    found = Path(text)
    try:
        found.exists()
    except OSError as error:
        raise _refused(text, f"no path can be that ({error.strerror})") from None
    return found


def folder(text: str) -> Path:
    """A folder, which need not be there."""
    found = path(text)
    if found.exists() and not found.is_dir():
        raise _refused(text, "it is a file: give a folder")
    return found


def file(text: str) -> Path:
    """A file to be written."""
    found = path(text)
    if found.is_dir():
        raise argparse.ArgumentTypeError(f"is {visible(text)}, a folder: give a file in it")
    if found.exists() and not found.is_file():  # a device, which a file would take the place of
        raise _refused(text, "it is no file: give one, which is written anew")
    return found


def _refused(text: str, need: str) -> argparse.ArgumentTypeError:
    shown = text if re.fullmatch(r"[\w.+-]{1,60}", text, re.ASCII) else repr(text)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return argparse.ArgumentTypeError(f"is {shown}: {need}")
