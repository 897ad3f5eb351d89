"""The claims with their verdicts as one page, in English and Korean, that needs no network.

Its texts are in `page_texts`, and how it looks with the line of thought in
`reporting/templates/lecture.html.j2`.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.claims.study import Study
from experiments.claims.verdicts import Verdict
from experiments.lecture_report.claim_pages import claim_page
from experiments.lecture_report.front_chart import network_page
from experiments.lecture_report.page_assets import assets
from experiments.lecture_report.page_texts import COSTS, WORDS, both, filled
from experiments.lecture_report.study_facts import study_facts
from experiments.reporting.page import write_page as write


def write_page(path: Path, study: Study, verdicts: Sequence[Verdict]) -> None:
    """Write the whole page or leave the file as it was.

    Args:
        verdicts: of the claims that were asked for; the page is about their networks alone.

    Raises:
        ValueError: a kept file that is damaged.
    """
    networks = network_page(study, [verdict.claim for verdict in verdicts])
    images = None
    if networks.images:
        num_images, num_blocks = networks.images
        images = filled("images_of", images=num_images, blocks=num_blocks)
    write(
        path,
        "lecture.html.j2",
        facts=study_facts(study, verdicts),
        claims=[claim_page(verdict, images) for verdict in verdicts],
        networks=networks,
        assets=assets(networks.fields),
        w=WORDS,
        costs=COSTS,
        say=both,
        filled=filled,
    )
