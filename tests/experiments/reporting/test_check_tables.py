"""Findings of a check on a terminal and in a log."""

import io

from rich.console import Console

from datamodules.validation.image_checks import Finding
from experiments.reporting.check_tables import print_findings


def _printed(findings: list[Finding], *, terminal: bool) -> list[str]:
    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=terminal,
        width=80,
        color_system=None,
        markup=False,
        emoji=False,
    )
    print_findings("errors", findings, console)
    assert console.width == 80
    return text.getvalue().splitlines()


def test_names_of_files_are_whole_in_a_log_and_fold_on_a_terminal() -> None:
    long = "gtFine/train/monchengladbach/monchengladbach_000000_001294_gtFine_labelTrainIds.png"
    other = long.replace("gtFine", "other")
    found = [
        Finding("error", "missing", "a.png", "is missing: [bold] :car: and a text of more words"),
        Finding("error", "size", long, f"is 64x48 but its label {other} is 56x48"),
    ]
    log = "\n".join(_printed(found, terminal=False))
    assert long in log and other in log and "[bold] :car:" in log
    lines = _printed(found, terminal=True)
    assert max(map(len, lines)) <= 80
    (head,) = (line for line in lines if "file" in line)
    file, what = head.index("file"), head.index("what")
    assert long in "".join(line[file:what].strip() for line in lines)  # no character is lost
    assert other in "".join(line[what:].strip() for line in lines)
    assert max(map(len, _printed(found[:1], terminal=False))) <= 80
