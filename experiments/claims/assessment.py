"""The verdicts of claims, from whatever results lie in the study's folders."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.claims.measured import radius, read_order
from experiments.claims.registration import CLAIMS
from experiments.claims.study import AnyClaim, Study
from experiments.claims.verdicts import Verdict, verdict
from experiments.comparison.collected import EndedComparison, kept_prior
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


def keep_prior(ended: EndedComparison, root: Path | None, console: Console) -> None:
    """Leave the position prior beside trials, by which one that learnt nothing is known.

    Args:
        root: folder of the data set.
    """
    kept_prior(ended.trials[0], ended.results, root, ended.data, console)


def assess(claims: Sequence[AnyClaim], study: Study, folders: Sequence[Path]) -> list[Verdict]:
    """A verdict for each claim, of the trials and measurements that there are.

    Raises:
        ValueError: a file that is damaged.
    """
    order = read_order(folders)
    return [verdict(claim, study, radius, order) for claim in claims]
