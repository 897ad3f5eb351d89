"""The comparison as tables for a terminal of 80 columns or a README, and what captions say."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from rich import box
from rich.table import Table

from experiments.analysis.evidence_types import COSTS, Evidence, ModelEvidence
from experiments.analysis.intervals import Interval, Target
from experiments.analysis.model_summary import (
    COLUMNS,
    NO_PATHS,
    ModelSummary,
    on_one_hardware,
    summarise,
)
from experiments.reporting.score_tables import boundary_table, class_table, markdown_name
from experiments.trials.reference import published_cost
from experiments.trials.result_types import (
    Cost,
    FailedTrial,
    FinishedTrial,
    PositionPrior,
    TrialResult,
)
from experiments.trials.results import failed, finished
from experiments.trials.verification import Verification

TARGETS: dict[Target, str] = {
    "checkpoints": "for these trained networks on other such images",
    "seeds": "for new training runs on other such images",
}
DIGITS = (2, 2, 0, 0, 1, 1)  # of COLUMNS
_COLUMN_COSTS = ("params_m", "gmacs", "latency_ms", "train_s", "memory_gb")  # of COLUMNS
NOT_VERIFIED: Mapping[Path, Verification] = {}


def tables(
    results: Sequence[TrialResult],
    stale: Set[Path] = NO_PATHS,
    evidence: Evidence | None = None,
    verified: Mapping[Path, Verification] = NOT_VERIFIED,
) -> list[Table]:
    """Everything a terminal shows, top to bottom; arguments as of `main_table`."""
    shown = [paper_table(results), main_table(results, stale, evidence, verified)]
    if finished(results):
        shown += [class_table(results), boundary_table(results)]
    return [table for table in shown if table is not None]


def paper_table(results: Sequence[TrialResult]) -> Table | None:
    """Row 0: published parameters and GFLOPs of the compared networks, and ours counted alike."""
    table = Table(
        title="Published cost at 1024x2048, 19 classes; GFLOPs are the paper's, MACs / 2^30",
        box=box.SIMPLE,
        caption="arXiv 1908.07919 Table III and the authors' README; their mIoU is on other data",
    )
    table.add_column("model", overflow="fold")
    for name in ("params M", "GFLOPs", "ours: params M", "GFLOPs"):
        table.add_column(name, justify="right")
    costs: dict[str, Cost] = {}
    for result in finished(results):
        if result.cost and published_cost(result.model):
            costs.setdefault(result.model, result.cost)
    for model, ours in costs.items():
        theirs = published_cost(model)
        table.add_row(
            model,
            f"{theirs['params_m']:.1f}",
            f"{theirs['paper_gflops_1024x2048']:.1f}",
            f"{ours.params_paper / 1e6:.2f}",
            f"{ours.paper_gflops_1024x2048:.1f}",
        )
    if "deeplabv3p" in costs:
        table.caption = f"{table.caption}; its DeepLabv3+ counts stride 8 (1373.5 here), not 16"
    return table if costs else None


def main_table(
    results: Sequence[TrialResult],
    stale: Set[Path] = NO_PATHS,
    evidence: Evidence | None = None,
    verified: Mapping[Path, Verification] = NOT_VERIFIED,
) -> Table:
    """A row a model, then failed trials; fits 80 columns.

    With evidence, mIoU has its 95 % interval, and rows that cannot be told apart from the best are
    dim, with a sign for files that have no colours.

    Args:
        stale: paths of results that other code made, which get a star.
        verified: verifications that hold under the present code, by path of the result.
    """
    done = finished(results)
    first = next((result for result in done if result.cost), None)
    table = Table(
        title=_title(first or next(iter(done), None), evidence),
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,  # room for the names of models and of files of weights
        caption=_caption(results, first, evidence, verified),
    )
    table.add_column("model\ninitial weights", overflow="fold", min_width=15)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    grouped = by_hardware(summarise(results, stale))
    for place, group in grouped.items():
        if len(grouped) > 1:
            table.add_row(place, style="italic")
        for summary in group:
            _add_model(table, summary, evidence)
    for result in failed(results):
        table.add_row(*_failed_cells(result), style="dim")
    return table


def by_hardware(models: Sequence[ModelSummary]) -> dict[str, list[ModelSummary]]:
    """Models whose seconds may be compared, by what measured them; one group where all may be."""
    groups: dict[str, list[ModelSummary]] = {}
    for model in models:
        timed, trained = model.hardware
        place = f"on {timed}" + (f", trained on {trained}" if trained != timed else "")
        groups.setdefault(place, []).append(model)
    if all(on_one_hardware(models, cost) for cost in COSTS):
        return {"": [*models]}
    return groups


def _add_model(table: Table, summary: ModelSummary, evidence: Evidence | None) -> None:
    *costs, miou = cells(summary)
    known = evidence.model(summary.model) if evidence else None
    table.add_row(
        f"{summary.model}\n{summary.initial_weights}",
        *costs,
        _with_interval(miou, known) if known else miou,
        style="dim" if known and (known.indistinguishable or known.did_not_train) else None,
    )


def _failed_cells(result: FailedTrial) -> list[str]:
    again = f", run {result.repeat + 1}" if result.repeat else ""
    said = "did not\ntrain" if result.failure.kind == "diverged" else "failed"
    name = f"{result.label}\nseed {result.seed}{again}"
    return [name, *["-"] * (len(COLUMNS) - 1), said]


def cells(summary: ModelSummary) -> list[str]:
    """Its numbers as text in the order of COLUMNS, with the spread over seeds and the star."""
    numbers = zip(summary.numbers(), DIGITS, strict=True)
    texts = ["-" if value is None else f"{value:.{digits}f}" for value, digits in numbers]
    spread = "" if summary.spread is None else f" ±{100 * summary.spread:.1f}"
    return [*texts[:-1], f"{texts[-1]}{spread}{'*' * summary.stale}"]


def _title(result: FinishedTrial | None, evidence: Evidence | None) -> str:
    """What was scored, how it was predicted, at which size costs were taken, and a caveat."""
    if result is None:
        return "No trial has finished"
    data, cost = result.data, result.cost
    recipe = f"{result.recipe.name}: " if result.recipe else ""
    at = f", costs at {cost.size[0]}x{cost.size[1]}" if cost else ""
    scored = f"{data.name.split(':')[0]} {data.split}, {data.num_images} images"
    caveat = f"\n{evidence.caveat}: see below" if evidence and evidence.caveat else ""
    return f"{recipe}{scored}{at}\n{result.protocol.mode}{caveat}"


def _with_interval(miou: str, known: ModelEvidence) -> str:
    if known.did_not_train:
        return f"{miou}\ndid not train"
    return f"{'~' * known.indistinguishable}{miou}\n{bounds(known.miou)}"


def _caption(
    results: Sequence[TrialResult],
    first: FinishedTrial | None,
    evidence: Evidence | None,
    verified: Mapping[Path, Verification],
) -> str:
    """How costs were measured, what signs mean, and what was verified, as far as there is any."""
    lines = [conditions(first), hardware_note(results)] if first else []
    lines = [line for line in lines if line]
    if evidence and any(model.miou.low is not None for model in evidence.models):
        lines.append(f"[ ]: 95 % interval {TARGETS[evidence.target]}")
    if evidence and any(model.indistinguishable for model in evidence.models):
        lines.append("~ and dim: cannot be told apart from the best, or equivalent to it")
    note = verification_note(results, verified)
    return "\n".join([*lines, f"verified under the present code: {note}"] if note else lines)


def verification_note(results: Sequence[TrialResult], verified: Mapping[Path, Verification]) -> str:
    """Which models the present code gives again, and how surely; empty where none is verified."""
    trials = finished(results)
    outcomes: dict[str, list[str]] = {}
    for label in dict.fromkeys(trial.label for trial in trials):
        own = [trial for trial in trials if trial.label == label]
        held = [(trial, str(verified[trial.path])) for trial in own if trial.path in verified]
        whole = len(held) == len(own) and len({text for _, text in held}) == 1
        for trial, text in held[:1] if whole else held:
            name = label if whole else f"{label} seed {trial.seed}"
            outcomes.setdefault(text, []).append(name)
    return "; ".join(f"{', '.join(names)} {text}" for text, names in outcomes.items())


def bounds(interval: Interval, form: str = "[{:.1f}, {:.1f}]") -> str:
    """A 95 % interval in percent; empty where there is none."""
    if interval.low is None or interval.high is None:
        return ""
    return form.format(100 * interval.low, 100 * interval.high)


def conditions(
    result: FinishedTrial, latency: str = "lat", training: str = "train", memory: str = "mem"
) -> str:
    """How seconds and memory of a trial with costs were measured, under these names."""
    cost = result.cost
    assert cost is not None
    # Latency may have been taken again, alone on all cores, after trials ran side by side.
    cpu = f"{cost.threads} CPU threads"
    where = cpu if cost.device == "cpu" else result.environment.device
    return (
        f"{latency}: one image, {cost.precision}, {where}; {training}: "
        f"{result.environment.jobs} at a time; {memory}: {cost.peak_memory_kind}"
    )


def hardware_note(results: Sequence[TrialResult]) -> str:
    """That seconds are of different hardware; empty where they are of one."""
    if all(on_one_hardware(summarise(results), cost) for cost in COSTS):
        return ""
    return (
        "lat, train and mem are of different hardware: compare them within a group alone; "
        "--measure-on times all networks on one"
    )


def markdown(
    results: Sequence[TrialResult], prior: PositionPrior | None, evidence: Evidence | None = None
) -> str:
    """The main table for a README.

    It has a column for the initial weights where any are trained, and with evidence one for the
    95 % interval of mIoU. Seconds and memory of different hardware are left out.
    """
    models = summarise(results)
    left_out = [not on_one_hardware(models, cost) for cost in _COLUMN_COSTS]
    inits = any(summary.initial_weights != "random" for summary in models)
    names = [*COLUMNS, "95 %"] if evidence else [*COLUMNS]
    lines = [
        f"| model |{' init |' * inits} {' | '.join(names)} |",
        f"|---|{'---|' * inits}{'---:|' * len(names)}",
    ]
    for summary in models:
        *costs, miou = cells(summary)
        texts = ["-" if out else text for out, text in zip(left_out, costs, strict=True)] + [miou]
        if evidence:
            known = evidence.model(summary.model)
            texts.append(bounds(known.miou, "{:.1f} to {:.1f}") if known else "")
        init = f" {summary.initial_weights} |" * inits
        lines.append(f"| {markdown_name(summary.model)} |{init} {' | '.join(texts)} |")
    if prior is not None:
        miou = f" {100 * (prior.metrics.miou or 0.0):.1f} |"
        lines.append(f"| position prior |{' |' * (inits + 5)}{miou}{' |' * bool(evidence)}")
    return "\n".join(lines)


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
