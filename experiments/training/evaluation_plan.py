"""An evaluation with all that its request leaves to defaults and to the trial."""

from dataclasses import dataclass
from pathlib import Path

from datamodules import dataset_info
from experiments.training.evaluation_request import EvaluationRequest
from experiments.trials.network_name import check_network
from experiments.trials.recipe import PRECISIONS, Recipe
from experiments.trials.result_types import TrialIdentity
from experiments.trials.results import EVALUATED, read_identity
from experiments.trials.trial import slug


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Which weights predict which images, how, and where to.

    Attributes:
        trial: what it says of itself; None for weights from elsewhere.
        label: what the model is called in results.
        out: folder of the predictions and the result.
    """

    request: EvaluationRequest
    checkpoint: Path
    trial: TrialIdentity | None
    network: str
    label: str
    data: str
    split: str
    precision: str
    out: Path

    @property
    def recipe(self) -> Recipe | None:
        return self.trial.recipe if self.trial else None

    @property
    def splits(self) -> list[str]:
        """What the data hash is of: training and scored split; of weights from elsewhere only the
        scored one is known."""
        if self.recipe is None:
            return [self.split]
        return [self.recipe.train_split if self.recipe.data == self.data else "train", self.split]


def plan_evaluation(request: EvaluationRequest) -> Evaluation:
    """The evaluation that is asked for.

    Raises:
        ValueError: no such checkpoint, an unknown name, or weights of which too little is said.
    """
    checkpoint = _checkpoint(request.checkpoint)
    folder = checkpoint.parent.parent
    trial = read_identity(folder)
    if trial is not None:
        from experiments.training.checkpoints import check_origin  # it brings torch

        check_origin(checkpoint, trial)
    recipe = trial.recipe if trial else None
    network = request.network or (trial.model if trial else None)
    data = request.data or (recipe.data if recipe else None)
    if not (network and data):
        raise ValueError(
            f"{checkpoint} does not lie in a trial's folder, so its network and data set are not "
            "known: give --model and --data"
        )
    check_network(network)
    split = request.split or _split(data, recipe)
    name, label = slug(f"{data}-{split}-{request.protocol.text}"), network
    if trial is None:  # the file's name keeps it apart from others and from trials of the network
        folder, name = checkpoint.parent, f"{checkpoint.stem}-{name}"
        label = f"{network} ({checkpoint.stem})"
    return Evaluation(
        request=request,
        checkpoint=checkpoint,
        trial=trial,
        network=network,
        label=label,
        data=data,
        split=split,
        precision=request.precision or (recipe.precision if recipe else PRECISIONS[0]),
        out=request.out or folder / EVALUATED / name,
    )


def _split(data: str, recipe: Recipe | None) -> str:
    """The one that the recipe scores, else the one on which this data set is scored."""
    if recipe is not None and data == recipe.data:
        return recipe.test_split
    published = dataset_info(data)
    return published.test_split if published else "test"


def _checkpoint(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"no checkpoint at {path.absolute()}: give a trial's folder or a file")
    from experiments.training.checkpoints import last_checkpoint  # it brings torch

    last = last_checkpoint(path)
    if last is None:
        raise ValueError(
            f"{path} has no checkpoints/step*.ckpt that can be read: give a trial's folder, as "
            "runs/demo/hrnet/seed0, or a file of weights"
        )
    return last
