"""A search from its form to the shadow, trained by real workers before our eyes."""

import re

import pytest
from playwright.sync_api import expect

from clinic import registry
from clinic.models import Job, ModelVersion, Trial
from tests.browser.test_accessibility import findings
from tests.clinic.judged import save_parent
from tests.clinic.searched import draw
from tests.faults.conftest import Installation

LONG = 120_000  # ms: for what a worker has to train first
TRIALS = 24  # more than a fast worker ends before a page that looks every 2 s shows one


@pytest.fixture(scope="session")
def browser_context_args():
    """axe is injected as a script, which our pages rightly forbid."""
    return {"viewport": {"width": 1280, "height": 800}, "bypass_csp": True}


@pytest.fixture
def wrists(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "data"
    return draw(settings.DATA_ROOT / "datasets" / "wrists")


@pytest.fixture
def serving(database, own_folders, tmp_path):
    save_parent(tmp_path / "tiny")
    version = registry.register(folder=tmp_path / "tiny", by=None)
    return registry.promote(version=version, by=None, reason="The first.")


@pytest.fixture
def workers(database, settings, tmp_path, wrists):
    """One that searches and makes the model, and the watcher that rings for it."""
    made = Installation(tmp_path / "data", f"sqlite:///{database}")
    made.env["OSTEON_MODELS"] = str(settings.MODEL_ROOT)
    made.env["OSTEON_STORE"] = str(tmp_path / "store")
    made.worker("search,training", "search")
    made.watch()
    yield made
    made.close()


def fill(page, **more):
    asked = {"Image height": 96, "Image width": 64, "Candidates to try": TRIALS}
    asked |= {"Epochs of a candidate": 1, "Best ones trained at length": 1}
    asked |= {"Epochs at length": 2, "Views a batch": 8} | more
    for label, value in asked.items():
        page.get_by_label(label, exact=True).fill(str(value))
    page.get_by_label("Learn from").select_option("wrists")
    page.get_by_label("Space").select_option("ofa-1.0")


def begin(page):
    page.get_by_role("button", name="Start search").click()


@pytest.mark.timeout(600)
def test_a_search_is_asked_for_watched_paused_resumed_and_put_into_the_shadow(
    page, sign_in, serving, workers, shot, complaints
):
    sign_in("administrator")
    page.get_by_role("link", name="Searches").click()
    fill(page)
    refused(page, shot)
    complaints.clear()  # the browser names every answer 422
    page.get_by_label("multiply-adds", exact=True).uncheck()
    page.get_by_label("Strategy").select_option("random")
    page.get_by_role("button", name="What would it cost?").click()
    expect(page.locator("#estimate")).to_contain_text("of one worker")
    assert not Job.objects.exists()
    shot("search-form-filled", both=True)
    begin(page)
    watched(page)
    paused(page)
    page.get_by_role("button", name="Resume").click()
    won(page, shot)
    decided(page, serving, shot)


def refused(page, shot):
    """A count by the browser itself, what no form can know by the server."""
    budget = page.get_by_label("Candidates to try")
    budget.fill("0")
    begin(page)
    assert budget.evaluate("field => field.validationMessage")
    budget.fill(str(TRIALS))
    page.get_by_label("multiply-adds", exact=True).check()
    page.get_by_label("Strategy").select_option("evolution")
    begin(page)
    objectives = page.get_by_role("group", name="Further objectives")
    expect(objectives).to_have_accessible_description(
        re.compile("^Evolution follows one objective only")
    )
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was started")
    expect(page.get_by_label("Learn from")).to_have_value("wrists")
    expect(budget).to_have_value(str(TRIALS))
    shot("search-form-refused", both=True)
    assert findings(page) == []
    assert not Job.objects.exists()


def watched(page):
    """Points come without a new page."""
    expect(page.locator("#state-title")).to_contain_text("Waiting for a worker")
    page.evaluate("window.still = true")
    points = page.locator("#figures .numbers").first.locator("tbody tr")
    expect(points).not_to_have_count(0, timeout=LONG)  # a fast worker brings several
    expect(page.locator("#trial-0 .job-done")).to_be_visible()
    expect(page.locator("#state-title")).to_have_text("Running")
    expect(page.locator("#left")).to_contain_text("about")
    assert page.evaluate("window.still")


def paused(page):
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state-title")).to_have_text("Paused")
    running = page.locator("#search tbody .job-running")
    expect(running).to_have_count(0, timeout=LONG)
    assert not Trial.objects.due().exists()
    assert Trial.objects.filter(state="queued").count() == 1


def won(page, shot):
    expect(page.locator("#winner-title")).to_contain_text(
        f"trial {TRIALS},", timeout=LONG
    )
    layers = page.locator(".architecture li").count()
    expect(page.locator(".architecture rect")).to_have_count(layers)
    expect(page.locator("#figures canvas")).to_have_count(3)
    expect(page.locator("#search .log")).to_contain_text("done: model")
    shot("search-trained", both=True)
    assert findings(page) == []


def decided(page, serving, shot):
    page.get_by_role("link", name="ofa-1.0").click()
    made = ModelVersion.objects.get(stage="candidate")
    said = registry.blockers(made)
    expect(page.locator(".blockers li")).to_have_text(said)
    expect(page.get_by_role("button", name="Promote")).to_be_disabled()
    shot("search-model", both=True)
    assert findings(page) == []
    shadow = page.locator("form", has=page.get_by_role("heading", name="Shadow"))
    shadow.get_by_label("Reason").fill("Let us see it read beside the other.")
    shadow.get_by_role("button", name="Put into the shadow").click()
    expect(page.locator("h1 .stage")).to_have_text("in the shadow")
    made.refresh_from_db()
    serving.refresh_from_db()
    assert (made.stage, serving.stage) == ("shadow", "active")
