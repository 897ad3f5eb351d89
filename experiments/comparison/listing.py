"""What can be compared: networks, recipes and data sets by name (`--list`)."""

from datamodules.registry import DATASETS
from experiments.trials.overrides import known_recipes
from models import known_models


def listing() -> str:
    """Models with their options, recipes with their first line, data sets."""
    lines = ["models (options)"]
    for name, kinds in known_models().items():
        options = ", ".join(f"{key}: {kind}" for key, kind in kinds.items())
        lines.append(f"  {name:22} {options}")
    lines.append("recipes")
    lines += [f"  {name:22} {said}" for name, said in known_recipes().items()]
    lines.append("data sets")
    lines += [f"  {name}" for name in DATASETS]
    return "\n".join(lines)
