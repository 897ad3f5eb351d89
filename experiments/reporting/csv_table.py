"""All numbers of a comparison as CSV, a row a model."""

from collections.abc import Sequence

from experiments.analysis.evidence_types import Evidence
from experiments.analysis.intervals import Interval
from experiments.analysis.model_summary import ModelSummary
from experiments.trials.command_line import visible


def csv_table(models: Sequence[ModelSummary], evidence: Evidence) -> str:
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
    frame = (
        concat([*head, means, known], axis=1).rename(index=as_text, columns=as_text).map(as_text)
    )
    text: str = frame.to_csv(lineterminator="\n")
    return text


def as_text(value: object) -> object:
    """A cell as it is read, not run: spreadsheets take text behind = + - @ for a formula.

    An apostrophe before it says that it is text (OWASP, CSV injection); numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


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
