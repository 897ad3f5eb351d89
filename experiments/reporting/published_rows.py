"""What papers say of the compared networks, beside ours: rows and columns of report.html."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.analysis.model_summary import ModelSummary
from experiments.trials.reference import Published, published_of
from experiments.trials.result_types import FinishedTrial, TrialResult


@dataclass(frozen=True)
class PaperRow:
    """One document on one network; figures are None where it gives none."""

    method: str
    source: str
    locator: str
    params_m: float | None
    gflops: float | None
    score: Published | None
    """Its mIoU in percent."""


@dataclass(frozen=True)
class Comparison:
    """A figure of a paper and ours, counted alike."""

    theirs: float | None
    ours: float

    @property
    def off_percent(self) -> float | None:
        """To the tenth, and never -0.0."""
        return None if self.theirs is None else round(100 * (self.ours / self.theirs - 1), 1) + 0.0


@dataclass(frozen=True)
class CountedRow:
    """Parameters in millions and GFLOPs of a paper beside those of a model (its index)."""

    model: int
    paper: PaperRow
    params: Comparison
    gflops: Comparison


@dataclass(frozen=True)
class PublishedRows:
    """Empty where nothing is published of any compared network.

    Attributes:
        title: where published scores are from and in what they differ from ours.
    """

    title: str
    papers: list[PaperRow]
    counted: list[CountedRow]


def published_rows(models: Sequence[ModelSummary], ours: TrialResult) -> PublishedRows:
    """Of the networks without options; `ours` is any result, for its data and protocol."""
    papers = [(i, paper) for i, summary in enumerate(models) for paper in _papers(summary.model)]
    return PublishedRows(
        title=_title([paper.score for _, paper in papers if paper.score], ours),
        papers=[paper for _, paper in papers],
        counted=[row for i, paper in papers if (row := _counted(i, models[i].trials[0], paper))],
    )


def _papers(model: str) -> list[PaperRow]:
    sources: dict[str, dict[str, Published]] = {}
    for line in published_of(model):
        sources.setdefault(line.source, {})[line.metric] = line
    rows = []
    for metrics in sources.values():
        first = next(iter(metrics.values()))
        params, gflops = (metrics.get(m) for m in ("params_m", "paper_gflops_1024x2048"))
        rows.append(
            PaperRow(
                method=first.method,
                source=first.source,
                locator=first.locator,
                params_m=params.value if params else None,
                gflops=gflops.value if gflops else None,
                score=metrics.get("miou_percent"),
            )
        )
    return rows


def _title(scores: Sequence[Published], ours: TrialResult) -> str:
    if not scores:
        return "published"
    data = ours.data_name.split(":")[0]
    differs = {
        "data": any(score.data != data for score in scores),
        "split": any(score.split != ours.protocol.split for score in scores),
        "protocol": not all(score.predicted_by(ours.protocol.passes) for score in scores),
    }
    parts = [part for part, other in differs.items() if other]
    sources = " and ".join(dict.fromkeys(f"{score.data} {score.split}" for score in scores))
    unlike = f"other {' and '.join(parts)}" if parts else "same data and protocol"
    return f"published on {sources}: {unlike}"


def _counted(model: int, trial: FinishedTrial, paper: PaperRow) -> CountedRow | None:
    """None without costs of ours."""
    if trial.cost is None:
        return None
    params = Comparison(paper.params_m, trial.cost.params_paper / 1e6)
    gflops = Comparison(paper.gflops, trial.cost.paper_gflops_1024x2048)
    return CountedRow(model, paper, params, gflops)
