"""lecture.html in Debian's chromium: it loads nothing, complains of nothing, and speaks both
languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.claims.assessment import assess
from experiments.claims.registration import CLAIMS, NETWORKS
from experiments.claims.study import StudyTrial, read_study
from experiments.lecture_report.page import write_page
from tests.experiments.browser import PHONE, WIDE, Watched, browser, luminance
from tests.experiments.claims.study_maker import write_study, write_trial
from tests.experiments.made import write_prior

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.filterwarnings("default:a browser is needed")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some networks of two and three seeds, one receptive field, and a network of a long name that
    did not train."""
    root = tmp_path_factory.mktemp("page")
    names = ("hrnetv2", "hrnetv1", "unet", "unet-bilinear", "deeplabv3p", "fusion-final")
    trials = [StudyTrial(NETWORKS[name], seed) for name in names for seed in (0, 1, 2)]
    write_study(
        root,
        {"hrnetv1": 3.0, "unet": -2.0, "fusion-final": -3.0},
        trials=trials[:-1],
        radii={"hrnetv2": 60.0},
    )
    write_trial(root, StudyTrial(NETWORKS["dilatednet-transposed"], 0), {"miou": -35.0})
    write_prior(root / "camvid-lab", 0.25)
    study = read_study([root])
    write_page(root / "lecture.html", study, assess(CLAIMS, study, [root]))
    return root / "lecture.html"


@pytest.fixture
def opened(
    browser: "Browser", page_file: Path, request: pytest.FixtureRequest
) -> Iterator[Watched]:
    """The page without a network; a parameter holds options of the browser's context."""
    options: dict[str, Any] = {"viewport": WIDE, "locale": "en-GB"}
    context = browser.new_context(offline=True, **options | getattr(request, "param", {}))
    watched = Watched(context.new_page())
    watched.page.goto(page_file.as_uri())
    yield watched
    context.close()
    assert watched.said == []
    asked = {url.split("#")[0] for url in watched.asked if not url.startswith("data:")}
    assert asked == {page_file.as_uri()}


def test_switch_changes_every_text_and_is_kept(opened: Watched, page_file: Path) -> None:
    page = opened.page
    assert page.locator("html").get_attribute("lang") == "en"
    assert "C3: supported" in page.locator("#C3 .sentence").inner_text()
    assert "시드" not in page.locator("main").inner_text()
    page.locator("#axis").select_option("params_m")
    page.locator("#language").click()
    told = page.locator("main").inner_text()
    assert "시드" in told and "수용 영역" in told and "not measured yet" not in told
    assert "파라미터" in (page.locator("#chart-cost svg .title").first.text_content() or "")
    assert page.title() == "측정으로 본 강의"
    assert page.url.endswith("#ko") and page.locator("#language").inner_text() == "English"
    page.goto(page_file.as_uri())  # as chosen before
    assert page.locator("html").get_attribute("lang") == "ko"
    page.goto(f"{page_file.as_uri()}#en")
    page.reload()
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("opened", [{"locale": "ko-KR"}], indirect=True)
def test_speaks_the_language_of_the_browser_first(opened: Watched) -> None:
    assert opened.page.locator("html").get_attribute("lang") == "ko"
    assert opened.page.locator("h2#fields").inner_text() == "수용 영역"


def test_pointing_tells_what_a_network_costs(opened: Watched) -> None:
    page = opened.page
    assert page.locator("#chart-cost .spot").count() == 4
    page.locator("#chart-cost .spot").first.hover()
    told = page.locator("#chart-cost .tip").inner_text()
    assert told.startswith("●") and "hrnetv2" in told and "mIoU 50.0 % [" in told


def test_link_of_a_verdict_leads_to_its_claim(opened: Watched) -> None:
    page = opened.page
    page.locator("#verdicts a", has_text="C6").click()
    box = page.locator("#C6").bounding_box()
    assert box is not None and -5 < box["y"] < 800
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}], indirect=True)
def test_dark_scheme_reaches_the_pictures(opened: Watched) -> None:
    page = opened.page
    assert luminance(page, "body", "backgroundColor") < 40
    for selector, style in (
        (".answer", "color"),
        (".scale text", "fill"),
        (".strip .range", "stroke"),
        (".lines .series", "stroke"),
    ):
        assert luminance(page, selector, style) > 110, selector


@pytest.mark.parametrize("opened", [{"viewport": PHONE}], indirect=True)
def test_phone_scrolls_no_page_sideways(opened: Watched) -> None:
    page = opened.page
    for _ in range(2):  # in either language
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#language").click()
    strip = page.locator("#C3 svg.strip").first.bounding_box()
    assert strip is not None and strip["width"] > 300


def test_prints_with_what_verdicts_rest_on(opened: Watched) -> None:
    page = opened.page
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(printed) > 50_000
    assert page.locator("#C3 details").get_attribute("open") is not None
    page.emulate_media(media="print")
    assert page.locator("#language").is_hidden()
    page.set_viewport_size({"width": 720, "height": 1000})  # A4 without its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
