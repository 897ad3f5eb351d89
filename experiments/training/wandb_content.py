"""What a run on Weights & Biases says: its name and config, its scores, and a hash of all of it.

A trial is a run: its id follows from recipe, network and seed, its group is the comparison, its
job type `trial`. Grouped by `model`, which its config holds beside `seed` and `recipe.*`, the
curves over `step` of a network's seeds become a line with a band. A comparison is a run of its
own, of job type `comparison`, with the tables and accuracy against cost.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from experiments.trials.hashing import short_hash
from experiments.trials.result_types import (
    Curve,
    FailedTrial,
    FinishedTrial,
    TrialIdentity,
    TrialResult,
)

FORM = 1  # of what is sent; raised when that changes, so that runs of the old form are replaced

Values = dict[str, object]  # that a run logs, or ends with, by name


@dataclass(frozen=True, kw_only=True)
class RunInit:
    """What a W&B run is, but its id.

    Attributes:
        group: runs of one comparison share it.
        config: with the `identity` that all versions of the run share.
    """

    name: str
    group: str | None
    job_type: Literal["trial", "comparison"]
    config: Values

    @property
    def identity(self) -> str:
        return str(self.config["identity"])


def content(config: Values, *facts: object) -> str:
    """Hash of all that a run shows but its pictures; said last of all, by a run that is whole."""
    return short_hash([FORM, config, *facts])


def trial_content_hash(config: Values, shown: Values, curve: Curve) -> str:
    """The same of a trial, from training or from its result."""
    points = {"train": curve.train, "val": curve.val}
    return content(config, shown, points)


def init_of_trial(trial: TrialIdentity, group: str | None) -> RunInit:
    """The run of a trial.

    W&B itself writes the nested recipe as `recipe.lr` and so on, and groups by it.
    """
    recipe, tuned = trial.recipe, bool(trial.recipe and trial.recipe.tuning)
    words = [trial.model, f"seed {trial.seed}"]
    words += ["tuned"] if tuned else []
    words += [f"repeat {trial.repeat}"] if trial.repeat else []
    config: Values = {
        "model": trial.model,
        "seed": trial.seed,
        "repeat": trial.repeat,
        "init_seed": trial.init_seed,
        "data_seed": trial.data_seed,
        "recipe": asdict(recipe) if recipe else None,
        "protocol": {"split": trial.protocol.split, **trial.protocol.describe()},
        "identity": trial.id,
        "code": trial.hashes.code,
    }
    return RunInit(name=" ".join(words), group=group, job_type="trial", config=config)


def summary(result: TrialResult) -> Values:
    """Scores as `test/...`, costs and times, a number a key; or why the trial failed.

    Lists, as of bands along boundaries, stay in the result, and so do scores of single groups, of
    which a data set may have thousands.
    """
    if isinstance(result, FailedTrial):
        return {"reason": result.failure.reason}
    assert isinstance(result, FinishedTrial)
    parts = {"test": result.metrics, "cost": result.cost, "timing": result.timing}
    tree = {
        name: part.model_dump(mode="json", exclude={"groups"})
        for name, part in parts.items()
        if part is not None
    }
    return _flat(tree)


def _flat(tree: Mapping[str, object], above: str = "") -> Values:
    flat: Values = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}/")
        elif value is not None and not isinstance(value, list):
            flat[above + key] = value
    return flat
