"""Pictures of the pages in var/screenshots, for people to look at."""

import json

import pytest
from playwright.sync_api import expect

from clinic import registry
from clinic.models import Study
from clinic.settings import SHIPPED_MODELS as MODELS
from inference.doubt import REASONS, UNLIKE
from tests.browser.screen import open_study, ready
from tests.clinic.factories import leave_to_people, make_review, make_user


def test_the_pages_are_there_to_look_at(page, sign_in, scene, shot):
    known = {
        "MÜLLER^ANNA": 0.97,
        "OKONKWO^CHIDI^B": 0.91,
        "NGUYEN^THI LAN": 0.83,
        "SMITH^JOHN": 0.31,
        "GARCÍA^LUCÍA": 0.12,
        "IVANOVA^OLGA": 0.04,
    }
    studies = [
        scene.phantom(
            seed,
            waited=8 * seed + 3,
            probability=p,
            PatientName=name,
            fractured=p > 0.5,
        )
        for seed, (name, p) in enumerate(known.items(), 1)
    ]
    scene.phantom(7)
    failed = scene.phantom(8, waited=2)
    failed.state = Study.State.FAILED
    failed.reason = "The reading ended without an answer four times."
    failed.save()
    left = scene.phantom(9, waited=5, probability=0.5, PatientName="KAYA^EMRE")
    leave_to_people(left.prediction, reason=REASONS[UNLIKE])
    sign_in()
    shot("worklist")
    open_study(page, left, panes=2)
    shot("study-abstained")
    open_study(page, studies[0], panes=2)
    shot("study-confident")
    model = studies[1].prediction.model
    model.card = json.loads((MODELS / "resnet18" / "card.json").read_text())
    model.save()
    scene.explain(studies[1].prediction)
    make_review(studies[1].prediction, make_user("radiologist"), verdict="unsure")
    open_study(page, studies[1], panes=2)
    page.wait_for_timeout(300)
    shot("study")
    page.keyboard.press("l")
    page.wait_for_timeout(400)
    shot("study-lrp")
    page.keyboard.press("1")
    page.keyboard.press("g")
    ready(page, 1)
    for key in ("b", " ", "f"):
        page.keyboard.press(key)
    page.wait_for_timeout(400)
    shot("study-gradcam")
    page.keyboard.press("?")
    shot("help")


def test_the_card_of_the_committee_is_there_to_look_at(
    page, sign_in, server, database, own_folders, shot
):
    version = registry.register(folder=MODELS / "committee", by=None)
    sign_in("administrator")
    page.goto(f"{server}/models/{version.pk}/")
    expect(page.locator(".chart canvas")).to_have_count(3)
    shot("model-committee", both=True)


def test_the_administrators_pages_are_there_to_look_at(page, sign_in, scene, shot):
    study = scene.phantom(1, waited=4, probability=0.9)
    model = study.prediction.model
    model.card = json.loads((MODELS / "resnet18" / "card.json").read_text())
    model.save()
    failed = scene.phantom(2, waited=9)
    failed.state = Study.State.FAILED
    failed.reason = "The reading ended without an answer four times."
    failed.save()
    sign_in("administrator")
    page.locator(".ledger").wait_for()
    shot("worklist-administrator")
    page.get_by_role("link", name="System").click()
    page.locator(".ok").wait_for()
    shot("system")


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (683, 384), (390, 800)])
def test_a_study_can_be_read_and_judged_in_any_window(
    page, sign_in, scene, shot, width, height
):
    """Also magnified: 683 by 384 are 200 % of 1366 by 768 (WCAG 1.4.10)."""
    study = scene.phantom(1, probability=0.9, PatientName="NGUYEN^THI LAN")
    sign_in()
    page.set_viewport_size({"width": width, "height": height})
    open_study(page, study, panes=2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pane = page.locator(".pane").first.bounding_box()
    assert pane["height"] >= 190 and pane["width"] >= 150
    for name in ("Skip", "Record and open next"):
        button = page.get_by_role("button", name=name)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        button.click(trial=True)  # nothing lies over it
    heading = page.locator("#finding")
    heading.scroll_into_view_if_needed()
    expect(heading).to_be_in_viewport(ratio=1)
    shot(f"study-{width}")
