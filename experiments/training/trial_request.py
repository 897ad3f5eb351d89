"""What the process of one trial is asked for, as a value and as the arguments of a command."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.trials.environment import WandbMode
from experiments.trials.overrides import changes, load
from experiments.trials.recipe import RecipeRequest
from experiments.trials.tuning_budget import TuningBudget

if TYPE_CHECKING:  # it brings pydantic, which `--help` does without
    from experiments.trials.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a trial runs on, and whom it tells; none of it changes a number.

    Attributes:
        devices: processes of a machine that train together.
        workers: processes that read for each of them; None chooses by the machine.
        wandb: None for online where there is an account, else offline.
        group: names the comparison in W&B.
    """

    data_root: Path | None = None
    devices: int = 1
    num_nodes: int = 1
    workers: int | None = None
    wandb: WandbMode | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrialRequest:
    """A trial, and what it runs on.

    Attributes:
        recipe: as the user asked for it.
        own: values that a comparison has chosen for this trial on top, as `lr=0.02`.
        tuning: by what search.
        name: what the recipe is called, where its overrides say too much.
        repeat: which run of the same seed.
        code: hash of the code that it was submitted with; None to take what is there.
    """

    model: str
    recipe: RecipeRequest
    own: tuple[str, ...] = ()
    tuning: TuningBudget | None = None
    name: str | None = None
    seed: int = 0
    repeat: int = 0
    out: Path = Path("runs")
    code: str | None = None
    resources: Resources = field(default_factory=Resources)

    def arguments(self) -> list[str]:
        """What `python -m experiments.run` takes to be asked for the same."""
        request, resources = self.recipe, self.resources
        found = ["--model", self.model, "--recipe", request.recipe, "--seed", str(self.seed)]
        for flag, overrides in (("--set", request.overrides), ("--own", self.own)):
            for override in overrides:
                found += [flag, override]
        values = {
            "--name": self.name,
            "--tuning": json.dumps(asdict(self.tuning)) if self.tuning else None,
            "--repeat": self.repeat or None,
            "--data": request.data,
            "--data-root": resources.data_root,
            "--devices": resources.devices,
            "--num-nodes": resources.num_nodes,
            "--workers": resources.workers,
            "--out": self.out,
            "--code": self.code,
            "--wandb": resources.wandb,
            "--group": resources.group,
        }
        for flag, value in values.items():
            found += [] if value is None else [flag, str(value)]
        return found


def request_of(trial: "Trial", resources: Resources) -> TrialRequest:
    """What makes this trial again, in a process of its own."""
    asked = trial.request
    assert asked is not None  # trials are made of requests, but in tests
    own = tuple(changes(load(asked), trial.recipe))
    chosen = bool(own) or trial.recipe.tuning is not None
    return TrialRequest(
        model=trial.model,
        recipe=asked,
        own=own,
        tuning=trial.recipe.tuning,
        name=trial.recipe.name if chosen else None,
        seed=trial.seed,
        repeat=trial.repeat,
        out=trial.out,
        resources=resources,
    )
