"""A comparison for a paper: a LaTeX table, vector figures and a CSV of all numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence
from experiments.analysis.intervals import Interval
from experiments.analysis.model_summary import Entry, entries
from experiments.reporting.latex_table import latex_table
from experiments.reporting.paper_figures import paper_figures
from experiments.reporting.tables import markdown
from experiments.trials.atomic_io import write_bytes, write_text
from experiments.trials.results import TrialResult


def export(
    results: Sequence[TrialResult],
    *,
    latex: Path | None = None,
    figures: Path | None = None,
    csv: Path | None = None,
    prior: Mapping[str, Any] | None = None,
) -> None:
    """Write what is asked for; the same results give the same bytes.

    Args:
        latex: file of a table, see `reporting.latex_table`.
        figures: folder of PDF and SVG files, see `reporting.paper_figures`.
        csv: file, see `numbers`.
        prior: scores of the position prior, as `store.read_prior` gives them.

    Raises:
        ValueError: no finished result, or results that differ in recipe, data or protocol.
    """
    found = evidence(results, prior=prior["miou"] if prior else None)
    models = entries(results, order=[model.model for model in found.models])
    if not models:
        raise ValueError("no finished trial to write about: run a comparison first")
    if latex:
        write_text(latex, latex_table(models, found, [r for r in results if not r.done], prior))
    if figures:
        for name, content in paper_figures(models, found, prior).items():
            write_bytes(figures / name, content)
    if csv:
        write_text(csv, numbers(models, found))


def numbers(models: Sequence[Entry], found: Evidence) -> str:
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
    from pandas import DataFrame, concat

    from experiments.analysis.dataframe import results_frame

    frame = results_frame([trial for entry in models for trial in entry.trials])
    means = frame.drop(columns=["seed", "repeat"]).groupby("model", sort=False).mean(True)
    said = DataFrame([_said(entry, found) for entry in models], index=means.index)
    head = said.pop("init"), said.pop("seeds")
    text: str = concat([*head, means, said], axis=1).to_csv(lineterminator="\n")
    return text


def _said(entry: Entry, found: Evidence) -> dict[str, Any]:
    """Of a model, what its results alone do not hold."""
    known, row = found.model(entry.row.model), entry.row
    cells: dict[str, Any] = {
        "init": row.init,
        "seeds": " ".join(map(str, row.seeds)),
        "miou_sd": row.spread,
        "target": found.target,
        "num_blocks": found.num_blocks,
        "indistinguishable": known.indistinguishable if known else None,
        "did_not_train": found.did_not_train.get(row.model),
    }
    intervals: dict[str, Interval | None] = {}
    if known:
        intervals |= {"miou": known.miou}
        intervals |= {f"iou/{name}": value for name, value in known.iou.items()}
    if known and known.bands:
        near = known.bands.pixels.index(found.band)
        intervals |= {
            f"miou_within_{found.band}px": known.bands.within[near],
            f"miou_beyond_{found.band}px": known.bands.beyond[near],
        }
    for name, value in intervals.items():
        cells |= {f"{name}_low": value and value.low, f"{name}_high": value and value.high}
    return cells


def summary(results: list[TrialResult], prior: dict[str, Any] | None) -> str:
    """The answer and the table, for a README."""
    found = evidence(results, prior=prior["miou"] if prior else None)
    return f"**{found.answer}**\n\n{markdown(results, prior, found)}"


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
