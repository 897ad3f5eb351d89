"""The decoded copies of the splits of a data set: written, and looked at."""

from pathlib import Path

from datamodules import open_data
from datamodules.image_files import ImageFileDataset
from datamodules.loading.cache import DamagedCopyError, folder_of, open_decoded
from datamodules.validation.check_report import CheckReport, SplitSummary
from experiments.comparison.copy_parts import write_copy, write_part_here
from experiments.comparison.data_request import DataRequest
from experiments.trials import command_line as ask


def copies_are_whole(request: DataRequest, report: CheckReport) -> bool:
    """Say of each decoded copy whether it is as it was written."""
    assert request.root is not None
    whole = True
    for name, split in report.splits.items():
        labels = open_data(request.spec, name, request.root).labels
        folder = folder_of(request.spec, name, request.root)
        rebuild = (
            f"python -m experiments.data cache {request.spec} --data-root {request.root} --split "
            f"{name} --rebuild makes it again"
        )
        try:
            if open_decoded(labels, folder, split.fingerprint, rebuild, deep=True):
                ask.say(f"{name}: the decoded copy {folder} is whole")
        except ValueError as error:
            ask.complain(error)
            whole = False
    return whole


def write_copies(request: DataRequest, report: CheckReport) -> int:
    """Write those that are not there; 0, or 2 where one cannot be written.

    Raises:
        Detached: parts are submitted, and nobody waits for them.
    """
    status = 0
    for name, split in report.splits.items():
        try:
            _write(request, name, split)
        except ValueError as error:  # of this split; the others go on
            ask.complain(error)
            status = 2
    return status


def _write(request: DataRequest, name: str, split: SplitSummary) -> None:
    data = open_data(request.spec, name, request.root)
    if not isinstance(data, ImageFileDataset):
        ask.say(f"{request.spec} {name} is made, not read: there is nothing to decode")
        return
    assert request.root is not None
    folder = folder_of(request.spec, name, request.root)
    try:
        if open_decoded(data.labels, folder, split.fingerprint, "--rebuild writes it anew"):
            ask.say(f"{name} is decoded already: {folder}")
            return
    except DamagedCopyError as error:
        ask.say(f"{str(error).removesuffix(': --rebuild writes it anew')}: it is made again")
    except ValueError:
        if not request.rebuild:
            raise
    ask.say(f"{name}: {split.images} images, {split.decoded_bytes / 1e9:.2f} GB")
    write_copy(request, name, data, split, folder)
    ask.say(f"{'laid out' if request.lay_out else 'wrote'} {folder}")


def write_part(request: DataRequest) -> Path:
    """Write the part that is asked for, of the copy of one split, which is laid out.

    Raises:
        ValueError: not one split of files, or a copy that is not laid out.
    """
    if request.root is None or len(request.splits or ()) != 1:
        raise ValueError("--part is of the copy of one split: name it with --split, and its folder")
    (name,) = request.splits or ()
    data = open_data(request.spec, name, request.root)
    if not isinstance(data, ImageFileDataset):
        raise ValueError(f"{request.spec} {name} is made, not read: there is nothing to decode")
    folder = folder_of(request.spec, name, request.root)
    if request.copies is not None:
        folder = request.copies / folder.name
    write_part_here(request, data, folder)
    return folder
