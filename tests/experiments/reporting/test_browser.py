"""report.html in Debian's chromium: it draws, answers to pointer and keyboard, and loads nothing.

Without a browser these tests are skipped with a warning; `make browser-test` installs it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.analysis.evidence import evidence
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_results
from tests.experiments.browser import PHONE, WIDE, Watched, browser, luminance
from tests.experiments.street_trials import MODELS, Streets, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.filterwarnings("default:a browser is needed")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[FinishedTrial]:
    """Three networks of two seeds each, the last the best."""
    folder = tmp_path_factory.mktemp("browser")
    for i, model in enumerate(MODELS):
        for seed in (0, 1):
            write(folder / f"{i}-{seed}", model, wrong=0.4 - 0.15 * i, seed=seed)
    return finished(read_results(folder))


@pytest.fixture(scope="module")
def page_file(results: list[FinishedTrial], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "experiments.reporting.image_panel.open_data", lambda spec, split, root: Streets()
        )
        panel = make_panel(results, None)
    known = evidence(results)
    write_report(results, path, evidence=known, stale=set(), prior=None, panel=panel)
    return path


@pytest.fixture
def opened(
    browser: "Browser", page_file: Path, request: pytest.FixtureRequest
) -> Iterator[Watched]:
    """The page without a network; a parameter holds options of the browser's context."""
    options: dict[str, Any] = {"viewport": WIDE, **getattr(request, "param", {})}
    context = browser.new_context(offline=True, **options)
    watched = Watched(context.new_page())
    watched.page.goto(page_file.as_uri())
    yield watched
    context.close()
    assert watched.said == []


def test_sorts_within_what_one_hardware_measured(
    browser: "Browser", results: list[FinishedTrial], tmp_path: Path
) -> None:
    """The best two networks were on another one than the third, which stays below them."""
    best, other, last = reversed(MODELS)
    moved = [
        result.model_copy(
            update={"environment": result.environment.model_copy(update={"hardware": name})}
        )
        for result in results
        for name in ["Slow 1" if result.model == last else "Fast 9"]
    ]
    path = tmp_path / "report.html"
    known = evidence(moved)
    write_report(moved, path, evidence=known, stale=set(), prior=None, panel=None)
    page = browser.new_page()
    page.goto(path.as_uri())
    assert first_column(page) == [best, other, last]
    page.locator("#comparison th", has_text="mIoU").first.get_by_role("button").click()
    assert first_column(page) == [other, best, last]
    page.close()


def miou(results: list[FinishedTrial], model: str) -> float:
    values = [r.miou for r in results if r.model == model]
    return float(100 * sum(values) / len(values))


def first_column(page: "Page") -> list[str]:
    heads = page.locator("#comparison .sortable th[scope=row]")
    return [str(heads.nth(i).get_attribute("data-sort")) for i in range(heads.count())]


def test_loads_nothing_and_opens_at_once(opened: Watched, page_file: Path) -> None:
    entry = "performance.getEntriesByType('navigation')[0]"
    assert opened.page.evaluate(f"{entry}.loadEventEnd - {entry}.startTime") < 2000
    asked = [url for url in opened.asked if not url.startswith("data:")]
    assert asked == [page_file.as_uri()]


def test_first_screen_holds_answer_table_and_chart(opened: Watched) -> None:
    for part in (".answer", "#comparison", "#chart-cost svg .spot >> nth=0"):
        box = opened.page.locator(part).bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 800, part


def test_sorts_by_click_and_by_key(opened: Watched) -> None:
    page, best_first = opened.page, list(reversed(MODELS))
    assert first_column(page) == best_first
    head = page.locator("#comparison th", has_text="mIoU").first
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert first_column(page) == list(MODELS)
    names = page.locator("#comparison th", has_text="Model").first
    names.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert first_column(page) == sorted(MODELS)
    page.keyboard.press("Space")
    assert first_column(page) == sorted(MODELS, reverse=True)
    assert names.get_attribute("aria-sort") == "descending"
    assert head.get_attribute("aria-sort") is None


def test_pointing_tells_accuracy_and_cost(opened: Watched, results: list[FinishedTrial]) -> None:
    page = opened.page
    for i, model in enumerate(reversed(MODELS)):
        page.locator("#chart-cost .spot").nth(i).hover()
        told = page.locator("#chart-cost .tip").inner_text()
        assert model in told and f"mIoU {miou(results, model):.1f} % [" in told
        assert "GMACs 2.62" in told
    page.locator("#axis").select_option("latency_ms")
    page.locator("#chart-cost .spot").first.hover()
    assert "Latency, ms 41.2" in page.locator("#chart-cost .tip").inner_text()
    page.mouse.move(0, 0)
    assert page.locator("#chart-cost .tip").is_hidden()


def test_lines_tell_every_model_at_the_place(opened: Watched, results: list[FinishedTrial]) -> None:
    page = opened.page
    box = page.locator("#chart-within svg").bounding_box()
    assert box is not None
    page.locator("#chart-within svg").hover(position={"x": 48, "y": box["height"] / 2})
    lines = page.locator("#chart-within .tip").inner_text().splitlines()
    assert lines[0] == "Distance d, pixels 1" and len(lines) == 4
    for line, model in zip(lines[1:], reversed(MODELS), strict=True):
        bands = [r.metrics.bands for r in results if r.model == model]
        found = [band.within[0] or 0.0 for band in bands if band]
        assert line.endswith(model)
        assert float(line.split()[1]) == pytest.approx(50 * sum(found), abs=0.06)


def test_arrow_keys_read_a_chart(opened: Watched) -> None:
    page = opened.page
    page.locator("#chart-val svg").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    told = page.locator("#chart-val .tip").inner_text()
    assert told.startswith("Step 2") and "30.5 [30, 31] range of 2 seeds" in told


def clip(page: "Page") -> float:
    """Where the divider stands, in percent, by what the browser made of the style."""
    style = page.locator("img.right").evaluate("image => getComputedStyle(image).clipPath")
    return float(style.split()[-1].rstrip(")%"))


def colour(page: "Page", x: float, y: float) -> tuple[int, ...]:
    """RGB of the screen at a share of the viewer's width and height."""
    import io

    from PIL import Image

    shot = Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB")
    pixel = shot.getpixel((round(x * shot.width), round(y * shot.height)))
    assert isinstance(pixel, tuple)
    return pixel


def test_divider_moves_by_mouse_and_key(opened: Watched) -> None:
    page = opened.page
    page.locator("#left").select_option("photo")
    page.locator("#right").select_option("truth")
    road, grey = (128, 64, 128), colour(page, 0.3, 0.97)
    assert len(set(grey)) == 1 and colour(page, 0.7, 0.97) == road
    page.locator(".stage").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    assert clip(page) == pytest.approx(20, abs=0.6)
    assert colour(page, 0.3, 0.97) == road
    page.keyboard.press("ArrowRight")  # the divider has the focus
    assert clip(page) == pytest.approx(20.5, abs=0.6)
    page.keyboard.press("End")
    assert clip(page) == 100 and colour(page, 0.9, 0.97) == grey


@pytest.mark.parametrize("opened", [{"has_touch": True, "viewport": PHONE}], indirect=True)
def test_divider_moves_by_touch(opened: Watched) -> None:
    page = opened.page
    page.locator(".stage").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    assert clip(page) == pytest.approx(75, abs=0.6)


def test_small_picture_shows_in_the_viewer(opened: Watched) -> None:
    page = opened.page
    button = page.locator('button[data-image="s3"][data-layer="e1"]')
    button.click()
    assert page.locator("#image").input_value() == "s3"
    assert page.locator("img.right").get_attribute("src") == button.locator("img").get_attribute(
        "src"
    )
    share = button.locator("img").get_attribute("data-wrong")
    assert page.locator(".label.right").inner_text() == f"errors of {MODELS[1]}, {share} % wrong"


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}], indirect=True)
def test_dark_scheme_reaches_the_charts(opened: Watched) -> None:
    page = opened.page
    assert luminance(page, "body", "backgroundColor") < 40
    for selector, style in ((".answer", "color"), ("svg text", "fill"), ("svg .series", "stroke")):
        assert luminance(page, selector, style) > 110, selector
    page.emulate_media(color_scheme="light")
    assert luminance(page, "body", "backgroundColor") > 240
    assert luminance(page, "svg text", "fill") < 110


@pytest.mark.parametrize("opened", [{"viewport": PHONE}], indirect=True)
def test_phone_scrolls_no_page_sideways(opened: Watched) -> None:
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('#comparison').parentNode.scrollWidth") > 390


def test_narrower_window_draws_charts_anew(opened: Watched) -> None:
    page = opened.page
    before = page.locator("#chart-cost svg").get_attribute("width")
    page.set_viewport_size({"width": 700, "height": 800})
    page.wait_for_function(
        f"document.querySelector('#chart-cost svg').getAttribute('width') < {before}"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def test_prints(opened: Watched) -> None:
    page = opened.page
    page.emulate_media(media="print")
    assert page.locator(".stage").is_hidden() and page.locator(".sheet img").first.is_visible()
    page.set_viewport_size({"width": 720, "height": 1000})  # A4 without its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
