"""What can be compared: networks, recipes and data sets by name (`--list`)."""

import textwrap

from datamodules.registry import DATASETS
from experiments.trials.overrides import known_recipes
from models import known_models


def listing() -> str:
    """Models by their options, recipes with their first line, data sets."""
    lines = ["models (options)"]
    alike: dict[str, list[str]] = {}
    for name, kinds in known_models().items():
        options = ", ".join(f"{key}={kind}" for key, kind in kinds.items())
        alike.setdefault(options, []).append(name)
    for options, names in alike.items():
        for text, indent in ((", ".join(names), "  "), (options, "      ")):
            lines += textwrap.wrap(
                text, 79, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
    lines.append("recipes")
    lines += [f"  {name:22} {said}" for name, said in known_recipes().items()]
    lines.append("data sets")
    lines += [f"  {name}" for name in DATASETS]
    return "\n".join(lines)
