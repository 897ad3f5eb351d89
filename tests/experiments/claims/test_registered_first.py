"""The registration is older than every result of the study, and was only added to since."""

import subprocess
from datetime import date
from pathlib import Path

import pytest

from experiments.claims.registration import ADDITIONS

ROOT = Path(__file__).parents[3]
FILE = "experiments/claims/registration.py"
RESULTS = "experiments/results/lecture"
REGISTERED = "Register the study of the lecture's claims before the first of its trials runs"


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def registered() -> str:
    """The commit that registered the study."""
    if not (ROOT / ".git").exists():
        pytest.skip("these files are no checkout: they have no history")
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("this checkout does not have the history back to the registration")
    commits = git("log", "--format=%H %s", "--", FILE).splitlines()
    (found,) = (line.split()[0] for line in commits if line.endswith(REGISTERED))
    return found


def without_additions(text: str) -> str:
    return text.partition("\nADDITIONS:")[0]


def test_nothing_but_additions_changed_since(registered: str) -> None:
    then, now = git("show", f"{registered}:{FILE}"), (ROOT / FILE).read_text()
    assert without_additions(now) == without_additions(then)
    assert "ADDITIONS: tuple[Addition, ...] = ()" in then


def test_every_result_was_committed_later(registered: str) -> None:
    """The registering commit is an ancestor of the first of every result's."""
    before = git("ls-tree", "-r", "--name-only", registered, "--", RESULTS)
    assert before == ""
    firsts = git("log", "--diff-filter=A", "--format=%H", "--", RESULTS).split()
    for commit in set(firsts):
        assert git("merge-base", registered, commit).strip() == registered


def test_additions_have_their_dates_in_order() -> None:
    dates = [date.fromisoformat(addition.date) for addition in ADDITIONS]
    assert dates == sorted(dates)
