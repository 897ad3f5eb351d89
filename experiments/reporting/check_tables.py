"""What a check of a data set has found, as tables for a terminal or a log."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from datamodules.validation.check_report import CheckReport, SplitSummary
from datamodules.validation.image_checks import Finding
from experiments.reporting.console import PlainConsole

_CLIPS = 4  # of a split that are told apart; data sets of video have up to thousands


def print_check_report(report: CheckReport) -> None:
    """Splits, classes and findings, and the verdict last."""
    console = PlainConsole()
    console.print(split_table(report))
    for name, split in report.splits.items():
        for text in (*split.notes, *split.stretches[:_CLIPS]):
            console.print(f"{name}: {text}")
        if len(split.stretches) > _CLIPS:
            console.print(f"{name}: and {len(split.stretches) - _CLIPS} more clips")
    console.print(class_table(report))
    console.print(_occurring(report))
    for level in ("error", "warning"):
        findings = [finding for finding in report.findings if finding.level == level]
        if findings:
            print_findings(f"{level}s", findings, console)
    console.print(verdict(report))


def print_verdict(report: CheckReport) -> None:
    """What a data set is refused for, if it is, and the verdict."""
    console = PlainConsole()
    if report.refused:
        print_findings("errors", report.errors, console)
    console.print(verdict(report), soft_wrap=True)


def _occurring(report: CheckReport) -> str:
    """How many classes the labels have, over all splits."""
    splits = report.splits.values()
    occurring = sum(any(split.pixels[k] for split in splits) for k in range(len(report.classes)))
    void = " and pixels that are not scored" if any(split.ignored for split in splits) else ""
    return f"{occurring} of {len(report.classes)} classes occur{void}"


def print_findings(title: str, findings: Sequence[Finding], console: Console) -> None:
    """A row a finding; wider than 80 columns only in a log, if a name would not fit whole."""
    kind = max(len(finding.kind) for finding in findings)
    file = max(len(finding.file) for finding in findings)
    word = max(len(word) for finding in findings for word in finding.text.split())
    log = not console.is_terminal
    table = Table(title=title, box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("kind", no_wrap=True)
    if file:
        table.add_column("file", overflow="fold", no_wrap=log)
    table.add_column("what", overflow="fold", min_width=min(word, 30))
    for finding in findings:
        cells = (finding.kind, finding.file, finding.text) if file else (finding.kind, finding.text)
        table.add_row(*cells)
    width = console.width
    if log:
        console.width = max(width, kind + file + max(word, 30) + 6)  # two gaps and both edges
    console.print(table)
    console.width = width


def verdict(report: CheckReport) -> str:
    """Whether data can be used, in a sentence."""
    errors = len(report.errors)
    warnings = len(report.findings) - errors
    state = "refused" if report.refused else "sound"
    return f"{report.spec} is {state}: {errors} errors, {warnings} warnings"


def split_table(report: CheckReport) -> Table:
    """A row a split; fits 80 columns."""
    table = Table(title=report.spec, box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("split")
    for name in ("images", "published", "labelled", "size", "groups", "views", "fingerprint"):
        table.add_column(name, justify="right")
    for name, split in report.splits.items():
        table.add_row(
            name,
            str(split.images),
            "-" if split.published is None else str(split.published),
            str(split.labelled),
            _sizes(split),
            str(len(split.groups)),
            str(split.views),
            split.fingerprint[:16] or "-",
        )
    return table


def _sizes(split: SplitSummary) -> str:
    """Widths and heights, from the fewest pixels to the most."""
    sizes = sorted(set(split.sizes), key=lambda size: (size[0] * size[1], size))
    shown = [f"{width}x{height}" for height, width in sizes]
    if len(shown) < 2:
        return "".join(shown) or "-"
    return f"{len(shown)} sizes, {shown[0]} to {shown[-1]}"


def class_table(report: CheckReport) -> Table:
    """Percent of the scored pixels, a row a class; a dash where a split has none."""
    table = Table(title="classes, % of scored pixels", box=box.SIMPLE, pad_edge=False)
    table.add_column("class", overflow="fold")
    for name in report.splits:
        table.add_column(name, justify="right")
    splits = report.splits.values()
    for index, name in enumerate(report.classes):
        table.add_row(name, *(_share(s.pixels[index], sum(s.pixels)) for s in splits))
    table.add_section()
    totals = (_share(s.ignored, s.ignored + sum(s.pixels)) for s in splits)
    table.add_row("not scored, of all", *totals)
    return table


def _share(pixels: int, total: int) -> str:
    return f"{100 * pixels / total:.2f}" if pixels else "-"
