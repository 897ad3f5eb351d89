"""The verdicts of claims, from whatever results lie in the study's folders."""

from collections.abc import Sequence
from pathlib import Path

from experiments.claims.measurements import radius, read_order
from experiments.claims.registration import CLAIMS
from experiments.claims.study import AnyClaim, Study
from experiments.claims.verdicts import Verdict, verdict
from experiments.trials.results import read_prior
from models.registry import nearest


def chosen(keys: Sequence[str] | None) -> tuple[AnyClaim, ...]:
    """The claims of these keys, in their own order; all for None.

    Raises:
        ValueError: a key that is no claim.
    """
    known = {claim.key: claim for claim in CLAIMS}
    for key in keys or ():
        if key not in known:
            raise ValueError(f"--claims names {key!r}; {nearest(key, known)}")
    return tuple(claim for key, claim in known.items() if keys is None or key in keys)


def assess(claims: Sequence[AnyClaim], study: Study, folders: Sequence[Path]) -> list[Verdict]:
    """A verdict for each claim, of the trials and measurements that there are.

    Raises:
        ValueError: a file that is damaged.
    """
    prior, order = position_prior(study), read_order(folders)
    return [verdict(claim, study, prior, radius, order) for claim in claims]


def position_prior(study: Study) -> float | None:
    """mIoU of the position prior, a fraction, where a folder of the trials has it."""
    results = list(study.trials.values())
    for folder in dict.fromkeys(result.path.parents[2] for result in results):
        found = read_prior(folder, results)
        if found is not None:
            return found.metrics.miou
    return None
