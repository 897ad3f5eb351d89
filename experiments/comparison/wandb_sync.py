"""Rebuild on Weights & Biases what a results folder holds: after offline work, a crash, a loss.

`python -m experiments.wandb_mirror runs/camvid-quick --data-root CamVid`

Every finished or failed trial becomes a run with its config, curves, scores and predictions, and
all of them together the comparison's run. What is there already stays; what is there in another
version is replaced, the new first and the old deleted after. W&B refuses the id of a deleted run
for seven days, so an id here ends in the hash of what it shows, behind the id of the trial or
comparison, which every version also says as `identity` in its config.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from experiments.training.wandb_content import RunInit, Values
from experiments.training.wandb_pictures import Picture
from experiments.trials.hashing import short_hash

if TYPE_CHECKING:  # it takes a second, and may be missing
    import wandb
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from experiments.training.wandb_pictures import PICTURE_BYTES, wandb_images
from experiments.training.wandb_run import start_run
from experiments.training.wandb_settings import project_path


@dataclass(frozen=True)
class Version:
    """A W&B run as it is to be."""

    init: RunInit
    content: str
    """Hash of all but the pictures, which a whole run from training has as well."""
    fill: "Callable[[wandb.Run], None]"
    """Logs to the run what is no picture."""
    pictures: list[Picture]
    classes: list[str]
    summary: Values
    failed: bool

    @property
    def identity(self) -> str:
        return self.init.identity

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
            runs = list(wandb.Api().runs(project_path(), filters=filters, lazy=False))
        except ValueError:  # no such project yet
            return {}
        return {run.id: run.summary.get("mirror") for run in runs}

    def delete(self, run: str) -> None:
        import wandb

        wandb.Api().run(f"{project_path()}/{run}").delete()

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
