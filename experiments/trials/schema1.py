"""Results of schema 1, as versions before 0.2 wrote them, made into those of schema 2.

Schema 1 kept sentences where schema 2 has fields; they are read here and nowhere else.
"""

import re
from collections.abc import Mapping
from typing import Any

_DIVERGED = ("did not train under", "the loss is ")  # how a reason began where a loss was no number
_BY_HAND = "by hand: "
# Neighbouring images that resemble each other, which the first results did not say.
_BLOCKS = {"ade20k": 1, "camvid": 20, "cityscapes": 10, "coco": 1, "voc2012": 1}
_FIRST_VERSION = "0.1.0"

Json = dict[str, Any]
Old = Mapping[str, Any]  # as a file of schema 1 holds it


def upgrade_identity(old: Old) -> Json:
    """What a trial of schema 1 said of itself, in the form of schema 2."""
    kept = ("model", "seed", "repeat", "init_seed", "data_seed", "hashes", "environment")
    return {
        "schema": 2,
        "version": _FIRST_VERSION,
        **{key: old[key] for key in kept if key in old},
        **_recipe(old["recipe"]),
        "protocol": _protocol(old),
        "environment": _environment(old["environment"]),
    }


def upgrade(old: Old) -> Json:
    """A result of schema 1, finished or failed, in the form of schema 2."""
    new = upgrade_identity(old)
    if old["status"] == "failed":
        return {**new, "failure": _failure(old["reason"])}
    parts = ("init", "confusion", "cost", "timing", "curve", "checkpoint", "precision")
    new |= {key: old[key] for key in parts if key in old}
    return {**new, "data": _data(old["data"]), "metrics": metrics(old["metrics"])}


def metrics(old: Old) -> Json:
    """Scores, of a trial or of the position prior."""
    new = {key: value for key, value in old.items() if key != "audit"}
    return new | ({"miou_variants": old["audit"]} if "audit" in old else {})


def _recipe(old: Old) -> Json:
    """The recipe and how it was asked for, which was part of its name."""
    if old["name"] == "unknown":
        return {"recipe": None, "request": None}
    name, *changes = re.split(r"\+(?=[a-z_]+=)", old["name"])
    data = [change.partition("=")[2] for change in changes if change.startswith("data=")]
    request = {
        "recipe": name,
        "overrides": [change for change in changes if not change.startswith("data=")],
        "data": data[0] if data else None,
    }
    recipe = {key: value for key, value in old.items() if key not in ("tuned", "tuned_from")}
    if old.get("tuned") is not None:
        recipe["tuning"] = _tuning(old["tuned"], *old["tuned_from"])
    return {"recipe": recipe, "request": request}


def _tuning(text: str, lr: float, weight_decay: float) -> Json:
    found = re.fullmatch(
        r"(\d+) trials with seed (\d+); .*; (\d+) steps each on (\S+); highest mIoU on (\S+)", text
    )
    if found is None:
        raise ValueError(f"recipe.tuned is {text!r}, which no version wrote")
    return {
        "num_trials": int(found[1]),
        "seed": int(found[2]),
        "lr": lr,
        "weight_decay": weight_decay,
        "span": 10.0,
        "steps": int(found[3]),
        "train_split": found[4],
        "select_split": found[5],
    }


def _protocol(old: Old) -> Json:
    told = old["protocol"]
    new: Json = {"split": told.get("split", old["recipe"]["test_split"]), "passes": None}
    if "mode" in told:
        options = ("scales", "flip", "window", "stride", "gaussian")
        new["passes"] = {key: told[key] for key in options if key in told}
        selection = told["selection"]
        if selection.startswith(_BY_HAND):
            new |= {"selection": "by hand", "checkpoint": selection.removeprefix(_BY_HAND)}
        elif selection.startswith("unknown"):
            new["selection"] = "unknown"
    return new | ({"precision": told["precision"]} if "precision" in told else {})


def _environment(old: Old) -> Json:
    threads = re.fullmatch(r"(\d+) CPU threads", old.get("device") or "")
    return {**old, "threads": int(threads[1])} if threads else dict(old)


def _data(old: Old) -> Json:
    if "block" in old:
        return dict(old)
    return {**old, "block": _BLOCKS.get(old["name"].split(":")[0])}


def _failure(reason: str) -> Json:
    if reason.startswith(_DIVERGED):
        kind = "diverged"
    elif "SIGKILL" in reason or reason.startswith("ended by "):
        kind = "killed"
    else:
        kind = "out of memory" if "out of memory" in reason.lower() else "other"
    return {"kind": kind, "reason": reason}
