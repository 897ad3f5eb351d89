"""What a comparison is asked for, as `compare` reads it from its command line, without work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.comparison.placement import Places, find_places
from experiments.engines.request import EngineRequest, JobSize
from experiments.training.trial_request import Resources
from experiments.trials.environment import threads_per_process
from experiments.trials.recipe import RecipeRequest

DEFAULT_MODELS = "hrnet,deeplabv3p,unet"
Rerun = Literal["failed", "stale", "all"]  # as of `trials.trial`, which brings pydantic


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """Which networks under which recipe, and how they are run.

    Attributes:
        match: budget that every network's width is chosen for, as `gmacs=2.7`.
        at: (height, width) of the image that `match` counts or times; None takes the crop.
        repeats: runs of each trial with the same seeds.
        tune: candidates of a search for each network's own learning rate; None for no search.
        jobs: trials at a time, if there is a place for so many.
        per_device: trials that may share a GPU, if its memory holds so many.
        out: folder of all comparisons.
        rerun: what is done again, though it has ended.
        engine: what runs the trials.
        measure_on: what the engine is told for one job that times all networks; None for none.
        command: the arguments that ask for the same.
        verify: first steps of every finished trial that are trained again; None for none.
        allow_mixed: whether results that no table may share get tables of their own.
    """

    models: tuple[str, ...]
    recipe: RecipeRequest
    match: str | None = None
    at: tuple[int, int] | None = None
    seeds: tuple[int, ...] = (0,)
    repeats: int = 1
    tune: int | None = None
    jobs: int = 1
    per_device: int = 1
    out: Path = Path("runs")
    rerun: Rerun = "failed"
    allow_mixed: bool = False
    verify: int | None = None
    engine: EngineRequest = field(default_factory=EngineRequest)
    measure_on: tuple[tuple[str, str], ...] | None = None
    command: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)

    @property
    def job_size(self) -> JobSize:
        """What each trial takes on a cluster."""
        return JobSize(devices=self.resources.devices, num_nodes=self.resources.num_nodes)

    @property
    def threads(self) -> int:
        """Of each process, so that all of them together take every core."""
        return threads_per_process(self.jobs * self.resources.devices)

    def places(self) -> Places:
        """Where its trials may run on this machine.

        Raises:
            ValueError: as `find_places`.
        """
        devices = self.resources.devices
        return find_places(jobs=self.jobs, devices=devices, per_device=self.per_device)
