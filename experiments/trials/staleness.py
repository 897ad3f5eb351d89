"""Which results were made by other code than is here now."""

from experiments.trials.hashing import code_hash
from experiments.trials.results import TrialResult


def stale_results(results: list[TrialResult]) -> set[str]:
    """Paths of finished results that other code than the present made."""
    return {
        str(r.path)
        for r in results
        if r.done and r["hashes"]["code"] not in (None, _code_hash_now(r))
    }


def _code_hash_now(result: TrialResult) -> str | None:
    try:
        return code_hash(result["model"], result["recipe"]["data"])
    except (KeyError, ValueError):  # a network or data set that is no more
        return None
