"""Every page through axe-core: no serious or critical finding."""

import pytest
from django.conf import settings

from clinic.models import Study
from tests.browser.screen import open_study, ready
from tests.clinic.factories import make_review

AXE = settings.BASE_DIR / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def browser_context_args():
    """axe is injected as a script, which our pages rightly forbid."""
    return {"viewport": {"width": 1366, "height": 768}, "bypass_csp": True}


def findings(page):
    page.add_script_tag(path=AXE)
    answer = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        (found["id"], [node["html"] for node in found["nodes"]])
        for found in answer["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def nothing_overflows(page):
    """No sideways scrolling at 1366 x 768."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_sign_in_page(page, server, database):
    page.goto(f"{server}/login/")
    assert findings(page) == []


def test_the_worklist(page, sign_in, scene):
    scene.phantom(1, waited=5, probability=0.9)
    scene.phantom(2)
    failed = scene.phantom(3)
    failed.state, failed.reason = Study.State.FAILED, "The worker ended four times."
    failed.notice("replaced", "An image was replaced after it had been read.")
    failed.save()
    sign_in()
    assert findings(page) == []
    assert nothing_overflows(page)


def test_the_empty_worklist_and_the_system_page(page, sign_in, scene):
    sign_in("administrator")
    assert findings(page) == []
    page.get_by_role("link", name="System").click()
    page.locator(".ok").wait_for()
    assert findings(page) == []


def test_the_study_page_and_its_help(page, sign_in, scene):
    study = scene.phantom(1, probability=0.9)
    scene.explain(study.prediction)
    user = sign_in()
    make_review(study.prediction, user, comment="First look")
    make_review(study.prediction, user, verdict="unsure")
    scene.read(study, 0.4, revision=2)
    open_study(page, study, panes=2)
    for key in ("l", "b", " ", "f"):
        page.keyboard.press(key)
    ready(page, 2)
    assert findings(page) == []
    assert nothing_overflows(page)
    page.keyboard.press("?")
    assert findings(page) == []
