"""The worklist as people use it: order, search, live rows."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from clinic.models import PacsCursor, Study
from tests.clinic.factories import make_user


def names(page):
    return page.locator("table.studies tbody tr .patient a").all_inner_texts()


def test_a_wrong_password_does_not_open_the_worklist(
    page, server, database, complaints
):
    page.goto(f"{server}/")
    assert page.url.startswith(f"{server}/login/")
    for attempt in range(6):
        page.get_by_label("User name").fill("nobody")
        page.get_by_label("Password").fill(f"wrong {attempt}")
        page.get_by_role("button", name="Sign in").click()
        words = "Too many failed attempts" if attempt == 5 else "correct username"
        expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()


def test_the_right_password_does(page, server, database):
    make_user("radiologist", name="reader")
    page.goto(f"{server}/")
    page.keyboard.type("reader")  # the first field has the focus
    page.keyboard.press("Tab")
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server}/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{server}/login/")


def test_suspected_fractures_come_first_then_who_has_waited_longest(
    page, sign_in, scene
):
    scene.phantom(1, waited=5, probability=0.2, PatientName="CLEAR^YOUNG")
    scene.phantom(2, waited=300, probability=0.1, PatientName="CLEAR^OLD")
    scene.phantom(3, waited=2, probability=0.9, PatientName="FLAGGED^YOUNG")
    scene.phantom(4, waited=60, probability=0.8, PatientName="FLAGGED^OLD")
    sign_in()
    assert names(page) == [
        "FLAGGED, OLD",
        "FLAGGED, YOUNG",
        "CLEAR, OLD",
        "CLEAR, YOUNG",
    ]
    expect(page.locator(".summary")).to_contain_text("2 flagged")
    expect(page.locator("tr", has_text="CLEAR, OLD")).to_contain_text("5 h 0 min")


def test_rows_change_by_themselves_and_the_focus_stays(page, sign_in, scene):
    first = scene.phantom(1, waited=9, probability=0.2)
    second = scene.phantom(2, waited=5)
    sign_in()
    page.locator(f"#open-{first.pk}").focus()
    expect(page.locator(f"#study-{second.pk}")).not_to_contain_text("Fracture?")
    scene.read(second, 0.91)
    expect(page.locator(f"#study-{second.pk}")).to_contain_text("91 %", timeout=10_000)
    assert names(page) == ["PHANTOM, 0002", "PHANTOM, 0001"]  # it rose to the top
    expect(page.locator(f"#open-{first.pk}")).to_be_focused()
    third = scene.phantom(3)
    expect(page.locator(f"#study-{third.pk}")).to_be_visible(timeout=10_000)
    expect(page.locator(f"#open-{first.pk}")).to_be_focused()
    expect(page.locator("table.studies")).to_have_count(1)


def test_searching_finds_by_name_accession_and_day(page, sign_in, scene):
    scene.phantom(
        1, PatientName="DOE^JANE", AccessionNumber="A77", StudyDate="20260304"
    )
    scene.phantom(2, PatientName="ROE^RICHARD", AccessionNumber="B88")
    sign_in()
    for words in ("jane doe", "a77", "2026-03-04", "04.03.2026"):
        page.keyboard.press("/")
        page.keyboard.type(words)
        expect(page.locator(".summary .found")).to_have_text("1 of 2 shown")
        assert names(page) == ["DOE, JANE"], words
    page.get_by_role("link", name="Clear").click()
    expect(page.locator(".summary .found")).to_have_text("2 in all")


def test_the_list_keeps_its_filter_while_it_updates(page, sign_in, scene):
    scene.phantom(1, probability=0.9)
    scene.phantom(2, probability=0.1)
    sign_in()
    page.get_by_label("Flagged only").check()
    expect(page.locator(".summary .found")).to_have_text("1 of 2 shown")
    third = scene.phantom(3, probability=0.95)
    expect(page.locator(f"#study-{third.pk}")).to_be_visible(timeout=10_000)
    assert len(names(page)) == 2


def test_going_back_shows_a_list_that_is_what_its_form_says(page, sign_in, scene):
    scene.phantom(1, probability=0.9, PatientName="DOE^JANE")
    scene.phantom(2, probability=0.1)
    sign_in()
    page.get_by_label("Flagged only").check()
    expect(page.locator(".summary .found")).to_have_text("1 of 2 shown")
    page.get_by_label("Flagged only").uncheck()
    expect(page.locator(".summary .found")).to_have_text("2 in all")
    page.go_back()
    expect(page.locator(".summary .found")).to_have_text("1 of 2 shown")
    expect(page.get_by_label("Flagged only")).to_be_checked()
    kept = page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    assert "DOE" not in kept


def test_hostile_words_are_shown_as_words(page, sign_in, scene):
    hostile = "<script>alert(1)</script>^<b onclick>X</b>"
    scene.phantom(
        1, probability=0.9, PatientName=hostile, StudyDescription="</script><b>x"
    )
    sign_in()
    expect(page.locator(".open-study")).to_have_text(
        "<script>alert(1)</script>, <b onclick>X</b>"
    )
    page.locator(".open-study").click()
    expect(page.locator(".patient h1")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator(".patient")).to_contain_text("</script><b>x")


def test_trouble_with_the_pacs_is_told(page, sign_in, scene):
    sign_in()
    PacsCursor.objects.update_or_create(
        pk=1, defaults={"trouble": "The PACS does not answer."}
    )
    banner = page.get_by_role("alert").filter(has_text="The PACS does not answer")
    expect(banner).to_be_visible(timeout=10_000)
    PacsCursor.objects.update(trouble="")
    expect(banner).to_have_count(0, timeout=10_000)


def test_a_page_without_connection_says_that_it_may_be_out_of_date(
    page, sign_in, scene, complaints
):
    sign_in()
    page.route("**/*", lambda route: route.abort())
    expect(page.locator("#connection")).to_be_visible(timeout=10_000)
    page.unroute_all()
    expect(page.locator("#connection")).to_be_hidden(timeout=10_000)
    complaints.clear()


def test_a_set_aside_study_says_why_and_an_administrator_puts_it_back(
    page, server, sign_in, scene
):
    study = scene.phantom(1)
    study.state, study.reason = Study.State.FAILED, "The worker ended four times."
    study.save()
    sign_in("administrator")
    expect(page.locator(f"#study-{study.pk}")).to_contain_text(
        "set aside after repeated failure The worker ended four times."
    )
    expect(page.locator(".ledger")).to_contain_text("1 received = 0 read")
    page.get_by_role("link", name="System").click()
    expect(page.locator(".ok")).to_have_text("Answers.")
    page.get_by_role("button", name="Put back to be read").click()
    page.wait_for_url(f"{server}/studies/{study.pk}/")
    study.refresh_from_db()
    assert study.state == Study.State.WAITING


@pytest.mark.parametrize("where", ["", "studies/1/"])
def test_who_was_signed_out_meanwhile_is_asked_to_sign_in(
    page, server, sign_in, scene, where, complaints
):
    scene.phantom(1, probability=0.9)
    sign_in()
    page.goto(f"{server}/{where}")
    Session.objects.all().delete()
    page.wait_for_url(f"{server}/login/?next=/{where}", timeout=5000)
    complaints[:] = [said for said in complaints if "403" not in said]
