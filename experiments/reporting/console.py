"""The console of every command: what it is given is text, whatever it looks like."""

from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from experiments.trials.command_line import print_any_text, visible


class PlainConsole(Console):
    """Without markup, emoji codes and highlights; names come from data sets and from anybody.

    `[/b]` in a name would end a command, `[moving]` vanish, `:car:` become a picture, and an escape
    sequence would be obeyed.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        print_any_text()
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False
        )

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        **_: object,
    ) -> Text:
        """Every string on its way to the terminal comes through here, also those in tables."""
        return Text(visible(text), style=style, justify=justify, overflow=overflow)
