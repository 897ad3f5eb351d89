"""What a cluster would be asked for, printed and not submitted (`--dry-run`)."""

import math
from collections.abc import Sequence

from rich.console import Console

from experiments.comparison.request import ComparisonRequest
from experiments.engines.slurm_queue import check_slurm, largest_array
from experiments.engines.slurm_settings import slurm_settings
from experiments.engines.slurm_submission import script
from experiments.trials.trial import Trial

_SPARE, _START = 1.5, 10  # times the estimate, and minutes for start, data and scoring


def print_submission(
    left: Sequence[tuple[Trial, float]], request: ComparisonRequest, console: Console
) -> None:
    """Print how many jobs there would be, the time to ask for, and what sbatch would be given.

    Args:
        left: trials, with the hours that this machine would take.

    Raises:
        ValueError: SLURM is not there, or a setting does not fit.
    """
    if request.engine.local or not left:
        return
    hours = [hours for _, hours in left]
    console.print(
        f"{len(hours)} jobs, about {sum(hours):.2g} h of training in all and {max(hours):.2g} h in "
        "the longest, as fast as this machine"
    )
    if request.engine.name != "slurm":
        return
    check_slurm()
    minutes = 10 * math.ceil((60 * _SPARE * max(hours) + _START) / 10)
    needed = f"{minutes // 60:02}:{minutes % 60:02}:00"
    settings = slurm_settings({"time": needed, **dict(request.engine.settings)})
    most = largest_array()
    arrays = math.ceil(len(hours) / most)
    shape = f"{arrays} arrays of at most {most}" if arrays > 1 else "one array"
    console.print(f"{shape}; time={needed} leaves {_SPARE} times the longest to slower nodes")
    folder = left[0][0].comparison_folder / "slurm"
    text = script(len(hours), settings, request.job_size, folder)
    console.print(text, soft_wrap=True, markup=False, highlight=False)
