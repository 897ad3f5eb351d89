"""The decoded copy of a split, written here or in parts on many machines."""

from functools import partial
from pathlib import Path
from typing import ClassVar

from datamodules.image_files import ImageFileDataset
from datamodules.loading.cache_writer import (
    build,
    build_part,
    check_part_is_built,
    is_laid_out,
    lay_out,
)
from datamodules.parts import Part, all_parts
from datamodules.validation.check_report import SplitSummary
from experiments.comparison.data_request import DataRequest
from experiments.comparison.part_job import PartJob, as_part, own_cores, part_folder
from experiments.comparison.part_runs import clear, how_many, parts_engine, run_parts
from experiments.reporting.progress_bar import shown_progress


class CopyPart(PartJob):
    """The job of one part of a copy."""

    module: ClassVar[str] = "experiments.data"
    names_out: ClassVar[str] = "--copies"


def write_copy(
    request: DataRequest, name: str, data: ImageFileDataset, split: SplitSummary, folder: Path
) -> None:
    """Write the copy of the split `name`, or only lay it out.

    What parts have written, the machine of the command looks at at the end.

    Raises:
        ValueError: as `build`, or parts that failed.
        Detached: parts are submitted, and nobody waits for them.
    """
    beside = _beside(folder)
    if request.lay_out:
        lay_out(data, split.sizes, split.fingerprint, folder)
        return
    if not request.engine.local:
        lay_out(data, split.sizes, split.fingerprint, folder)
        of = how_many(request.parts, len(data))
        with parts_engine(request.engine, beside) as engine:
            jobs = [_job(request, name, folder, part, len(data)) for part in all_parts(of)]
            run_parts(jobs, engine, request.engine.detach)
    with shown_progress("images") as progress:
        build(data, split.sizes, split.fingerprint, folder, jobs=request.jobs, progress=progress)
    clear(beside)


def write_part_here(request: DataRequest, data: ImageFileDataset, folder: Path) -> None:
    """Write the part that is asked for of a copy that is laid out.

    Raises:
        ValueError: it is not, or as `build_part`.
    """
    assert request.part is not None
    part = Part(*request.part)
    if not is_laid_out(folder):
        raise ValueError(
            f"no decoded copy is laid out at {folder}: give the command with --lay-out first"
        )
    with as_part(part_folder(_beside(folder), part)) as progress:
        jobs = request.jobs or own_cores()
        build_part(data, folder, part, jobs=jobs, progress=progress)


def _job(request: DataRequest, name: str, folder: Path, part: Part, num: int) -> CopyPart:
    arguments = ["cache", *request.arguments_of([name]), "--part", str(part)]
    arguments += ["--copies", str(folder.parent.absolute())]
    left = partial(check_part_is_built, folder, part, num)
    place = part_folder(_beside(folder), part)
    title = f"{request.spec} {name} copy {part}"
    return CopyPart(title, place, left, arguments=arguments)


def _beside(folder: Path) -> Path:
    """Where logs of parts lie."""
    return folder.with_name(folder.name + ".parts")
