"""Networks at the widths that one budget chooses for them."""

from pathlib import Path

from rich.console import Console

from datamodules import open_data
from experiments.comparison.request import ComparisonRequest
from experiments.costs.tables import print_match
from experiments.trials.atomic_io import check_writable
from experiments.trials.data_check import check_data
from experiments.trials.environment import is_main_node
from experiments.trials.recipe import Recipe


def matched(
    request: ComparisonRequest,
    recipe: Recipe,
    size: tuple[int, int],
    kept: Path,
    console: Console,
) -> list[str]:
    """The networks at the widths that `match` chooses for them, which it prints.

    Args:
        size: (height, width) of the image that is counted or timed.
        kept: file of widths that were measured before.

    Raises:
        ValueError: a budget that means nothing here, or that no width meets.
    """
    from experiments.costs.width_search import match_networks, parse_match  # it brings torch

    if not request.match:
        raise ValueError("--at is the size for --match: give that too, as --match gmacs=2.7")
    if recipe.init != "random":
        raise ValueError(
            f"--match changes widths, for which there are no weights of init={recipe.init}: "
            "leave it out, or start from random weights with --set init=random"
        )
    resources = request.resources
    classes = open_data(recipe.data, recipe.train_split, resources.data_root).labels.num_classes
    budget = parse_match(request.match, size, classes, recipe.precision, threads=request.threads)
    if budget.measured:
        if resources.num_nodes > 1:
            raise ValueError(
                f"each machine may measure another width: match gmacs or params over "
                f"{resources.num_nodes} machines, or choose with one and name the widths"
            )
        # What these refuse is refused before minutes of measuring.
        check_data(recipe, resources.data_root)
        check_writable(request.out)
    rows = match_networks(list(request.models), budget, kept=kept)
    if is_main_node():
        print_match(rows, budget, console)
    return [row.model for row in rows]
