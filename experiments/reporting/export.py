"""A comparison for a paper: a LaTeX table, vector figures and a CSV of all numbers."""

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis.evidence_types import Evidence
from experiments.analysis.intervals import Interval
from experiments.analysis.model_summary import ModelSummary, summarise
from experiments.reporting.latex_table import latex_table
from experiments.reporting.paper_figures import paper_figures
from experiments.reporting.tables import markdown
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
        csv: file, see `numbers`.

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
        write_text(csv, numbers(models, evidence))


def numbers(models: Sequence[ModelSummary], evidence: Evidence) -> str:
    """A CSV with one row a model, best first; empty cells are what is not known.

    Columns: model, init, seeds, then those of `analysis.dataframe` that are numbers, as means over
    the seeds and in its units, and
        miou_sd: between seeds
        NAME_low, NAME_high: 95 % interval of miou, miou_within_3px, miou_beyond_3px and every
            iou/<class>, for what `target` says (checkpoints: these networks on other images; seeds:
            new training runs as well) and with num_blocks independent blocks of images
        indistinguishable: whether the model cannot be told apart from the best one
        did_not_train: why a model is not ranked
    """
    # pandas takes a second, which no --help waits for.
    from pandas import DataFrame, concat

    from experiments.analysis.dataframe import results_frame

    frame = results_frame([trial for summary in models for trial in summary.trials])
    means = frame.drop(columns=["seed", "repeat"]).groupby("model", sort=False).mean(True)
    known = DataFrame([_known(summary, evidence) for summary in models], index=means.index)
    head = known.pop("init"), known.pop("seeds")
    text: str = concat([*head, means, known], axis=1).to_csv(lineterminator="\n")
    return text


def _known(summary: ModelSummary, evidence: Evidence) -> dict[str, object]:
    """Of a model, what its results alone do not hold."""
    known = evidence.model(summary.model)
    cells: dict[str, object] = {
        "init": summary.initial_weights,
        "seeds": " ".join(map(str, summary.seeds)),
        "miou_sd": summary.spread,
        "target": evidence.target,
        "num_blocks": evidence.num_blocks,
        "indistinguishable": known.indistinguishable if known else None,
        "did_not_train": evidence.did_not_train.get(summary.model),
    }
    intervals: dict[str, Interval | None] = {}
    if known:
        intervals |= {"miou": known.miou}
        intervals |= {f"iou/{name}": value for name, value in known.iou.items()}
    if known and known.bands:
        near = known.bands.pixels.index(evidence.band)
        intervals |= {
            f"miou_within_{evidence.band}px": known.bands.within[near],
            f"miou_beyond_{evidence.band}px": known.bands.beyond[near],
        }
    for name, value in intervals.items():
        cells |= {f"{name}_low": value and value.low, f"{name}_high": value and value.high}
    return cells


def summary(results: Sequence[TrialResult], evidence: Evidence, prior: PositionPrior | None) -> str:
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
    write_text(readme, renew(text, name, summary(results, evidence, prior)))


def renew(text: str, name: str, content: str) -> str:
    """Put `content` between the marks `<!-- name -->` and `<!-- end -->` of a Markdown text.

    Raises:
        ValueError: the text has no such marks.
    """
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not mark or not end:
        raise ValueError(f"the file has no lines '<!-- {name} -->' and '<!-- end -->': add them")
    return f"{before}{mark}{content}\n{end}{after}"
