"""The verdicts as a table of a README, in either language."""

from collections.abc import Sequence
from pathlib import Path

from experiments.claims.study import Study
from experiments.claims.verdicts import Verdict
from experiments.claims.words import SAYS_KO, Language, Text
from experiments.lecture_report.sentences import brief_words, outcome_words
from experiments.lecture_report.study_trust import guard
from experiments.reporting.tables import renew
from experiments.trials.atomic_io import write_text

MARK = "lecture"  # of the lines between which a README has the table
_HEADS = (
    Text("claim", "주장"),
    Text("difference, 95 % interval", "차이, 95 % 신뢰구간"),
    Text("verdict", "판정"),
)


def markdown(study: Study, verdicts: Sequence[Verdict], language: Language) -> str:
    """A row a claim; before them, where networks still learn, that it is too short to rank."""
    short = guard(study)
    first = [] if short is None else [f"**{short(language)}**", ""]
    rows = [[head(language) for head in _HEADS], ["---"] * len(_HEADS)]
    for verdict in verdicts:
        claim = verdict.claim
        says = Text(claim.says, SAYS_KO[claim.key])(language)
        said = [f"{claim.key}: {says}", brief_words(verdict, language)]
        rows.append([*said, outcome_words(verdict, language)])
    return "\n".join([*first, *(f"| {' | '.join(row)} |" for row in rows)])


def check_readme(path: Path) -> None:
    """Refuse a README that `renew_readme` could not renew, before hours of work.

    Raises:
        OSError: it cannot be read.
        ValueError: it has no marks.
    """
    try:
        renew(path.read_text(encoding="utf-8"), MARK, "")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def renew_readme(path: Path, study: Study, verdicts: Sequence[Verdict]) -> None:
    """Put the table between a README's marks, and touch nothing else; `.ko.md` is in Korean.

    Raises:
        ValueError: the file has no such marks.
    """
    text = path.read_text(encoding="utf-8")
    language: Language = "ko" if path.name.endswith(".ko.md") else "en"
    write_text(path, renew(text, MARK, markdown(study, verdicts, language)))
