"""A comparison's own run on Weights & Biases."""

import tempfile
from pathlib import Path
from typing import Any

from experiments.analysis.model_summary import COLUMNS, rows
from experiments.reporting.readme_figures import pareto_figure
from experiments.training.wandb_run import Mirror, content, summary
from experiments.trials.hashing import short_hash
from experiments.trials.result_types import TrialResult
from experiments.trials.results import read_prior


def comparison_run(results: list[TrialResult], group: str) -> dict[str, Any]:
    """What `wandb.init` takes for a comparison, but the id; its config follows from all results."""
    done = [result for result in results if result.done]
    config = {
        "identity": group,
        "recipe": done[0]["recipe"],
        "protocol": done[0]["protocol"],
        "models": sorted({result["model"] for result in done}),
        "results": short_hash(sorted(short_hash(summary(r.record)) for r in results)),
    }
    name = f"comparison {group}"
    return {"name": name, "group": group, "job_type": "comparison", "config": config}


def log_comparison(run: Any, results: list[TrialResult]) -> None:
    """The table, the IoU of every class, and accuracy against cost as a plot and as a picture."""
    import wandb

    from experiments.analysis.evidence import evidence

    prior = read_prior(results[0].path.parents[2], results) or {}
    found = evidence(results, prior=prior.get("miou"))
    models = rows(results)
    table = wandb.Table(["model", "init", "seeds", *COLUMNS, "mIoU low %", "mIoU high %"])
    classes = wandb.Table(["model", *models[0].iou])
    for row in models:
        known = found.model(row.model)
        ends = (known.miou.low, known.miou.high) if known else (None, None)
        table.add_data(row.model, row.init, len(row.seeds), *row.numbers(), *map(_percent, ends))
        classes.add_data(row.model, *map(_percent, row.iou.values()))
    plot = wandb.plot.scatter(table, "GMACs", "mIoU %", title="accuracy against cost")
    values = {"comparison": table, "IoU % of classes": classes, "accuracy against cost": plot}
    with tempfile.TemporaryDirectory() as folder:
        if any(row.gmacs is not None for row in models):  # else all are predictions from elsewhere
            pareto_figure(results, Path(folder) / "figure.png", found)
            values["Pareto front"] = wandb.Image(f"{folder}/figure.png", caption=found.answer)
        run.log(values)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def send_comparison(results: list[TrialResult], folder: Path, mode: str | None, group: str) -> None:
    """The comparison's own run, from what the result files hold."""
    init = comparison_run(results, group)
    mirror = Mirror(folder, mode, id=group, **init)
    if mirror.run:
        mirror.attempt(lambda: log_comparison(mirror.run, results))
    mirror.close({"mirror": content(init["config"])})
