"""Of each claim in lecture.html: its verdict, the picture, and what the verdict rests on."""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.claims.study import names_of
from experiments.claims.verdicts import Verdict
from experiments.claims.words import SAYS_KO, Text
from experiments.lecture_report.claim_facts import claim_facts
from experiments.lecture_report.claim_plots import Plot, claim_plots
from experiments.lecture_report.estimate_words import in_both
from experiments.lecture_report.network_words import NETWORK_WORDS
from experiments.lecture_report.sentences import brief_words, outcome_words, sentence


@dataclass(frozen=True)
class ClaimPage:
    """One claim, in words of both languages.

    Attributes:
        kind: of the outcome, for its colour and sign; `nothing` where nothing was measured.
        brief: the deciding differences with their intervals, of at most two.
        facts: what the verdict rests on, by their names.
        networks: what each of its networks is, by its name.
    """

    key: str
    kind: str
    says: Text
    outcome: Text
    sentence: Text
    brief: Text
    plots: tuple[Plot, ...]
    facts: Mapping[Text, Text]
    networks: Mapping[str, Text]


def claim_page(verdict: Verdict, images: Text | None) -> ClaimPage:
    """Of one verdict.

    Args:
        images: how many images and blocks; None before the first trial.
    """
    claim = verdict.claim
    return ClaimPage(
        key=claim.key,
        kind=verdict.outcome.split()[0] if verdict.started else "nothing",
        says=Text(claim.says, SAYS_KO[claim.key]),
        outcome=in_both(lambda language: outcome_words(verdict, language)),
        sentence=in_both(lambda language: sentence(verdict, language)),
        brief=in_both(lambda language: brief_words(verdict, language)),
        plots=tuple(claim_plots(verdict)),
        facts=dict(claim_facts(verdict, images)),
        networks={name: NETWORK_WORDS[name] for name, _ in names_of(claim)},
    )
