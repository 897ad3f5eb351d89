"""Letters that the usual font lacks, as Korean ones: an installed font that has them, or a word."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.trials.command_line import complain, visible

if TYPE_CHECKING:  # matplotlib is imported where a figure is drawn, so that --help needs none
    from matplotlib.figure import Figure

_USUAL = re.compile("[\0-\u024f\u2000-\u206f]")  # what the font of pictures has
_USABLE = (".ttf", ".otf")  # collections cannot be put into a PDF


def show_every_letter(figure: "Figure") -> None:
    """Have a figure drawn with fonts for all its letters, and its names as they are.

    A dollar in a name begins no formula. Where no installed font has a letter, that is said once.
    """
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    for text in texts:
        text.set_text(visible(text.get_text()))
        if "\\mathdefault" not in text.get_text():  # matplotlib's own numbers
            text.set_parse_math(False)
    letters = {letter for text in texts for letter in text.get_text() if not letter.isspace()}
    lacking = letters - _letters(Path(findfont(FontProperties())))
    if not lacking:
        return
    names = [FontProperties(fname=path).get_name() for path in _files(lacking)]
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *names])


def file_with(text: str) -> Path | None:
    """An installed font for a text of which the font of pictures has not every letter.

    None where that font has them, or where no single one has, which is said once.
    """
    lacking = {*_USUAL.sub("", text)}
    files = _files(lacking) if lacking else []
    return files[0] if files else None


def _files(lacking: Iterable[str]) -> list[Path]:
    """Installed fonts that have these letters, together as many as possible, the best first."""
    from matplotlib.font_manager import fontManager

    found, left = [], {*lacking}
    # matplotlib's own Last Resort has a box for every letter there is.
    files = {Path(f.fname) for f in fontManager.ttflist if not f.name.startswith("Last Resort")}
    usable = sorted(path for path in files if path.suffix.lower() in _USABLE)
    while left and usable:
        best = max(usable, key=lambda path: len(left & _letters(path)))
        if not left & _letters(best):
            break
        found.append(best)
        left -= _letters(best)
    if left:
        say_lacking("".join(sorted(left)))
    return found


@cache
def _letters(path: Path) -> frozenset[str]:
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # a damaged font, or one that is gone
        return frozenset()


@cache
def say_lacking(letters: str) -> None:
    few = letters if len(letters) <= 12 else f"{letters[:12]} and {len(letters) - 12} more"
    complain(
        f"no installed font has the letters {few}: they are boxes in pictures until there is one, "
        "as Noto Sans KR"
    )
