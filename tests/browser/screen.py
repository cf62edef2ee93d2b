"""What the tests do with an open page."""

import io
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import expect


def pixels(locator):
    """What the screen shows of an element, uint8 (rows, columns, 3)."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"))


def ready(page, panes=1):
    """Wait until that many panes show their image."""
    shown = page.locator(".pane[data-ready]")
    try:
        expect(shown).to_have_count(panes, timeout=20_000)
    except AssertionError as error:
        said = page.locator(".pane-message").all_inner_texts()
        raise AssertionError(f"the panes say {said}") from error


def painted(page):
    """Once what was asked for last is on the screen: drawn in the frame after."""
    page.wait_for_timeout(200)
    frame = "done => requestAnimationFrame(() => requestAnimationFrame(done))"
    page.evaluate(f"() => new Promise({frame})")


def open_study(page, study, panes=1):
    here = urlsplit(page.url)
    page.goto(f"{here.scheme}://{here.netloc}/studies/{study.pk}/")
    ready(page, panes)
