"""lecture.html as a reader and a script see it: without any result, and with a made-up study."""

import html
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments.claims.assessment import assess, chosen
from experiments.claims.measured import ORDER
from experiments.claims.registration import CLAIMS, NETWORKS
from experiments.claims.study import MODELS, StudyTrial, read_study, registered
from experiments.claims.verdicts import Verdict
from experiments.claims.words import SAYS_KO, SUPPORTED_KO
from experiments.lecture import main
from experiments.lecture_report import page_assets
from experiments.lecture_report.markdown_table import markdown
from experiments.lecture_report.network_words import NETWORK_WORDS
from experiments.lecture_report.page import write_page
from experiments.lecture_report.sentences import sentence
from experiments.lecture_report.verdict_table import print_verdicts
from experiments.trials.code_hash import code_hash
from experiments.trials.field_record import Fields
from experiments.trials.results import FIELD, read_record, write_record
from tests.experiments.claims.study_maker import ORDERS, write_steps, write_study, write_trial
from tests.experiments.lecture_report.conftest import Judged
from tests.experiments.made import write_prior

NUMBER = re.compile(r"\d+(?:\.\d+)?")
KOREAN = re.compile("[가-힣]|%p")
FAILING, REASON = StudyTrial(NETWORKS["dilatednet"], 1), "the loss is <nan> at step 412"


def written(root: Path, keys: Sequence[str] | None = None) -> tuple[str, list[Verdict]]:
    """The page of whatever lies below a folder, with the verdicts that it shows."""
    claims = chosen(keys)
    study = read_study([root], claims)
    verdicts = assess(claims, study, [root])
    write_page(root / "lecture.html", study, verdicts)
    return (root / "lecture.html").read_text(), verdicts


def pairs(page: str) -> list[tuple[str, str]]:
    """Each text in English and in Korean."""
    found = re.findall(
        r'<(span|p) lang="en">(.*?)</\1>\s*<\1 lang="ko">(.*?)</\1>', page, flags=re.S
    )
    assert page.count(' lang="ko">') == len(found)
    return [(words(en), words(ko)) for _, en, ko in found]


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", "", text)).split())


def seen(page: str, language: str) -> str:
    """What a reader of one language sees."""
    other = "ko" if language == "en" else "en"
    shown = re.sub(rf'<(span|p) lang="{other}">.*?</\1>', "", page, flags=re.S)
    return words(re.sub(r"<script.*?</script>|<style.*?</style>", "", shown, flags=re.S))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Verdict]]:
    """Seeds are missing, one trial failed, and one network has none."""
    root = tmp_path_factory.mktemp("study")
    trials = [t for t in registered() if t.model != NETWORKS["unetpp"]]
    trials = [t for t in trials if t.seed == 0 or t.model != NETWORKS["deeplabv3"]]
    shifts = {"hrnetv2": 2.0, "hrnetv1": 4.0, "deeplabv3p": 2.5, "unet": -1.5}
    write_study(
        root,
        shifts,
        trials=trials,
        failing={FAILING: REASON},
        radii={"hrnetv2": 90.0, "streams1": 60.0},
    )
    write_record(root / ORDER, ORDERS)
    write_steps(root, {name: 0.1 + 0.01 * i for i, name in enumerate(NETWORKS)})
    return written(root)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Verdict]]:
    return written(tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def kept(kept_study: Judged, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Verdict]]:
    """The page of the results that are kept with the code."""
    path = tmp_path_factory.mktemp("kept") / "lecture.html"
    write_page(path, *kept_study)
    return path.read_text(), kept_study[1]


@pytest.fixture(params=["made", "empty", "kept"])
def page(request: pytest.FixtureRequest) -> tuple[str, list[Verdict]]:
    found: tuple[str, list[Verdict]] = request.getfixturevalue(request.param)
    return found


def test_every_verdict_stands_in_both_languages(page: tuple[str, list[Verdict]]) -> None:
    text, verdicts = page
    assert [verdict.claim for verdict in verdicts] == [*CLAIMS]
    for verdict in verdicts:
        assert sentence(verdict, "en") in seen(text, "en")
        assert sentence(verdict, "ko") in seen(text, "ko")
        assert verdict.claim.says in seen(text, "en")
        assert SAYS_KO[verdict.claim.key] in seen(text, "ko")


def test_both_languages_hold_the_same_numbers(page: tuple[str, list[Verdict]]) -> None:
    text, _ = page
    found = pairs(text)
    assert len(found) > 60
    for en, ko in found:
        # English says 1 of points in words.
        en = en.replace("a point", "1 point").replace("no difference within 1 point", "within 1")
        assert sorted(NUMBER.findall(en)) == sorted(NUMBER.findall(ko)), (en, ko)
        assert KOREAN.search(ko) or not re.search("[a-z]{4}", en), (en, ko)
        assert not KOREAN.search(en), en


def test_opens_without_a_network_and_is_small(page: tuple[str, list[Verdict]]) -> None:
    text, _ = page
    assert len(text.encode()) < 3_000_000
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert "url(" not in text and "@import" not in text
    # The name of SVG's elements, which nothing loads.
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_ids_are_unique_and_links_lead_somewhere(page: tuple[str, list[Verdict]]) -> None:
    text, _ = page
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_nothing_is_made_up_before_the_first_trial(empty: tuple[str, list[Verdict]]) -> None:
    text, verdicts = empty
    english = seen(text, "en")
    assert f"No trial has finished yet of {len(registered())}" in english
    assert not any(verdict.started for verdict in verdicts)
    assert english.count("not measured yet") > 20 and "nan" not in english
    assert 'id="data"' not in text and "No trial has failed." in english
    assert "92.6" in english and "81.1" in english  # the ceiling at 1/4, and the paper's W48


def test_counts_trials_and_shows_the_failed_one(made: tuple[str, list[Verdict]]) -> None:
    text, _ = made
    finished = len(registered()) - 3 - 2 - 1  # UNet++, two seeds of DeepLabv3, and the failed one
    english = seen(text, "en")
    assert f"{finished} of {len(registered())} trials have finished" in english
    assert "but 6 that were added later" in english
    assert REASON in english and "<nan>" not in text
    assert "1 failed." in english and "1개는 실패했다." in seen(text, "ko")


def test_a_contrast_without_a_value_says_why(tmp_path: Path) -> None:
    trials = [t for t in registered(chosen(["C7"])) if t.model != NETWORKS["unet"]]
    write_study(tmp_path, {"dilatednet": -35.0}, trials=trials)
    write_prior(tmp_path / "camvid-lab", 0.17)
    text, _ = written(tmp_path, ["C7"])
    said = {
        words(names): words(value)
        for names, value in re.findall(
            r'<div class="what"><b>(.*?)</b>.*?<div class="number">(.*?)</div>', text, flags=re.S
        )
    }
    failed, lacking = said["dilatednet-transposed − dilatednet"], said["unet − unet-bilinear"]
    assert failed == "a network did not train학습되지 않은 네트워크가 있음"
    assert lacking == "not measured yet아직 측정하지 않음"
    assert re.search(r"\d", said["front-end-transposed − front-end"])


def test_table_holds_what_was_made(made: tuple[str, list[Verdict]]) -> None:
    text, _ = made
    row = re.search(r'<tr><th scope="row" data-sort="hrnetv1">.*?</tr>', text, flags=re.S)
    assert row is not None
    miou, near, thin = re.findall(r'<td data-sort="[\d.]+">([\d.]+)', row[0])[-3:]
    # 50 and 4 points; 14 points less within the band, 0.7 of a gain of -20; thin ones as usual.
    assert (miou, near, thin) == ("54.0", "40.0", "30.0")
    assert "3 / 3" in row[0] and "±0.4" in row[0]
    absent = re.search(r'<tr><th scope="row" data-sort="unetpp">.*?</tr>', text, flags=re.S)
    assert absent is not None and "0 / 3" in absent[0] and "not measured yet" in absent[0]


def test_chart_holds_every_family_that_finished(made: tuple[str, list[Verdict]]) -> None:
    text, _ = made
    drawn: Any = json.loads(text.split('type="application/json">')[1].split("</script>")[0])
    points = drawn["costs"]["macs"]["points"]
    names = [drawn["models"][point["model"]]["name"] for point in points]
    assert "unetpp" not in names and len(names) == 11
    by_name = dict(zip(names, points, strict=True))
    # DeepLabv3 has seed 0 alone, so that all are shown with theirs.
    assert by_name["hrnetv1"]["miou"] == pytest.approx(54.0, abs=0.5)
    assert by_name["hrnetv1"]["low"] is None
    assert "Each network with the seeds that all have: 0" in seen(text, "en")
    assert set(drawn["cost"]["axes"]) == {"gmacs", "train_s", "params_m", "memory_gb"}


def front(text: str, budget: str) -> dict[str, list[str]]:
    """Cells of the rows of the front's table at a budget, by network."""
    tables = re.findall(r"resampled test sets.*?<tbody>(.*?)</tbody>", text, flags=re.S)
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', tables[budget == "seconds"], re.S)
    return {name: [words(c) for c in re.findall("<td.*?</td>", cells)] for name, cells in rows}


def test_a_front_compares_all_on_the_same_seeds(tmp_path: Path) -> None:
    """HRNetV2 and ResUNet have five, for C1; seeds 3 and 4 would lift it by 3 points."""
    write_study(tmp_path, {"hrnetv2": 2.0})
    for seed in (3, 4):
        write_trial(tmp_path, StudyTrial(NETWORKS["hrnetv2"], seed), {"miou": 10.0})
    text, _ = written(tmp_path)
    for budget in ("macs", "seconds"):
        rows = front(text, budget)
        assert float(rows["hrnetv2"][0]) == pytest.approx(52.0, abs=0.5)
        assert len(rows) == 12
    assert "all have: 0, 1, 2" in seen(text, "en")
    drawn: Any = json.loads(text.split('type="application/json">')[1].split("</script>")[0])
    (point,) = [p for p in drawn["costs"]["macs"]["points"] if p["model"] == 0]
    assert point["low"] < point["miou"] < point["high"]
    assert point["miou"] == pytest.approx(52.0, abs=0.5)


def test_a_network_that_did_not_train_is_in_tables_and_on_no_front(tmp_path: Path) -> None:
    trials = [t for t in registered() if t.seed < 2 and t.times == 1]
    write_study(tmp_path, {"dilatednet": -30.0}, trials=trials)
    write_prior(tmp_path / "camvid-lab", 0.25)
    text, _ = written(tmp_path)
    rows = front(text, "macs")
    assert len(rows) == 12 and rows["dilatednet"][1].startswith("did not train")
    english = seen(text, "en")
    assert "4 trials, of 2 networks, did not train." in english
    assert english.count("dilatednet:norm=batch:width=5 did not train, seed 0 reaches 20.") >= 2
    assert "25.0 % mIoU" in english
    drawn: Any = json.loads(text.split('type="application/json">')[1].split("</script>")[0])
    names = [drawn["models"][p["model"]]["name"] for p in drawn["costs"]["macs"]["points"]]
    assert "dilatednet" not in names and len(names) == 11


def test_says_how_a_gain_near_boundaries_came_about(tmp_path: Path) -> None:
    """4 points of a gain at an equal mIoU: 0.7 of them near, and 0.3 lost beyond."""
    trials = registered(chosen(["C8"]))
    write_study(tmp_path, {"deeplabv3p": {"boundary_gain": 4.0}}, trials=trials, sd=0.0)
    text, _ = written(tmp_path, ["C8"])
    assert "difference of mIoU within 3 px: +2.8, beyond: -1.2 points" in seen(text, "en")


def test_too_short_to_rank_is_what_a_reader_sees_first(tmp_path: Path) -> None:
    """Of page, terminal and README."""
    for seed in (0, 1):
        write_trial(tmp_path, StudyTrial(NETWORKS["unet"], seed), gain=0.05)
        write_trial(tmp_path, StudyTrial(NETWORKS["segnet"], seed), gain=0.0)
    text, verdicts = written(tmp_path)
    first = re.search(r'<p class="answer">(.*?)</p>', text, flags=re.S)
    assert first is not None
    said = "Too short to rank: the validation mIoU of 1 of 2 networks still climbs at the end"
    assert seen(first[0], "en").startswith(said)
    assert seen(first[0], "ko").startswith("순위를 정하기에는 너무 짧다: 네트워크 2개 중 1개")
    study = read_study([tmp_path])
    assert markdown(study, verdicts, "en").startswith(f"**{said}, by 5.0 to 5.0 points from step")
    console = Console(file=io.StringIO(), width=200)
    print_verdicts(study, verdicts, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().startswith(said)


def test_what_a_front_cannot_say_is_told(tmp_path: Path) -> None:
    write_study(tmp_path, {"dilatednet": -30.0})
    write_prior(tmp_path / "camvid-lab", 0.25)
    text, _ = written(tmp_path, ["C9"])
    assert "Supported: in 2 of the comparisons the other network did not train" in seen(text, "en")


def test_other_code_is_told(tmp_path: Path) -> None:
    write_study(tmp_path, trials=[StudyTrial(NETWORKS["unet"], seed) for seed in (0, 1)])
    first, _ = sorted(tmp_path.rglob("result.json"))
    record = json.loads(first.read_text())
    record["hashes"]["code"] = code_hash(NETWORKS["unet"], "camvid")
    first.write_text(json.dumps(record))
    text, _ = written(tmp_path, ["C7"])
    assert "Trained by other code than is here now: 1 of the trials" in seen(text, "en")


def test_every_network_is_told_in_a_few_words() -> None:
    assert set(NETWORK_WORDS) == set(MODELS)


def test_ticks_of_ratios_leave_room_for_each_other(tmp_path: Path) -> None:
    write_study(tmp_path, radii={"hrnetv2": 300.0, "streams1": 20.0, "streams2": 600.0})
    text, _ = written(tmp_path, ["C2"])
    ticks = re.findall(r'<text x="[\d.]+%" y="12"[^>]*>([\d.]+)<', text)
    assert 2 <= len(ticks) <= 6 and "1" in ticks


def test_fields_are_drawn_at_their_size(made: tuple[str, list[Verdict]]) -> None:
    text, _ = made
    # Of one stream, then of four: 50 and 95 % of the energy.
    untrained, trained = ("10.0", "30.0", "15.0", "45.0"), ("20.0", "60.0", "30.0", "90.0")
    for kind, radii in (("untrained", untrained), ("trained", trained)):
        drawn = re.findall(rf'<circle class="{kind}" cx="240" cy="180" r="([\d.]+)"', text)
        assert tuple(drawn) == radii
    assert text.count('<image id="street" href="data:image/png;base64,') == 1


def test_a_field_that_is_silent_before_training_is_drawn_after_it(tmp_path: Path) -> None:
    trials = [StudyTrial(NETWORKS["streams1"], 0)]
    write_study(tmp_path, trials=trials, radii={"streams1": 60.0})
    (path,) = tmp_path.rglob(FIELD)
    fields = read_record(path, Fields)
    assert fields is not None
    write_record(path, fields.model_copy(update={"untrained": None}))
    text, _ = written(tmp_path, ["C2"])
    assert text.count('<circle class="trained"') == 2
    assert '<circle class="untrained"' not in text and "untrained:" not in seen(text, "en")


def test_strip_places_value_and_interval(tmp_path: Path) -> None:
    trials = [StudyTrial(NETWORKS[n], s) for n in ("hrnetv2", "hrnetv1") for s in (0, 1, 2)]
    write_study(tmp_path, {"hrnetv2": 3.0}, trials=trials)
    text, (verdict,) = written(tmp_path, ["C6"])
    strip = text.split('<svg class="strip"')[1].split("</svg>")[0]
    at = {
        float(f[:-1]): float(t) for f, t in re.findall(r'x="([\d.]+%)" y="12".*?>([-+\d.]+)<', text)
    }
    (a, first), *_, (b, last) = sorted(at.items())

    def points(place: str) -> float:
        return first + (float(place) - a) * (last - first) / (b - a)

    found = verdict.primary[0].difference
    assert found is not None and found.low is not None and found.high is not None
    (value,) = re.findall(r'class="value" cx="([\d.]+)%', strip)
    (ends,) = re.findall(r'class="range" x1="([\d.]+)%" x2="([\d.]+)%', strip)
    (zero,) = re.findall(r'class="zero" x1="([\d.]+)%', strip)
    (margin,) = re.findall(r'class="margin" x="([\d.]+)%" width="([\d.]+)%', strip)
    assert points(value) == pytest.approx(3.0, abs=0.02)
    assert [points(end) for end in ends] == pytest.approx(
        [100 * found.low, 100 * found.high], abs=0.02
    )
    assert points(zero) == pytest.approx(0.0, abs=0.02)
    assert points(margin[0]) == pytest.approx(-1.0, abs=0.02)
    assert points(str(float(margin[0]) + float(margin[1]))) == pytest.approx(1.0, abs=0.02)
    assert strip.count('class="seed"') == 3


def test_of_some_claims_the_page_shows_their_networks_alone(tmp_path: Path) -> None:
    text, _ = written(tmp_path, ["C6"])
    assert 'data-sort="hrnetv1"' in text and 'data-sort="unet"' not in text
    assert 'id="C6"' in text and 'id="C3"' not in text
    assert "No trial has finished yet of 9" in seen(text, "en")


def test_pictures_that_are_not_kept_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_assets.ladder(tmp_path / "ladder.png") is None
    assert page_assets.ceiling_page(tmp_path / "ceiling.json") is None
    monkeypatch.setattr(page_assets, "ladder", lambda: None)
    monkeypatch.setattr(page_assets, "ceiling_page", lambda: None)
    text, _ = written(tmp_path, ["C5"])
    assert "python -m experiments.ladder draws it" in seen(text, "en")


def test_every_claim_is_said_in_korean() -> None:
    assert set(SAYS_KO) == {claim.key for claim in CLAIMS}
    assert set(SUPPORTED_KO) == {claim.key for claim in CLAIMS if hasattr(claim, "supported_if")}


def test_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "runs"
    assert main(["--claims", "C4", "--out", str(out)]) == 0
    assert f"wrote {out / 'lecture.html'}" in capsys.readouterr().out
    assert "<!doctype html>" in (out / "lecture.html").read_text()


def test_seconds_of_training_are_those_of_steps_in_turn(
    made: tuple[str, list[Verdict]], empty: tuple[str, list[Verdict]]
) -> None:
    """Those of trials, which ran beside each other, are nowhere."""
    place = list(NETWORKS).index("segnet")
    own = re.search(r"<th scope=.row. data-sort=.segnet.>.*?</tr>", made[0], flags=re.S)
    assert own is not None
    cells = re.findall(r'data-sort="([\d.]+)"', own[0])
    assert float(cells[2]) == pytest.approx(2300 * (0.1 + 0.01 * place))
    said = f"the median of 12 that {len(NETWORKS)} networks took in turn, on one thread (a CPU)"
    assert said in seen(made[0], "en")
    assert "Training: not measured yet" in seen(empty[0], "en")
