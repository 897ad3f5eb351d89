"""Results in sets of which each is a table, with the evidence of each, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence
from experiments.reporting.tables import tables
from experiments.trials.comparability import separate, titles
from experiments.trials.result_types import PositionPrior, TrialResult
from experiments.trials.verification import Verification, stale_results, verified


@dataclass(frozen=True)
class ResultSet:
    """Results that share a table.

    Attributes:
        title: what tells it from other sets; empty for the only one.
        prior: of the same data; None where none was scored.
        stale: paths of results that other code made and nobody verified under the present one.
        verified: verifications that hold under the present code, by path of the result.
    """

    results: list[TrialResult]
    title: str
    prior: PositionPrior | None
    evidence: Evidence
    stale: set[Path]
    verified: dict[Path, Verification]


def result_sets(
    results: Sequence[TrialResult], prior: PositionPrior | None, apart: bool
) -> list[ResultSet]:
    """All results, in sets in the order of their first; one set of nothing where there are none.

    Args:
        apart: whether results that no table may share get sets of their own.

    Raises:
        ValueError: results that differ in recipe, data or protocol, unless `apart`.
    """
    sets = (separate(results) if apart else [list(results)]) or [[]]
    names = titles(sets) if len(sets) > 1 else [""]
    return [_result_set(some, name, prior) for name, some in zip(names, sets, strict=True)]


def _result_set(results: list[TrialResult], title: str, prior: PositionPrior | None) -> ResultSet:
    own = prior if prior and any(r.hashes.data == prior.data for r in results) else None
    found = evidence(results, prior=own.metrics.miou if own else None)
    return ResultSet(results, title, own, found, stale_results(results), verified(results))


def print_tables(sets: Sequence[ResultSet], console: Console, question: bool = True) -> None:
    """Each set's tables and answer, which its title tells apart."""
    for one in sets:
        if one.title:
            console.print(f"\n{one.title}", style="bold", markup=False)
        for table in tables(one.results, one.stale, one.evidence, one.verified):
            console.print(table)
        if question:
            console.print(one.evidence.question, markup=False)
        console.print(one.evidence.answer, markup=False)
