"""All that report.html shows of a comparison, as the values of its template."""

import re
import shlex
from dataclasses import asdict
from typing import Any

from datamodules import dataset_info
from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import Entry, entries
from experiments.reporting import chart_data
from experiments.reporting.image_panel import Panel, shots
from experiments.reporting.tables import conditions
from experiments.trials.reference import ALIASES, Published, published
from experiments.trials.results import TrialResult


def report_context(
    results: list[TrialResult],
    found: Evidence,
    stale: set[str],
    prior: dict[str, Any] | None,
    panel: Panel | None,
) -> dict[str, Any]:
    """All values of the template."""
    models = entries(results, stale, [model.model for model in found.models])
    trials = [trial for entry in models for trial in entry.trials]
    told = (trial for trial in trials if trial["hashes"]["recipe"])
    first = next(told, trials[0] if trials else results[0])
    costs = next((trial for trial in trials if trial["cost"]), None)
    papers = [(i, paper) for i, entry in enumerate(models) for paper in _papers(entry.row.model)]
    return {
        **_drawn(models, found, first["recipe"].get("val_split", "val")),
        "found": found,
        "recipe": first["recipe"],
        "protocol": _protocol(first),
        "first": first,
        "models": models,
        "failed": [result for result in results if not result.done],
        "prior": prior,
        "said": _said(found),
        "costs": costs,
        "measured": _measured(costs),
        "paper_rows": [paper for _, paper in papers],
        "published": _published([paper for _, paper in papers], first),
        "counted": [line for i, paper in papers if (line := _counted(i, models[i], paper))],
        "gains": any(pair.boundary_gain for pair in found.pairs),
        "old": [e.row.model for e in models if not all("bands" in t["metrics"] for t in e.trials)],
        "audit": chart_data.audit(models),
        "panel": panel,
        "shots": shots(panel, models) if panel and models else [],
        "warnings": list(dict.fromkeys(w for r in results for w in _warnings(r))),
        "command": command(results),
        "fields": _distinct(results, "recipe"),
        "hashes": _distinct(results, "hashes"),
        "environment": _distinct(results, "environment"),
    }


def _drawn(models: list[Entry], found: Evidence, val_split: str) -> dict[str, Any]:
    """Charts, and as `data` the numbers that a script draws them from."""
    intervals = {model.model: model.miou for model in found.models}
    cost = chart_data.cost_points(models, intervals, set(found.did_not_train))
    curves = chart_data.curves(models, val_split)
    bands, sizes = chart_data.bands(models, found), chart_data.objects(models)
    marks = [
        {"name": entry.row.model, "colour": i % 6, "shape": i // 6 % 3}
        for i, entry in enumerate(models)
    ]
    return {
        "cost": cost,
        "intervals": any(point["low"] is not None for point in cost["points"]),
        "forest": chart_data.forest(found.pairs, found.margin),
        "curves": curves,
        "bands": bands,
        "sizes": sizes,
        "data": {
            "models": marks,
            "cost": cost,
            "charts": [asdict(chart) for chart in (*curves, *bands, *sizes)],
        },
    }


def _papers(model: str) -> list[dict[str, Published]]:
    """Published figures by metric, one dictionary a source; none for a network with options."""
    sources: dict[str, dict[str, Published]] = {}
    for line in published():
        if line.model == ALIASES.get(model, model):
            sources.setdefault(line.source, {})[line.metric] = line
    return list(sources.values())


def _published(papers: list[dict[str, Published]], first: TrialResult) -> str:
    """Where published scores are from and in what they differ from ours, as a column's title."""
    scores = [paper["miou_percent"] for paper in papers if "miou_percent" in paper]
    data = first.record.get("data", {"name": "", "split": ""})
    mode = first["protocol"].get("mode", "")
    differs = {
        "data": any(score.data != data["name"].split(":")[0] for score in scores),
        "split": any(score.split != data["split"] for score in scores),
        "protocol": any(score.protocol not in mode for score in scores),
    }
    parts = [part for part, other in differs.items() if other]
    sources = " and ".join(dict.fromkeys(f"{score.data} {score.split}" for score in scores))
    unlike = f"other {' and '.join(parts)}" if parts else "same data and protocol"
    return f"published on {sources}: {unlike}" if scores else "published"


def _counted(index: int, entry: Entry, paper: dict[str, Published]) -> dict[str, Any] | None:
    """Parameters and GFLOPs of a paper beside ours counted alike; None without ours."""
    cost = entry.trials[0]["cost"]
    if not cost:
        return None
    ours = {
        "params_m": cost["params_paper"] / 1e6,
        "paper_gflops_1024x2048": cost["paper_gflops_1024x2048"],
    }
    line = next(iter(paper.values()))
    numbers = [(paper[key].value if key in paper else None, value) for key, value in ours.items()]
    of = {"method": line.method, "source": line.source, "locator": line.locator}
    return {"model": index, "numbers": numbers, **of}


def _protocol(first: TrialResult) -> str:
    """Data and protocol in the words that stand beside every score."""
    if not first.done:
        return f"{first['recipe']['data']}: no trial finished"
    data, protocol = first["data"], first["protocol"]
    parts = [f"{data['name'].split(':')[0]} {data['split']}, {data['num_images']} images"]
    for key, value in protocol.items():
        if key != "split":
            parts.append(str(value) if key == "mode" else f"{key}: {value}".replace("none: ", ""))
    return "; ".join(parts) + "."


def _said(found: Evidence) -> str:
    """What the intervals are, or why there are none."""
    reasons = dict.fromkeys(m.miou.reason for m in found.models if m.miou.reason)
    if reasons or not found.models:
        return " ".join(f"No interval: {reason}." for reason in reasons)
    what = {
        "checkpoints": "these trained networks on other images",
        "seeds": "new training runs and other images",
    }[found.target]
    length = "whole groups" if found.block is None else f"blocks of {found.block}"
    blocks = f"{found.num_blocks} images" if found.block == 1 else f"{found.num_blocks} {length}"
    return f"95 % intervals are for {what}, from resampling {blocks}."


def _measured(costs: TrialResult | None) -> str:
    """How seconds and memory were measured."""
    text = f"{conditions(costs)}." if costs else ""
    for short, word in (("lat:", "Latency:"), ("train:", "training:"), ("mem:", "memory:")):
        text = text.replace(short, word)
    return text


def _warnings(result: TrialResult) -> list[str]:
    found: list[str] = result.record.get("data", {}).get("warnings", [])
    return found


def _distinct(results: list[TrialResult], part: str) -> dict[str, list[str]]:
    """Every value that the trials have for each key of `part`: one where they agree."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for key, value in result[part].items():
            found.setdefault(key, {})[str(value)] = None
    return {key: list(values) for key, values in found.items()}


def command(results: list[TrialResult]) -> str:
    """The command that makes these results again; changed fields are part of a recipe's name."""
    recipe = next((r["recipe"] for r in results if r["hashes"]["recipe"]), results[0]["recipe"])
    spec = recipe["data"]
    root = ["--data-root", "FOLDER"] if dataset_info(spec) else []
    if recipe["name"] == "unknown":
        parts = ["score", "PREDICTIONS", "--data", spec, "--split", recipe["test_split"], *root]
        return "python -m experiments." + shlex.join(parts)
    ours = [result for result in results if result["hashes"]["recipe"]]
    name, *changes = re.split(r"\+(?=[a-z_]+=)", recipe["name"])
    parts = ["compare", "--recipe", name]
    for change in changes:
        field, _, value = change.partition("=")
        parts += ["--data", value] if field == "data" else ["--set", change]
    seeds = sorted({result["seed"] for result in ours})
    parts += ["--models", ",".join(dict.fromkeys(result["model"] for result in ours))]
    parts += ["--seeds", ",".join(map(str, seeds)), *root]
    return "python -m experiments." + shlex.join(parts)
