"""The claims with their verdicts as one page, in English and Korean, that needs no network.

What it shows is gathered by `page_context`; its texts are in `page_texts`, and how it looks with
the line of thought in `reporting/templates/lecture.html.j2`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup, escape

from experiments.claims.page_context import lecture_page
from experiments.claims.page_texts import COSTS, WORDS
from experiments.claims.pictures import FieldRadii
from experiments.claims.registration import GMACS
from experiments.claims.study import Study
from experiments.claims.verdicts import Verdict
from experiments.reporting.page import render
from experiments.trials.atomic_io import write_text


def write_page(
    path: Path, study: Study, verdicts: Sequence[Verdict], fields: Iterable[FieldRadii] = ()
) -> None:
    """Write the whole page or leave the file as it was.

    Args:
        fields: receptive fields that were measured, trained or not.

    Raises:
        ValueError: a kept file that is damaged.
    """
    page = lecture_page(study, verdicts, fields)
    shown = {"page": page, "w": WORDS, "costs": COSTS, "gmacs": GMACS, "both": both}
    write_text(path, render("lecture.html.j2", **shown))


def both(en: str, ko: str) -> Markup:
    """Both languages, of which the page shows one; a text that is the same in both stands once."""
    if en == ko:
        return escape(en)
    return Markup('<span lang="en">{}</span><span lang="ko">{}</span>').format(en, ko)
