"""A data set checked in parts, on many machines; the report is that of one machine."""

from functools import partial
from pathlib import Path
from typing import ClassVar

from datamodules.dataset import Progress
from datamodules.parts import Part, all_parts
from datamodules.validation.check import check, checked, is_checked
from datamodules.validation.check_parts import CheckParts
from datamodules.validation.check_report import CheckReport
from experiments.comparison.data_request import DataRequest
from experiments.comparison.part_job import PartJob, as_part, found_number, own_cores, part_folder
from experiments.comparison.part_runs import clear, how_many, parts_engine, run_parts

_FEW = 1000  # images, which one machine checks in the time that jobs take to start


class CheckPart(PartJob):
    """The job of one part of a check."""

    module: ClassVar[str] = "experiments.data"
    names_out: ClassVar[str] = "--checks"


def check_here(request: DataRequest) -> Path:
    """Check the part that is asked for; the file that it leaves.

    Raises:
        ValueError: no folder for it, or a data set that cannot be opened.
    """
    assert request.part is not None
    if request.checks is None:
        raise ValueError("--part leaves what it has found in a folder: name it with --checks")
    part = Part(*request.part)
    with as_part(part_folder(request.parts_folder, part)) as progress:
        parts = CheckParts(request.spec, request.root, request.splits)
        path = _path(request, part)
        parts.inspect(part, path, request.jobs or own_cores(), progress)
    return path


def report_of(request: DataRequest, progress: Progress) -> CheckReport:
    """What is found of a data set, by whatever reads it.

    Raises:
        ValueError: as `checked`, or as `check_in_parts`.
        Detached: as `check_in_parts`.
    """
    if request.checks or not request.engine.local:
        return check_in_parts(request)
    splits, again, deep, jobs = request.splits, request.again, request.deep, request.jobs
    return checked(
        request.spec, request.root, splits, again=again, deep=deep, jobs=jobs, progress=progress
    )


def full_report(request: DataRequest, progress: Progress) -> CheckReport:
    """The same, also of data that are made, whose images are read here.

    Raises:
        ValueError, Detached: as `report_of`.
    """
    report = report_of(request, progress)
    if report.inspected:
        return report
    return check(request.spec, request.root, request.splits, jobs=request.jobs, progress=progress)


def check_ahead(request: DataRequest) -> None:
    """Have an engine check what is not checked yet and is more than this machine reads at once.

    Raises:
        ValueError, Detached: as `check_in_parts`.
    """
    if is_checked(request.spec, request.root, request.splits):
        return
    if len(CheckParts(request.spec, request.root, request.splits)) > _FEW:
        check_in_parts(request)


def check_in_parts(request: DataRequest) -> CheckReport:
    """What `checked` finds, of parts that an engine has checked, or that lie there.

    Raises:
        ValueError: parts that are missing, damaged or of something else, or that failed.
        Detached: they are submitted, and nobody waits for them.
        BusyError: another process has them checked.
    """
    again, deep, splits = request.again, request.deep, request.splits
    kept = not (request.checks or again or deep)
    if kept and is_checked(request.spec, request.root, splits):
        return checked(request.spec, request.root, splits)
    parts = CheckParts(request.spec, request.root, splits)
    folder = request.parts_folder
    if request.engine.local:
        of = found_number(folder)
        missing = [part for part in all_parts(of) if not _path(request, part).is_file()]
        if missing:
            raise ValueError(
                f"{folder} lacks {len(missing)} of {of} parts, the first {missing[0]}: check it "
                f"with --part {missing[0]} --checks {folder}"
            )
    else:
        of = how_many(request.parts, len(parts))
        with parts_engine(request.engine, folder) as engine:
            jobs = [_job(request, parts, part) for part in all_parts(of)]
            run_parts(jobs, engine, request.engine.detach)
    found = [parts.read(part, _path(request, part)) for part in all_parts(of)]
    report = checked(
        request.spec, request.root, splits, again=again, deep=deep, jobs=request.jobs, parts=found
    )
    if not request.engine.local:
        clear(folder)
    return report


def _job(request: DataRequest, parts: CheckParts, part: Part) -> CheckPart:
    path = _path(request, part)
    arguments = ["check", *request.arguments_of(request.splits or ()), "--part", str(part)]
    arguments += ["--checks", str(request.parts_folder)]
    left = partial(parts.read, part, path)
    title = f"{request.spec} check {part}"
    return CheckPart(title, path.parent, left, arguments=arguments)


def _path(request: DataRequest, part: Part) -> Path:
    return part_folder(request.parts_folder, part) / "checks.json.gz"
