"""The viewer's tools: what each does to images, window and explanation."""

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.browser.screen import open_study, painted, pixels, ready


@pytest.fixture
def opened(page, sign_in, scene):
    """A study of two images with their explanations, side by side."""
    study = scene.phantom(1, probability=0.9)
    scene.explain(study.prediction)
    sign_in()
    open_study(page, study, panes=2)
    return page


def number(pane, words):
    """Which image of how many a pane says it shows, once it is drawn."""
    expect(pane.locator(".pane-title")).to_contain_text(words)
    expect(pane).to_have_attribute("data-ready", "true")


def test_the_next_image_and_the_one_before_by_key_and_by_button(opened):
    page, pane = opened, opened.locator(".pane")
    page.keyboard.press("1")
    expect(pane).to_have_count(1)
    number(pane, "1/2")
    painted(page)
    first, instance = pixels(pane), pane.get_attribute("data-instance")
    page.keyboard.press("ArrowRight")
    number(pane, "2/2")
    painted(page)
    assert (pixels(pane) != first)[40:-40].mean() > 0.1
    assert pane.get_attribute("data-instance") != instance
    page.keyboard.press("ArrowLeft")
    number(pane, "1/2")
    painted(page)
    assert (pixels(pane) == first).all()
    for button, words in (("Previous", "2/2"), ("Next", "1/2"), ("Next", "2/2")):
        page.get_by_role("button", name=f"{button} image").click()
        number(pane, words)


def test_three_images_stand_side_by_side(page, sign_in, scene):
    study = scene.phantom(1)
    scene.push(scene.another_image(study))
    sign_in()
    open_study(page, study, panes=2)
    page.keyboard.press("3")
    ready(page, 3)
    panes = page.locator(".pane").all()
    for n, pane in enumerate(panes, 1):
        number(pane, f"{n}/3")
    boxes = [pane.bounding_box() for pane in panes]
    room = page.locator("#panes").bounding_box()
    assert sum(box["width"] for box in boxes) == pytest.approx(room["width"], abs=20)
    assert [box["height"] for box in boxes] == pytest.approx(
        [room["height"]] * 3, abs=9
    )
    for left, right in itertools.pairwise(boxes):
        assert left["x"] + left["width"] <= right["x"] + 1
    assert all(pixels(pane)[40:-40].std() > 20 for pane in panes)
    page.keyboard.press("4")
    expect(page.locator(".pane")).to_have_count(4)
    expect(page.locator(".pane-message").last).to_have_text("No further image.")


def test_the_slider_fades_the_explanation(opened):
    page, slider = opened, opened.locator("#opacity")
    maps = page.locator("img.overlay")
    page.keyboard.press("l")
    expect(page.locator("img.overlay:visible")).to_have_count(2)
    reds = {}
    box = slider.bounding_box()
    for share, opacity in ((0, "0.1"), (1, "1")):  # its ends, by mouse
        page.mouse.click(box["x"] + 1 + share * (box["width"] - 2), box["y"] + 8)
        for n in range(2):
            expect(maps.nth(n)).to_have_css("opacity", opacity)
        painted(page)
        picture = pixels(page.locator(".screen").first).astype(int)
        reds[share] = (picture[..., 0] - picture[..., 1]).max()
    assert reds[1] > 3 * reds[0]
    slider.press("ArrowLeft")  # its own arrows: the images stay
    expect(maps.first).to_have_css("opacity", "0.9")
    number(page.locator(".pane").first, "1/2")
    page.keyboard.press("[")
    expect(maps.first).to_have_css("opacity", "0.8")
    expect(slider).to_have_value("80")


def window(page):
    """Width and level that the first pane tells, and how bright it is."""
    painted(page)
    told = page.locator(".pane-figures").first.inner_text()
    width, level = re.search(r"W (\d+) L (-?\d+)", told).groups()
    screen = pixels(page.locator(".screen").first)[40:-40]
    return int(width), int(level), screen.mean(), screen.std()


def test_brightness_and_contrast_by_keyboard(opened):
    page = opened
    width, level, mean, _ = window(page)
    page.keyboard.press("ArrowUp")
    brighter = window(page)
    assert brighter[:2] == pytest.approx((width, level - width / 10), abs=1)
    assert brighter[2] > mean + 5
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    darker = window(page)
    assert darker[:2] == pytest.approx((width, level + width / 10), abs=1)
    assert darker[2] < mean - 5
    page.keyboard.press("r")
    ready(page, 2)
    page.keyboard.press(".")
    harder = window(page)
    assert harder[:2] == pytest.approx((width * 0.9, level), abs=1)
    page.keyboard.press(",")
    page.keyboard.press(",")
    softer = window(page)
    assert softer[:2] == pytest.approx((width * 0.99 * 1.1, level), abs=1)
    assert softer[3] < harder[3]


FOCUSED = """() => {
  const element = document.activeElement, box = element.getBoundingClientRect();
  const areas = [".top", ".tools", ".pane", ".scroll", ".judging"];
  return {
    name: (element.ariaLabel || element.value || element.innerText).trim(),
    area: areas.find((area) => element.closest(area)) ?? "",
    x: box.x, y: box.y + box.height / 2, seen: element.checkVisibility(),
  };
}"""


def test_tab_goes_through_the_page_as_it_is_seen(opened):
    page, stops = opened, []
    while not stops or stops[-1]["name"] != "Skip S":
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
        assert len(stops) < 60, [stop["name"] for stop in stops]
    assert all(stop["seen"] for stop in stops)
    assert stops[0]["name"] == "To the content"
    areas = list(dict.fromkeys(stop["area"] for stop in stops[1:]))
    assert areas == [".top", ".tools", ".pane", ".scroll", ".judging"]
    for area in areas:
        here = [stop for stop in stops if stop["area"] == area]
        lines = sorted(here, key=lambda stop: (round(stop["y"] / 20), stop["x"]))
        assert here == lines, [stop["name"] for stop in here]
    tools = [stop["name"] for stop in stops if stop["area"] == ".tools"]
    assert len(tools) == page.locator(".tools :is(button, input)").count()
    assert tools[:6] == ["Window", "Pan", "Zoom", "Box", "Previous image", "Next image"]
    assert sum(stop["area"] == ".pane" for stop in stops) == 2
