"""A comparison's own run on Weights & Biases."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import COLUMNS, summarise
from experiments.reporting.readme_figures import pareto_figure
from experiments.training.wandb_content import RunInit, Values, content, summary
from experiments.training.wandb_run import Mirror
from experiments.trials.environment import WandbMode
from experiments.trials.hashing import short_hash
from experiments.trials.result_types import FinishedTrial, TrialResult

if TYPE_CHECKING:  # it takes a second, and may be missing or off
    import wandb


def comparison_run(results: Sequence[TrialResult], group: str) -> RunInit:
    """The run of a comparison; its config follows from all results."""
    done = [result for result in results if isinstance(result, FinishedTrial)]
    first, recipe = done[0], done[0].recipe
    config: Values = {
        "identity": group,
        "recipe": asdict(recipe) if recipe else None,
        "protocol": {"split": first.protocol.split, **first.protocol.describe()},
        "models": sorted({result.model for result in done}),
        "results": short_hash(sorted(short_hash(summary(result)) for result in results)),
    }
    return RunInit(name=f"comparison {group}", group=group, job_type="comparison", config=config)


def log_comparison(run: "wandb.Run", results: Sequence[TrialResult], evidence: Evidence) -> None:
    """The table, the IoU of every class, and accuracy against cost as a plot and as a picture."""
    import wandb

    models = summarise(results)
    table = wandb.Table(["model", "init", "seeds", *COLUMNS, "mIoU low %", "mIoU high %"])
    classes = wandb.Table(["model", *models[0].iou])
    for row in models:
        known = evidence.model(row.model)
        ends = (known.miou.low, known.miou.high) if known else (None, None)
        numbers = (row.num_seeds, *row.numbers(), *map(_percent, ends))
        table.add_data(row.model, row.initial_weights, *numbers)
        classes.add_data(row.model, *map(_percent, row.iou.values()))
    plot = wandb.plot.scatter(table, "GMACs", "mIoU %", title="accuracy against cost")
    values: Values = {
        "comparison": table,
        "IoU % of classes": classes,
        "accuracy against cost": plot,
    }
    with tempfile.TemporaryDirectory() as folder:
        if any(row.gmacs is not None for row in models):  # else all are predictions from elsewhere
            picture = Path(folder) / "figure.png"
            pareto_figure(results, picture, evidence)
            values["Pareto front"] = wandb.Image(str(picture), caption=evidence.answer)
        run.log(values)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def send_comparison(
    results: Sequence[TrialResult],
    evidence: Evidence,
    folder: Path,
    mode: WandbMode | None,
    group: str,
) -> None:
    """The comparison's own run, from what the result files hold."""
    init = comparison_run(results, group)
    mirror = Mirror(folder, mode, group, init)
    if (run := mirror.run) is not None:
        mirror.attempt(lambda: log_comparison(run, results, evidence))
    mirror.close({"mirror": content(init.config)})
