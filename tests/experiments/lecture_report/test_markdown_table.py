"""The verdicts as tables: of a made-up study, and in the READMEs those of the kept results."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from experiments.claims.assessment import assess
from experiments.claims.measured import ORDER
from experiments.claims.registration import CLAIMS, NETWORKS
from experiments.claims.study import StudyTrial, read_study, registered
from experiments.claims.words import LANGUAGES, Language
from experiments.lecture import main
from experiments.lecture_report.markdown_table import MARK, markdown, renew_readme
from experiments.lecture_report.verdict_table import print_verdicts
from experiments.trials.results import write_record
from tests.experiments.claims.study_maker import ORDERS, write_study
from tests.experiments.lecture_report.conftest import Judged

ROOT = Path(__file__).parents[3]


def judged(folder: Path) -> Judged:
    study = read_study([folder])
    return study, assess(CLAIMS, study, [folder])


def test_a_row_a_claim_with_its_numbers(tmp_path: Path) -> None:
    names = ("hrnetv2", "fusion-final")
    trials = [StudyTrial(NETWORKS[name], seed) for name in names for seed in (0, 1, 2)]
    write_study(tmp_path, {"hrnetv2": 3.0}, trials=trials)
    study, verdicts = judged(tmp_path)
    english, korean = (
        markdown(study, verdicts, language).splitlines() for language in ("en", "ko")
    )
    assert len(english) == len(korean) == 2 + 9
    d = verdicts[2].primary[0].difference
    assert d is not None and d.low is not None and d.high is not None
    pair, between = "hrnetv2 - fusion-final", f"[{100 * d.low:.1f}, {100 * d.high:.1f}]"
    assert (
        english[4]
        == f"| C3: Repeated fusion matters. | {pair}, mIoU: 3.0 points {between} | supported |"
    )
    found = f"hrnetv2 − fusion-final, mIoU: 3.0%p {between}"
    assert korean[4] == f"| C3: 융합을 반복하는 것이 중요하다. | {found} | 지지됨 |"
    assert english[3].endswith("|  | not measured yet |")
    assert {line.count("|") for line in (*english, *korean)} == {4}


def test_a_front_names_its_nearest_network_and_layers_their_seconds(tmp_path: Path) -> None:
    shifts = {"hrnetv2": 5.0, "segnet": 2.0, "unetpp": 3.0}
    trials = [trial for trial in registered() if trial.seed < 3 and trial.times == 1]
    write_study(tmp_path, shifts, trials=trials, sd=0.1)
    write_record(tmp_path / ORDER, ORDERS)
    english, korean = (markdown(*judged(tmp_path), language) for language in ("en", "ko"))
    front = re.search(
        r"C9: .*? \| hrnetv2 - unetpp, mIoU: (.*?) points \[.*\] at .*; (.*?) points \[", english
    )
    assert front is not None and [float(value) for value in front.groups()] == [2.0, 2.0]
    assert "; the strongest of 11, over which p is corrected |" in english
    apart = "outputs 3e-15 apart with fixed statistics, 4.3% with a batch's own"
    assert f"| 0.86 times the seconds [0.84, 0.88]; {apart} | supported |" in english
    assert "| 걸린 시간 0.86배 [0.84, 0.88]; 출력의 차이는 통계를 고정하면 3e-15, " in korean
    console = Console(file=io.StringIO(), width=80)
    print_verdicts(*judged(tmp_path), console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (seconds,) = (line.split() for line in lines if line.startswith(" C5"))
    assert seconds[4:] == ["0.86", "0.84", "to", "0.88", "supported"]


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    study, verdicts = judged(tmp_path)
    languages: dict[str, Language] = {"README.md": "en", "README.ko.md": "ko"}
    for name, language in languages.items():
        path = tmp_path / name
        path.write_text(f"before\n<!-- {MARK} -->\nold\n<!-- end -->\nafter\n")
        renew_readme(path, study, verdicts)
        table = markdown(study, verdicts, language)
        assert path.read_text() == f"before\n<!-- {MARK} -->\n{table}\n<!-- end -->\nafter\n"
    path.write_text("no marks")
    with pytest.raises(ValueError, match="add them"):
        renew_readme(path, study, verdicts)


def test_the_command_renews_several_files(
    kept_study: Judged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "README.md", tmp_path / "README.ko.md"]
    for path in files:
        path.write_text(f"<!-- {MARK} -->\nold\n<!-- end -->\n")
    assert main(["--out", str(tmp_path / "runs"), "--readme", *map(str, files)]) == 0
    said = capsys.readouterr().out
    assert all(f"renewed the table of {path}" in said for path in files)
    for path, language in zip(files, LANGUAGES, strict=True):
        assert markdown(*kept_study, language) in path.read_text()
    files[0].write_text("no marks\n")
    assert main(["--out", str(tmp_path / "runs"), "--readme", str(files[0])]) == 2
    assert "add them" in capsys.readouterr().err
    assert main(["--claims", "C3", "--readme", str(files[1])]) == 2
    assert "leave --claims out" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_readmes_say_what_the_kept_results_say(
    name: str, kept_study: Judged, tmp_path: Path
) -> None:
    """To renew them: `python -m experiments.lecture --readme README.md README.ko.md`."""
    text = (ROOT / name).read_text()
    (tmp_path / name).write_text(text)
    renew_readme(tmp_path / name, *kept_study)
    assert (tmp_path / name).read_text() == text
