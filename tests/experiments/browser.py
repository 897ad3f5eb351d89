"""Debian's chromium for tests of pages; without it they are skipped with a warning."""

import os
import shutil
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NEEDED = "a browser is needed to test pages: make browser-test installs Debian's chromium"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    program = shutil.which("chromium")
    if program is None:
        warnings.warn(NEEDED, stacklevel=1)
        pytest.skip(NEEDED)
    from playwright.sync_api import sync_playwright

    # Its sandbox refuses to start as root.
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=root)
        yield chromium
        chromium.close()


class Watched:
    """A page, with what it said on its console and what it asked for."""

    def __init__(self, page: "Page") -> None:
        self.page, self.said, self.asked = page, list[str](), list[str]()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))


def luminance(page: "Page", selector: str, style: str) -> float:
    """From 0 to 255 of a computed colour."""
    text = page.locator(selector).first.evaluate(f"node => getComputedStyle(node).{style}")
    red, green, blue = (float(x) for x in text.strip("rgb()").split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
