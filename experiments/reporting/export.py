"""A comparison for a paper: a LaTeX table, vector figures and a CSV of all numbers."""

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import summarise
from experiments.reporting.csv_table import csv_table
from experiments.reporting.latex_table import latex_table
from experiments.reporting.paper_figures import paper_figures
from experiments.reporting.tables import markdown, renew
from experiments.trials.atomic_io import write_bytes, write_text
from experiments.trials.result_types import FailedTrial, PositionPrior, TrialResult


def export(
    results: Sequence[TrialResult],
    evidence: Evidence,
    *,
    latex: Path | None = None,
    figures: Path | None = None,
    csv: Path | None = None,
    prior: PositionPrior | None = None,
) -> None:
    """Write what is asked for; the same results give the same bytes.

    Args:
        evidence: of these results.
        latex: file of a table, see `reporting.latex_table`.
        figures: folder of PDF and SVG files, see `reporting.paper_figures`.
        csv: file, see `reporting.csv_table`.

    Raises:
        ValueError: no finished result, or results that differ in recipe, data or protocol.
    """
    models = summarise(results, order=[model.model for model in evidence.models])
    if not models:
        raise ValueError("no finished trial to write about: run a comparison first")
    if latex:
        failed = [result for result in results if isinstance(result, FailedTrial)]
        write_text(latex, latex_table(models, evidence, failed, prior))
    if figures:
        for name, content in paper_figures(models, evidence, prior).items():
            write_bytes(figures / name, content)
    if csv:
        write_text(csv, csv_table(models, evidence))


def summary(results: Sequence[TrialResult], prior: PositionPrior | None, evidence: Evidence) -> str:
    """The answer and the table, for a README."""
    return f"**{evidence.answer}**\n\n{markdown(results, prior, evidence)}"


def renew_readme(
    readme: Path,
    name: str,
    results: Sequence[TrialResult],
    evidence: Evidence,
    prior: PositionPrior | None,
) -> None:
    """Put the answer and the table between the marks of this name, and touch nothing else.

    Raises:
        ValueError: the file has no such marks.
    """
    text = readme.read_text(encoding="utf-8")
    write_text(readme, renew(text, name, summary(results, prior, evidence)))
