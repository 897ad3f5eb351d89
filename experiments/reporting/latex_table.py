r"""A comparison as a LaTeX table, to be read with \input; it needs the package booktabs alone."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.analysis.conclusion import too_short
from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import ModelSummary, mean_over_seeds, on_one_hardware
from experiments.reporting.tables import TARGETS, bounds
from experiments.trials.command_line import visible
from experiments.trials.reference import Published, published_of
from experiments.trials.result_types import BoundaryIou, Cost, FailedTrial, PositionPrior

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",  # outside of mathematics these three are other signs in the usual fonts
        ">": "$>$",
        "|": "$|$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
_PUBLISHED = {  # metrics of reference.csv
    "params_m": ("Params", "M"),
    "paper_gflops_1024x2048": ("GFLOPs", ""),
    "miou_percent": ("mIoU", r"\%"),
}
_ALIKE, _UNTRAINED = r"$^{\approx}$", r"$^{\dagger}$"


class _Column(NamedTuple):
    head: tuple[str, str]
    """Name and unit, on two lines, as columns are many and names wider than numbers."""
    cells: Sequence[str]
    prior: str = ""


def latex_table(
    models: Sequence[ModelSummary],
    evidence: Evidence,
    failed: Sequence[FailedTrial],
    prior: PositionPrior | None,
) -> str:
    """A row a model, best first, then the position prior and the trials that failed.

    mIoU is bold where the best model is better than every other one, and the training not too
    short to say so; a sign marks models that cannot be told apart from it. Published numbers have
    columns of their own.
    """
    papers = [_paper(summary.model) for summary in models]
    ours, theirs = _ours(models, evidence, prior), _theirs(papers)
    columns = [*ours, *theirs]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table*}[t]",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{' '.join(_caption(models, evidence))}}}\par\smallskip",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            *_heads(ours, theirs),
            r"\midrule",
            *_body(models, columns, failed, prior),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip\footnotesize\raggedright",
            *_notes(evidence, failed, papers),
            r"\end{table*}",
            "",
        ]
    )


def _body(
    models: Sequence[ModelSummary],
    columns: Sequence[_Column],
    failed: Sequence[FailedTrial],
    prior: PositionPrior | None,
) -> list[str]:
    lines = [
        _line([_code(summary.model), *(column.cells[i] for column in columns)])
        for i, summary in enumerate(models)
    ]
    if prior is not None:
        lines.append(_line(["position prior", *(column.prior for column in columns)]))
    wide = rf"\multicolumn{{{len(columns)}}}{{l}}"
    return lines + [
        _line([_code(result.label), rf"{wide}{{failed, seed {result.seed}}}"]) for result in failed
    ]


def escape(text: object) -> str:
    """Any text as LaTeX text; line ends become spaces."""
    return visible(" ".join(str(text).split())).translate(_SPECIAL)


def _code(name: str) -> str:
    return rf"\texttt{{{escape(name)}}}"


def _number(value: float | None, digits: int = 1) -> str:
    return "--" if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _heads(ours: Sequence[_Column], theirs: Sequence[_Column]) -> list[str]:
    names, units = zip(*(column.head for column in (*ours, *theirs)), strict=True)
    heads = [_line(["Model", *names]), _line(["", *units])]
    if theirs:
        start, end = len(ours) + 2, len(ours) + 1 + len(theirs)
        above = rf"\multicolumn{{{len(theirs)}}}{{c}}{{Published elsewhere}}"
        heads = [_line([*[""] * (start - 1), above]), rf"\cmidrule(lr){{{start}-{end}}}", *heads]
    return heads


def _ours(
    models: Sequence[ModelSummary], evidence: Evidence, prior: PositionPrior | None
) -> list[_Column]:
    """Costs, and accuracy in percent, as far as they are known."""
    costs = {
        ("Params", "M"): ("params_m", 2),
        ("GMACs", ""): ("gmacs", 2),
        ("Latency", "ms"): ("latency_ms", 0),
    }
    columns = [
        _Column(head, [_number(getattr(summary, field), digits) for summary in models])
        for head, (field, digits) in costs.items()
        if any(getattr(summary, field) is not None for summary in models)
        and on_one_hardware(models, field)
    ]
    floor = _number(100 * (prior.metrics.miou or 0.0)) if prior else ""
    columns.append(_Column(("mIoU", r"\%"), _miou(models, evidence), floor))
    known = [evidence.model(summary.model) for summary in models]
    intervals = [bounds(one.miou, r"[{:.1f},\,{:.1f}]") if one else "" for one in known]
    if any(intervals):
        columns.append(_Column((r"95\,\%", "interval"), intervals))
    boundaries = [[trial.metrics.boundary_iou for trial in summary.trials] for summary in models]
    if all(all(seeds) for seeds in boundaries):
        columns.append(_Column(("Boundary", r"IoU, \%"), [_mean(seeds) for seeds in boundaries]))
    return columns


def _mean(seeds: Sequence[BoundaryIou | None]) -> str:
    mean = mean_over_seeds(seed.mean for seed in seeds if seed)
    return _number(None if mean is None else 100 * mean)


def _miou(models: Sequence[ModelSummary], evidence: Evidence) -> list[str]:
    cells = []
    for summary in models:
        name, text = summary.model, _number(100 * summary.miou)
        known = evidence.model(name)
        if name == _best(evidence):
            text = rf"\textbf{{{text}}}"
        alike = known is not None and known.indistinguishable
        cells.append(text + _ALIKE * alike + _UNTRAINED * (name in evidence.did_not_train))
    return cells


def _best(evidence: Evidence) -> str | None:
    """The model that is better than every other one, if there is one that may be called so."""
    if evidence.caveat:
        return None
    trained = [model for model in evidence.models if model.did_not_train is None]
    kinds = {pair.verdict.kind for pair in evidence.pairs if pair.a == trained[0].model}
    return trained[0].model if kinds == {"better"} else None


def _paper(model: str) -> dict[str, Published]:
    """What is published of a network without options, by metric."""
    return {line.metric: line for line in published_of(model) if line.metric in _PUBLISHED}


def _theirs(papers: Sequence[Mapping[str, Published]]) -> list[_Column]:
    return [
        _Column(head, [_number(paper[metric].value) if metric in paper else "" for paper in papers])
        for metric, head in _PUBLISHED.items()
        if any(papers)
    ]


def _caption(models: Sequence[ModelSummary], evidence: Evidence) -> list[str]:
    """Recipe, data, protocol, seeds, what the interval is of, and how costs were measured."""
    trials = [trial for summary in models for trial in summary.trials]
    trained = next((trial for trial in trials if trial.recipe), trials[0])
    recipe, data, protocol = trained.recipe, trained.data, trained.protocol
    made = "Predictions from elsewhere"
    if recipe:
        steps = f"({recipe.steps} steps of {recipe.batch} images)"
        made = rf"Recipe \texttt{{{escape(recipe.name)}}} {steps}"
    seeds = ", ".join(map(str, sorted({trial.seed for trial in trials})))
    mode = protocol.mode if protocol.passes else "unknown"
    lines = [
        rf"{made}, evaluated on \texttt{{{escape(data.name)}}} {escape(data.split)}, "
        f"{data.num_images} images.",
        escape(f"Protocol: {mode}; seeds: {seeds}."),
    ]
    if evidence.caveat:
        lines.append(f"{evidence.caveat}: {escape(too_short(evidence.convergence))}.")
    if any(model.miou.low is not None for model in evidence.models):
        units = {1: "images", None: "whole groups of images"}
        unit = units.get(evidence.block, f"blocks of {evidence.block} neighbouring images")
        lines.append(
            rf"Intervals: 95\,\%, {TARGETS[evidence.target]}; bootstrap over "
            f"{evidence.num_blocks} {unit}."
        )
    return lines + ([_measured(trained.cost)] if trained.cost else [])


def _measured(cost: Cost) -> str:
    where = f"{cost.threads} CPU threads" if cost.device == "cpu" else cost.device
    size = r"$\times$".join(map(str, cost.size))
    return (
        rf"GMACs: 10\textsuperscript{{9}} multiply-adds at {size}; latency: one image, "
        f"{escape(cost.precision)}, {escape(where)}."
    )


def _notes(
    evidence: Evidence, failed: Sequence[FailedTrial], papers: Sequence[Mapping[str, Published]]
) -> list[str]:
    """What the signs mean, why trials failed, and where published numbers stand."""
    notes = [r"\textbf{Bold}: better than every other."] if _best(evidence) else []
    if any(model.indistinguishable for model in evidence.models):
        notes.append(f"{_ALIKE} Cannot be told apart from the best, or is equivalent to it.")
    notes += [
        f"{_UNTRAINED} {_code(name)} did not train: {escape(reason)}."
        for name, reason in evidence.did_not_train.items()
    ]
    notes += [f"{_code(r.label)}, seed {r.seed}: {escape(r.failure.reason)}." for r in failed]
    lines = [line for paper in papers for line in paper.values()]
    if lines:
        kept = {(x.source, x.locator, x.data, x.split): x.protocol for x in lines if x.protocol}
        places = [f"{', '.join(key)}, {protocol}" for key, protocol in kept.items()]
        notes.append(
            escape(f"Published elsewhere: {'; '.join(places)}.")
            + r" GFLOPs are MACs\,/\,2\textsuperscript{30} at 1024$\times$2048. Training, data and "
            "protocol are theirs: these numbers are no target for ours."
        )
    return notes
