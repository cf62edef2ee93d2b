"""Judging, by keyboard from the worklist to the next study."""

import re

from playwright.sync_api import expect

from clinic.models import AuditEvent, Review
from clinic.review import SHOWN, submit
from tests.browser.scenes import images_of
from tests.browser.screen import open_study, painted, ready
from tests.clinic.factories import make_user
from tests.clinic.waiting import until


def test_a_study_is_judged_by_keyboard_alone_and_the_next_one_opens(
    page, server, sign_in, scene
):
    first = scene.phantom(1, waited=30, probability=0.9)
    scene.explain(first.prediction)
    second = scene.phantom(2, waited=10, probability=0.8)
    user = sign_in()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server}/studies/{first.pk}/")
    ready(page, 2)
    for key in ("l", "b", " ", "ArrowRight", "Shift+ArrowDown", "f", "c"):
        page.keyboard.press(key)
    page.keyboard.type("Torus fracture, f n u 1 2.")
    page.keyboard.press("Escape")
    expect(page.locator("#box-note")).to_have_text("1 box drawn.")
    assert not Review.objects.exists()  # a verdict key only chooses
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server}/studies/{second.pk}/")
    expect(page.get_by_role("status").first).to_contain_text("Verdict “fracture”")

    review = Review.objects.get()
    assert (review.radiologist, review.verdict) == (user, "fracture")
    assert review.prediction == first.prediction
    assert review.comment == "Torus fracture, f n u 1 2."
    assert review.overlay_shown
    (box,) = review.boxes
    # Placed in the middle of 400 x 512 with a side of 48, then nudged by 2.
    assert box == {
        "instance": images_of(first)[0].pk,
        "x": 400 / 2 - 24 + 2,
        "y": 512 / 2 - 24,
        "width": 48,
        "height": 50,
    }


def test_a_box_drawn_with_the_mouse_is_kept_in_frame_pixels(
    page, server, sign_in, scene
):
    study = scene.phantom(3, probability=0.9)
    sign_in()
    open_study(page, study, panes=2)
    page.keyboard.press("1")
    ready(page, 1)
    painted(page)
    page.keyboard.press("b")
    pane = page.locator(".screen").bounding_box()
    # The frame, 400 x 512, fills the height of the pane and is centred in it.
    matrix = page.locator(".overlay").evaluate("image => image.style.transform")
    scale = float(re.match(r"matrix\(([^,]+),", matrix)[1])
    left = pane["x"] + (pane["width"] - 400 * scale) / 2
    top = pane["y"] + (pane["height"] - 512 * scale) / 2
    page.mouse.move(left + 100 * scale, top + 200 * scale)
    page.mouse.down()
    page.mouse.move(left + 180 * scale, top + 260 * scale, steps=4)
    page.mouse.up()
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server}/")  # no other study waits
    (box,) = Review.objects.get().boxes
    wanted = {"x": 100, "y": 200, "width": 80, "height": 60}
    assert all(abs(box[side] - value) < 1.5 for side, value in wanted.items()), box


def test_a_second_verdict_supersedes_the_first(page, server, sign_in, scene):
    study = scene.phantom(4, probability=0.9)
    sign_in()
    for key in ("f", "n"):
        open_study(page, study, panes=2)
        page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{server}/")
    open_study(page, study, panes=2)
    history = page.locator(".history").first.locator("li")
    expect(history).to_have_count(2)
    expect(history.nth(0)).to_contain_text("no fracture")
    expect(history.nth(0)).not_to_contain_text("superseded")
    expect(history.nth(1)).to_contain_text("superseded")
    study.refresh_from_db()
    assert study.verdict == "no_fracture"


def test_a_refused_verdict_says_why_and_keeps_what_was_typed(
    page, sign_in, scene, complaints
):
    study = scene.phantom(5, probability=0.9)
    sign_in()
    open_study(page, study, panes=2)
    for key in ("b", " ", "n", "c"):
        page.keyboard.press(key)
    page.keyboard.type("Looks fine")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert").filter(has_text="A box marks")).to_be_visible()
    expect(page.locator("#comment")).to_have_value("Looks fine")
    expect(page.locator("#box-note")).to_have_text("1 box drawn.")
    expect(page.locator("input[value=no_fracture]")).to_be_checked()
    assert not Review.objects.exists()
    complaints.clear()  # the browser logs the refusal, too


def test_enter_without_a_choice_records_nothing(page, sign_in, scene, complaints):
    study = scene.phantom(6, probability=0.9)
    sign_in()
    open_study(page, study, panes=2)
    page.keyboard.press("Enter")
    expect(page.locator(".refusal")).to_have_text("Choose a verdict first.")
    assert not Review.objects.exists()
    complaints.clear()


def test_skipping_leaves_a_study_for_the_end(page, server, sign_in, scene):
    first = scene.phantom(7, waited=30, probability=0.9)
    second = scene.phantom(8, waited=10, probability=0.9)
    sign_in()
    open_study(page, first, panes=2)
    page.keyboard.press("s")
    page.wait_for_url(f"{server}/studies/{second.pk}/")
    ready(page, 2)
    page.keyboard.press("u")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server}/studies/{first.pk}/")


def test_images_that_come_late_are_announced_and_nothing_typed_is_lost(
    page, sign_in, scene, shot
):
    study = scene.phantom(9, probability=0.9)
    late = scene.another_image(study)
    sign_in()
    open_study(page, study, panes=2)
    for key in ("f", "c"):
        page.keyboard.press(key)
    page.keyboard.type("Before the late image")
    scene.push(late)
    banner = page.locator("#newer")
    expect(banner).to_contain_text("1 image came after you opened this", timeout=10_000)
    shot("revision")
    banner.get_by_role("button").click()
    expect(page.locator(".images li")).to_have_count(3)
    expect(page.locator("#comment")).to_have_value("Before the late image")
    expect(page.locator("input[value=fracture]")).to_be_checked()
    expect(banner).to_be_hidden()


def begun(page):
    """A verdict that is not recorded yet."""
    for key in ("b", " ", "f", "c"):
        page.keyboard.press(key)
    page.keyboard.type("Scaphoid?")
    page.keyboard.press("Escape")
    expect_begun(page)


def expect_begun(page):
    expect(page.locator("#comment")).to_have_value("Scaphoid?")
    expect(page.locator("input[value=fracture]")).to_be_checked()
    expect(page.locator("#box-note")).to_have_text("1 box drawn.")


def expect_nothing_begun(page):
    expect(page.locator("#comment")).to_have_value("")
    expect(page.locator("input[value=fracture]")).not_to_be_checked()
    expect(page.locator("#box-note")).to_have_text("No box drawn (B).")


def test_what_was_begun_outlives_the_page_until_it_is_recorded(
    page, server, sign_in, scene
):
    study, other = scene.phantom(1, probability=0.9), scene.phantom(2, probability=0.8)
    sign_in()
    open_study(page, study, panes=2)
    begun(page)
    page.reload()
    ready(page, 2)
    expect_begun(page)
    page.keyboard.press("s")
    page.wait_for_url(f"{server}/studies/{other.pk}/")
    ready(page, 2)
    expect_nothing_begun(page)
    open_study(page, study, panes=2)
    expect_begun(page)
    page.get_by_role("button", name="Record and open next").click()
    page.wait_for_url(f"{server}/studies/{other.pk}/")
    assert Review.objects.get().comment == "Scaphoid?"
    open_study(page, study, panes=2)
    expect_nothing_begun(page)


def test_what_was_begun_outlives_a_session_and_no_sign_out(
    page, sign_in, scene, complaints
):
    study = scene.phantom(1, probability=0.9)
    sign_in()
    open_study(page, study, panes=2)
    begun(page)
    cookies = page.context.cookies()
    page.context.clear_cookies(name="sessionid")
    page.wait_for_url("**/login/**")
    complaints.clear()  # the browser logs that the study is no longer told
    page.context.add_cookies(cookies)
    open_study(page, study, panes=2)
    expect_begun(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login/**")
    assert "Scaphoid" not in page.evaluate("JSON.stringify(sessionStorage)")


def test_a_verdict_on_less_than_has_arrived_is_refused(
    page, sign_in, scene, complaints
):
    study = scene.phantom(10, probability=0.9)
    late = scene.another_image(study)
    sign_in()
    open_study(page, study, panes=2)
    scene.push(late)
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    expect(page.locator(".refusal")).to_contain_text("look at the study again")
    assert not Review.objects.exists()
    complaints.clear()


def test_an_administrator_sees_but_does_not_judge(page, sign_in, scene):
    study = scene.phantom(11, probability=0.9)
    sign_in("administrator")
    open_study(page, study, panes=2)
    expect(page.locator("#verdict-form")).to_have_count(0)
    expect(page.locator(".judging")).to_contain_text("given by radiologists")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    assert not Review.objects.exists()


def test_a_disagreement_is_found_in_the_worklist_and_settled_by_a_third(
    page, server, sign_in, scene, shot
):
    study = scene.phantom(1, waited=30, probability=0.9)
    for number, verdict in enumerate(("fracture", "no_fracture")):
        reader = make_user("radiologist", name=f"reader{number}")
        submit(prediction=study.prediction, radiologist=reader, verdict=verdict)
    user = sign_in()
    page.get_by_role("link", name="1 to be adjudicated").click()
    expect(page.locator(f"#study-{study.pk}")).to_contain_text("radiologists disagree")
    shot("worklist-disputed")
    open_study(page, study, panes=2)
    expect(page.get_by_text("Radiologists disagree on this study.")).to_be_visible()
    shot("study-disputed")
    page.get_by_label("Settle the disagreement").check()
    page.keyboard.press("f")
    page.get_by_role("button", name="Record and open next").click()
    page.wait_for_url(f"{server}/")
    study.refresh_from_db()
    assert not study.disputed
    settled = Review.objects.latest("pk")
    assert (settled.radiologist, settled.adjudicates) == (user, True)


def test_a_dispute_that_comes_and_goes_is_followed_by_an_open_page(
    page, sign_in, scene
):
    study = scene.phantom(1, waited=30, probability=0.9)
    readers = [make_user("radiologist", name=f"reader{n}") for n in range(3)]

    def say(who, verdict, **more):
        about = {"prediction": study.prediction, "radiologist": readers[who]}
        submit(**about, verdict=verdict, **more)

    sign_in()
    open_study(page, study, panes=2)
    page.locator("#comment").fill("Mine")
    settle = page.get_by_label("Settle the disagreement")
    history = page.locator(".history li")
    say(0, "fracture")
    say(1, "no_fracture")
    expect(settle).to_be_visible(timeout=10_000)
    expect(history).to_have_count(2)
    expect(page.locator(".history .superseded")).to_have_count(0)  # both stand
    say(2, "fracture", adjudicates=True)
    expect(settle).to_have_count(0, timeout=10_000)
    expect(page.locator(".history .superseded")).to_have_count(2)
    expect(page.locator("#comment")).to_have_value("Mine")


def test_who_disagrees_is_not_asked_to_settle_it(page, sign_in, scene):
    study = scene.phantom(1, probability=0.9)
    user = sign_in()
    for who, verdict in ((user, "fracture"), (make_user("radiologist"), "no_fracture")):
        submit(prediction=study.prediction, radiologist=who, verdict=verdict)
    open_study(page, study, panes=2)
    expect(page.get_by_text("Radiologists disagree on this study.")).to_be_visible()
    expect(page.get_by_label("Settle the disagreement")).to_have_count(0)


def test_an_overlay_seen_before_the_page_was_opened_anew_was_seen(
    page, server, sign_in, scene
):
    study = scene.phantom(1, waited=30, probability=0.9)
    scene.explain(study.prediction)
    sign_in()
    open_study(page, study, panes=2)
    page.keyboard.press("l")
    until(AuditEvent.objects.filter(action=SHOWN).exists)
    open_study(page, study, panes=2)
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server}/")
    assert Review.objects.get().overlay_shown
