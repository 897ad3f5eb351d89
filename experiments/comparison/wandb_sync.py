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
from pathlib import Path
from typing import Protocol

from experiments.comparison.wandb_version import Version
from experiments.training.wandb_pictures import PICTURE_BYTES, wandb_images
from experiments.training.wandb_run import PROJECT, start_run


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
            runs = list(wandb.Api().runs(PROJECT, filters=filters, lazy=False))
        except ValueError:  # no such project yet
            return {}
        return {run.id: run.summary.get("mirror") for run in runs}

    def delete(self, run: str) -> None:
        import wandb

        wandb.Api().run(f"{PROJECT}/{run}").delete()

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

    run = start_run(folder, "offline", version.id, version.init)
    try:
        version.fill(run)
        images, _ = wandb_images(version.pictures, version.classes, PICTURE_BYTES)
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
