"""The administrator watches a search, pauses it, resumes it and sees its winner."""

import json

import pytest
from playwright.sync_api import expect

from clinic import search, trials
from clinic.models import Trial
from clinic.trials import Outcome
from tests.browser.test_accessibility import findings, nothing_overflows
from tests.browser.test_dashboard import painted
from tests.clinic.factories import make_model, make_search


@pytest.fixture(scope="session")
def browser_context_args():
    """axe is injected as a script, which our pages rightly forbid."""
    return {"viewport": {"width": 1366, "height": 768}, "bypass_csp": True}


def end(job, *scores):
    for score in scores:
        held = trials.claim(pk=job.trials.filter(state="queued").first().pk)
        trials.beat(trial=held, done=0.9, worked=42.0)
        trials.finish(trial=held, outcome=Outcome([score]))


def on_patches():
    area = {"value": 0.31, "low": 0.2, "high": 0.4}
    found = {"images": 217, "fractures": 65, "area": area}
    less = {"value": 0.1, "low": -0.02, "high": 0.2}
    costs = {"parameters": 5_100_000, "madds": 31_000_000}
    return {"candidate": found | costs, "incumbent": found, "difference": less}


def test_a_search_is_watched_paused_resumed_and_won(page, sign_in, shot, server):
    user = sign_in("administrator")
    parent = make_model("served")
    parent.card["test_by_study"] = {"auroc": {"value": 0.74}}
    parent.save()
    job = make_search(user, parent=parent, budget=10, strategy="random")
    page.get_by_role("link", name="Searches").click()
    page.get_by_role("link", name=f"Search {job.pk}").click()
    expect(page.locator("#left")).to_contain_text("unknown until the first trial")
    end(job, 0.55, 0.7, 0.66)
    expect(page.locator("#trial-1")).to_contain_text("0.7", timeout=15_000)
    numbers = page.locator("#figures .numbers").first.locator("tbody tr")
    expect(numbers).to_have_count(3, timeout=15_000)
    expect(page.locator("#figures canvas")).to_have_count(3)
    assert painted(page, "#figures canvas")
    figure = page.locator("#figures figure").first
    expect(figure.locator(".u-legend")).to_contain_text("by study on the test side")
    expect(figure.locator(".aside")).to_contain_text("in service now")
    page.locator("#numbers-madds summary").click()
    end(job, 0.72, 0.69, 0.75, 0.71)
    expect(numbers).to_have_count(7, timeout=15_000)
    expect(page.locator("#numbers-madds table")).to_be_visible()
    held = trials.claim(pk=job.trials.filter(state="queued").first().pk)
    trials.beat(trial=held, done=0.4, worked=17.0)
    expect(page.locator(f"#trial-{held.number}")).to_contain_text("40 %")
    shot("search-running")
    assert findings(page) == []
    assert nothing_overflows(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h2 .job-paused")).to_be_visible()
    trials.finish(trial=held, outcome=Outcome([0.68]))
    assert not Trial.objects.due().exists()
    expect(page.locator("#search .log")).to_contain_text("trial 7 done")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("h2 .job-queued")).to_be_visible()
    end(job, 0.7, 0.73, 0.79, 0.81)
    model = make_model("won", stage="candidate")
    told = {
        side: {"by_study": {"auroc": {"value": value, "low": 0.6, "high": 0.9}}}
        for side, value in (("candidate", 0.81), ("incumbent", 0.73))
    } | {"incumbent_digest": parent.digest, "patches": on_patches()}
    search.conclude(job=job, candidate=model, compared=told)
    expect(page.locator("#winner-title")).to_contain_text("trial 11", timeout=15_000)
    config = page.get_by_role("link", name="net.config")
    config.scroll_into_view_if_needed()
    expect(page.locator(".architecture rect")).to_have_count(
        page.locator(".architecture li").count()
    )
    found = page.get_by_role("region", name="Found on patches")
    expect(found).to_contain_text("31.00 M a patch")
    shot("search-won", both=True)
    with page.expect_download() as fetched:
        config.click()
    assert json.loads(fetched.value.path().read_text())["name"] == "MobileNetV3"
    assert findings(page) == []
    assert nothing_overflows(page)
    page.get_by_role("link", name="won").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("won")
