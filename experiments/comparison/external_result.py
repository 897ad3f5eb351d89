"""The results of label maps from elsewhere, before they are scored: what nobody told is None."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.validation.check import checked
from experiments import __version__
from experiments.trials.comparability import check_comparable
from experiments.trials.data_check import scored_data
from experiments.trials.protocols import EvaluationProtocol
from experiments.trials.result_types import FinishedTrial, Hashes, TrialIdentity
from experiments.trials.results import RESULT, finished, read_result, read_results
from experiments.trials.trial import seed_folder, slug

_INNER = re.compile(r"predictions|seed\d+.*")  # folders that say nothing of what made them


def external_results(
    names: Sequence[str], keep: Path, data: str, split: str, root: Path | None
) -> list[FinishedTrial]:
    """Results without recipe, code and cost, below `keep`.

    What the models were trained on is unknown too: data have the scored split's fingerprint and no
    hash.
    """
    report = checked(data, root, [split])
    scored = scored_data(data, split, report, [split])
    results = [
        TrialIdentity(
            version=__version__,
            request=None,
            recipe=None,
            model=name,
            seed=0,
            protocol=EvaluationProtocol(split=split, passes=None),
            hashes=Hashes(recipe=None, data=None, protocol=None, code=None),
        ).unscored(result_path(keep, name), scored)
        for name in names
    ]
    for result in results:
        _check_own(result.path, result.model)
    return results


def check_addition(ours: Sequence[FinishedTrial], folder: Path, allow_mixed: bool) -> None:
    """Refuse what a comparison cannot be shown with.

    Raises:
        ValueError: it has trained a network of one of these names, or no table may hold both.
    """
    others = read_results(folder)
    trained = {result.model for result in finished(others) if result.cost}
    taken = trained.intersection(result.model for result in ours)
    if taken:
        raise ValueError(f"{folder} has a trained {min(taken)}: give another --name")
    for result in ours:
        _check_own(result_path(folder / "scored", result.model), result.model)
    if not allow_mixed:
        check_comparable([*others, ours[0]])


def _check_own(path: Path, name: str) -> None:
    """Refuse a folder that holds the result of another name: `a b` and `a:b` become the same."""
    try:
        kept = read_result(path)
    except ValueError:  # damaged, and about to be written anew
        return
    if kept is not None and kept.model != name:
        raise ValueError(
            f"{path.parent} holds the result of {kept.model}, which becomes the same folder as "
            f"{name}: give another --name"
        )


def result_path(folder: Path, model: str) -> Path:
    """Where the result of predictions from elsewhere lies below a folder of results."""
    return folder / slug(model) / seed_folder(0, tuned=False, repeat=0) / RESULT


def parts_folder(folder: Path, model: str) -> Path:
    """Where the parts of predictions from elsewhere lie below a folder of parts."""
    return folder / slug(model)


def model_names(folders: Sequence[Path], given: Sequence[str] | None) -> list[str]:
    """What tables call each folder: by default its last part but `predictions` and `seed0`.

    Raises:
        ValueError: another number of names than of folders, or one name for two.
    """
    names = [*given] if given else [_name(folder) for folder in folders]
    if len(names) != len(folders):
        raise ValueError(
            f"{len(names)} --name for {len(folders)} folders: give one for each, in their order"
        )
    (name, times), *_ = Counter(map(slug, names)).most_common()
    if times > 1:
        raise ValueError(f"{times} folders are called {name}: give a --name for each, in order")
    return names


def _name(folder: Path) -> str:
    return next(part for part in reversed(folder.resolve().parts) if not _INNER.fullmatch(part))
