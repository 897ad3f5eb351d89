"""Rebuild on Weights & Biases what a results folder holds: after offline work, a crash, a loss.

`python -m experiments.wandb_mirror runs/camvid-quick --data-root CamVid`

Every finished or failed trial becomes a run with its config, curves, scores and predictions, and
all of them together the comparison's run. What is there already stays; what is there in another
version is replaced, the new first and the old deleted after. W&B refuses the id of a deleted run
for seven days, so an id here ends in the hash of what it shows, behind the id of the trial or
comparison, which every version also says as `identity` in its config.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from datamodules.labels import UInt8
from experiments.comparison import wandb_comparison
from experiments.reporting.image_panel import Panel, make_panel
from experiments.training import wandb_run
from experiments.training.wandb_run import Picture
from experiments.trials.comparability import check_comparable
from experiments.trials.hashing import short_hash
from experiments.trials.results import TrialResult


@dataclass(frozen=True)
class Version:
    """A W&B run as it is to be."""

    init: dict[str, Any]
    """What `wandb.init` takes, but the id."""
    content: str
    """Hash of all but the pictures, which a whole run from training has as well."""
    fill: Callable[[Any], None]
    """Logs to the run what is no picture."""
    pictures: list[Picture]
    classes: list[str]
    summary: dict[str, Any]
    failed: bool

    @property
    def identity(self) -> str:
        return str(self.init["config"]["identity"])

    @property
    def stamp(self) -> str:
        """What tells it from other versions of the same run."""
        if not self.pictures:
            return self.content
        pixels = sha256()
        for picture in self.pictures:
            for array in (picture.image, *picture.masks.values()):
                pixels.update(array.tobytes())
        return short_hash([self.content, pixels.hexdigest()])

    @property
    def id(self) -> str:
        return f"{self.identity}-{self.stamp}"


class Server(Protocol):
    def copies(self, identity: str) -> dict[str, str | None]:
        """Ids of all versions of a run, each with its stamp; None for one that is not whole."""

    def send(self, folder: Path) -> None:
        """Upload an offline run; ValueError where that did not end well."""

    def delete(self, run: str) -> None: ...


class Account:
    """The server of the account here; every call starts afresh, as `write` ends W&B's service."""

    def copies(self, identity: str) -> dict[str, str | None]:
        import wandb

        filters = {"config.identity": identity}
        try:
            runs = list(wandb.Api().runs(wandb_run.PROJECT, filters=filters, lazy=False))
        except ValueError:  # no such project yet
            return {}
        return {run.id: run.summary.get("mirror") for run in runs}

    def delete(self, run: str) -> None:
        import wandb

        wandb.Api().run(f"{wandb_run.PROJECT}/{run}").delete()

    def send(self, folder: Path) -> None:
        for mark in folder.glob("*.wandb.*"):  # what an earlier upload came to
            mark.unlink()
        command = [sys.executable, "-m", "wandb", "sync", "--include-synced", str(folder.resolve())]
        with tempfile.TemporaryDirectory() as here:  # it leaves a log where it starts
            subprocess.run(command, cwd=here, check=False)  # 0 also for an upload that failed
        if not any(folder.glob("*.synced")):
            raise ValueError(
                f"{folder} was not uploaded, for the reason above: do it again later; a run that "
                "was deleted by hand can come back after seven days"
            )


def trial_version(result: TrialResult, group: str, panel: Panel) -> Version:
    """A trial with the predictions of the panel's images that it keeps."""
    from experiments.trials.history import read_points

    record = result.record
    init, summary = wandb_run.trial_run(record, group), wandb_run.summary(record)
    points = read_points(result.path.parent / "metrics.jsonl") or _points(record.get("curve", {}))

    def fill(run: Any) -> None:
        for point in points:
            run.log(point)

    pictures = [p for name in panel.ids for p in _picture(panel, name, {"prediction": result})]
    return Version(
        init=init,
        content=wandb_run.content(init["config"], summary, record.get("curve", points)),
        fill=fill,
        pictures=pictures,
        classes=list(panel.labels.names),
        summary=summary,
        failed=not result.done,
    )


def comparison_version(results: list[TrialResult], group: str, panel: Panel) -> Version:
    """The comparison, with the truth of each image and one prediction a model over it."""
    init = wandb_comparison.comparison_run(results, group)
    firsts = {result.label: result for result in reversed(results) if result.done}
    pictures = [p for name in panel.ids for p in _picture(panel, name, firsts, panel.masks)]
    return Version(
        init=init,
        content=wandb_run.content(init["config"]),
        fill=lambda run: wandb_comparison.log_comparison(run, results),
        pictures=pictures,
        classes=list(panel.labels.names),
        summary={},
        failed=False,
    )


def _points(curve: dict[str, list[list[float]]]) -> list[dict[str, float]]:
    """The curves of a result of which nothing else was kept."""
    points: dict[float, dict[str, float]] = {}
    for name, key in (("train", "train/loss"), ("val", "val/miou")):
        for step, value in curve.get(name, ()):
            points.setdefault(step, {"step": step})[key] = value
    return [points[step] for step in sorted(points)]


def _picture(
    panel: Panel, name: str, results: dict[str, TrialResult], truths: dict[str, UInt8] | None = None
) -> list[Picture]:
    """The image under the truth and under the predictions of it that were kept; none without."""
    masks = {"truth": truths[name]} if truths else {}
    for key, result in results.items():
        path = result.predictions / f"{name}.png"
        if result.done and path.is_file():
            with Image.open(path) as file:
                masks[key] = np.array(file, dtype=np.uint8)
    if not set(masks) - {"truth"}:
        return []
    if panel.images is not None:
        ground = panel.images[name]
    else:  # the data set is not here: a prediction in colours stands in for the photo
        colours = np.frombuffer(panel.labels.palette, np.uint8).reshape(-1, 3)
        ground = colours[next(iter(masks.values()))]
    return [Picture(name, ground, masks)]


def write(version: Version, folder: Path) -> tuple[Path, bool]:
    """The offline run of this version below `folder`/wandb, alone there, and whether it is new."""
    here = folder / "wandb"
    copies = sorted(here.glob(f"offline-run-*-{version.identity}-*"))  # of training's own: no `-`
    current = [path for path in copies if path.name.endswith(version.id)]
    if not current:
        here.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=here, prefix=".") as draft:
            made = _draft(version, Path(draft))
            current = [made.rename(here / made.name)]
    for path in copies:
        if path != current[0]:
            shutil.rmtree(path)
    return current[0], current[0] not in copies


def _draft(version: Version, folder: Path) -> Path:
    import wandb

    run = wandb_run.start_run(folder, "offline", id=version.id, **version.init)
    try:
        version.fill(run)
        images, _ = wandb_run.wandb_images(
            version.pictures, version.classes, wandb_run.PICTURE_BYTES
        )
        if images:
            run.log({"test/panel": images})
        run.summary.update({**version.summary, "mirror": version.stamp})
    finally:
        run.finish(exit_code=int(version.failed))
        wandb.teardown()  # `finish` alone may return before the file is whole
    (made,) = folder.glob("wandb/offline-run-*")
    return made


def send(version: Version, folder: Path, server: Server) -> bool:
    """Have this version on the server, and no other; whether it was not there yet.

    A run that training sent whole stays, with its pictures of validation.
    """
    copies = server.copies(version.identity)
    current = [run for run, stamp in copies.items() if stamp in (version.stamp, version.content)]
    if not current:
        server.send(write(version, folder)[0])
    for run in copies:
        if run != (current[0] if current else version.id):
            server.delete(run)
    return not current


def versions(results: list[TrialResult], data_root: Path | None) -> tuple[list[Version], str]:
    """The runs of a folder, trials first, and why they have no photos; empty where they have.

    Raises:
        ValueError: no results, or results that do not share a table.
    """
    check_comparable(results)
    trials = [result for result in results if result["hashes"]["recipe"]]  # others come from afar
    group = short_hash(sorted(wandb_run.trial_id(result.record) for result in trials))
    panel = make_panel(results, data_root)
    made = [trial_version(result, group, panel) for result in trials]
    if any(result.done for result in results):
        made.append(comparison_version(results, group, panel))
    return made, panel.reason
