"""Everything that is written of one comparison, from one evidence of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.analysis.evidence import evidence
from experiments.reporting.export import export, renew_readme
from experiments.reporting.html_report import NO_EFFECTS, Effects, write_report
from experiments.reporting.image_panel import make_panel
from experiments.reporting.readme_figures import pareto_figure
from experiments.trials.result_types import TrialResult
from experiments.trials.results import publish, read_prior
from experiments.trials.verification import stale_results, verified


@dataclass(frozen=True, kw_only=True)
class ComparisonFiles:
    """Where what is written goes; None for what is not asked for.

    Attributes:
        latex, csv, figure, readme: files; figures, publish: folders.
    """

    page: Path
    latex: Path | None = None
    figures: Path | None = None
    csv: Path | None = None
    figure: Path | None = None
    publish: Path | None = None
    readme: Path | None = None

    def __iter__(self) -> Iterator[Path]:
        """Those that are asked for."""
        files = (self.page, self.latex, self.figures, self.csv, self.figure)
        return iter([path for path in (*files, self.publish, self.readme) if path])


def write_comparison(
    folder: Path,
    results: Sequence[TrialResult],
    files: ComparisonFiles,
    data_root: Path | None,
    effects: Effects = NO_EFFECTS,
) -> str:
    """Write all files.

    Args:
        folder: of the comparison, which may keep a position prior.
        results: of it, which may share a table.
        effects: for the page.

    Returns:
        Why the page has no photos; empty where it has.

    Raises:
        ValueError: no results, results that cannot be shown together, or a README without the marks
            between which its table stands.
    """
    panel, prior = make_panel(results, data_root), read_prior(folder, results)
    known = evidence(results, prior=prior.metrics.miou if prior else None)
    write_report(
        results,
        files.page,
        evidence=known,
        stale=stale_results(results),
        verified=verified(results),
        prior=prior,
        panel=panel,
        effects=effects,
    )
    if files.latex or files.figures or files.csv:
        export(results, known, latex=files.latex, figures=files.figures, csv=files.csv, prior=prior)
    if files.figure:
        pareto_figure(results, files.figure, known)
    if files.publish:
        publish(results, files.publish, panel.ids)
    if files.readme:
        renew_readme(files.readme, folder.name, results, known, prior)
    return panel.reason
