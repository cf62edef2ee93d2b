"""The administrator starts, watches, cancels and resumes a training."""

import re
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import expect

from clinic import jobs
from clinic.models import ImageReading, Job, Prediction, Study
from tests.browser.test_accessibility import findings, nothing_overflows
from tests.clinic.factories import (
    make_job,
    make_model,
    make_prediction,
    make_review,
    make_study,
    make_user,
)


@pytest.fixture(scope="session")
def browser_context_args():
    """axe is injected as a script, which our pages rightly forbid."""
    return {"viewport": {"width": 1366, "height": 768}, "bypass_csp": True}


@pytest.fixture
def verdicts(database):
    """Eight judged studies, one of them disputed, one unsure."""
    reader, other = make_user("radiologist"), make_user("radiologist")
    for number in range(6):
        verdict = "fracture" if number % 2 else "no_fracture"
        make_review(make_prediction(make_study()), reader, verdict)
    make_review(make_prediction(make_study()), reader, "unsure")
    disputed = make_prediction(make_study())
    make_review(disputed, reader, "fracture")
    make_review(disputed, other, "no_fracture")
    Study.objects.filter(pk=disputed.study_id).update(disputed=True)


def history(epochs):
    return [
        {"epoch": n, "loss": 0.7 * 0.9**n, "auroc": 0.9 - 0.4 * 0.8**n}
        for n in range(1, epochs + 1)
    ]


def test_a_training_is_started_watched_cancelled_and_resumed(
    page, sign_in, verdicts, shot
):
    sign_in("administrator")
    page.get_by_role("link", name="Jobs").click()
    expect(page.locator("#usable")).to_contain_text("usable studies")
    shot("jobs-start")
    assert findings(page) == []
    assert nothing_overflows(page)
    page.get_by_label("Epochs").fill("12")
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#state")).to_contain_text("Waiting for a worker")
    job = Job.objects.get()
    held = jobs.claim(pk=job.pk)
    jobs.beat(job=held, step="training", done=3.4, history=history(3), line="epoch 3")
    expect(page.locator("#state")).to_contain_text("3.4 of 12", timeout=8000)
    expect(page.locator("#curve canvas")).to_be_visible(timeout=8000)
    expect(page.locator("#curve .numbers tbody tr")).to_have_count(3)
    jobs.beat(job=held, done=9.2, history=history(9), line="epoch 9")
    expect(page.locator("#curve .numbers tbody tr")).to_have_count(9, timeout=8000)
    expect(page.locator("#curve canvas")).to_have_count(1)
    assert painted(page, "#curve canvas")
    shot("job-running")
    assert findings(page) == []
    assert nothing_overflows(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h2 .job-cancelled")).to_be_visible()
    with pytest.raises(jobs.ClaimLost):
        jobs.beat(job=held)
    page.get_by_role("button", name="Resume after epoch 9").click()
    expect(page.locator("h2 .job-queued")).to_be_visible()


def painted(page, selector):
    """Is there anything but background on the canvas?"""
    return page.eval_on_selector(
        selector,
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".some(value => value > 0)",
    )


def test_a_finished_job_and_the_list(page, sign_in, verdicts, shot, server):
    user = sign_in("administrator")
    report = {
        "cases": 48,
        "fractured": 21,
        "auroc": {"value": 0.841, "low": 0.79, "high": 0.89},
        "sensitivity": 0.81,
        "specificity": 0.78,
    }
    worse = report | {"auroc": {"value": 0.802, "low": 0.74, "high": 0.86}}
    job = make_job(by=user, parameters={"epochs": 12, "rate": 1e-4})
    held = jobs.claim(pk=job.pk)
    jobs.note(job=held, data_digest="ab" * 32, commit="cd" * 20)
    lines = [f"epoch {n} of 12: loss {0.7 * 0.9**n:.4f}" for n in range(1, 13)]
    for line in lines:
        jobs.beat(job=held, line=line, history=history(12), worked=31.0)
    jobs.finish(
        job=held,
        candidate=make_model("resnet18", stage="candidate"),
        compared={
            "candidate": {"by_study": report, "by_image": worse},
            "incumbent": {"by_study": worse, "by_image": worse},
        },
    )
    make_job(by=user, state="failed", reason="No patient of the holdout part …")
    make_job(by=user)
    page.goto(f"{server}/jobs/")
    expect(page.locator("#jobs tbody tr")).to_have_count(3)
    page.locator("#list-title").scroll_into_view_if_needed()
    shot("jobs-list")
    assert findings(page) == []
    page.goto(f"{server}/jobs/{job.pk}/")
    expect(page.locator("#curve canvas")).to_be_visible()
    shot("job-done", both=True)
    assert findings(page) == []
    assert nothing_overflows(page)


def backdate(review, by):
    """Past the model, which lets nobody change a review."""
    moment = (timezone.now() - by).strftime("%Y-%m-%d %H:%M:%S")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE clinic_review SET created = %s WHERE id = %s", [moment, review.pk]
        )


def test_monitoring_draws_what_its_tables_say(page, sign_in, database, shot, server):
    reader = make_user("radiologist")
    rng = np.random.default_rng(3)
    model = make_model("resnet18")
    for number in range(70):
        score = float(rng.beta(2, 3))
        prediction = make_prediction(make_study(images=1), score)
        if number % 2:
            said = rng.random() < 0.5 + 0.8 * (score - 0.5)
            verdict = "fracture" if said else "no_fracture"
            review = make_review(prediction, reader, verdict)
            backdate(review, timedelta(days=int(rng.integers(0, 28))))
        moment = timezone.now() - timedelta(days=int(rng.integers(0, 28)))
        waited = timedelta(seconds=float(rng.gamma(3, 1.2)))
        Prediction.objects.filter(pk=prediction.pk).update(created=moment)
        study = Study.objects.filter(pk=prediction.study_id)
        study.update(arrived=moment, last_arrival=moment - waited)
    for code in ("other_anatomy", "other_anatomy", "truncated"):
        make_study(state="not_ours", code=code, reason="Said.")
    for image in ImageReading.objects.order_by("?")[:6]:
        image.state, image.code, image.probability = "abstained", "poor_quality", None
        image.reason = "Blurred."
        image.save()
    sign_in("administrator")
    page.get_by_role("link", name="Monitoring").click()
    expect(page.locator("figure canvas")).to_have_count(5)
    expect(page.get_by_text("Of 70 images put to a model, 6 (9 %)")).to_be_visible()
    for index in range(5):
        assert painted(page, f":nth-match(figure canvas, {index + 1})")
    expect(page.locator("#scores-title ~ table .warn")).to_have_text(
        ["not measured"] * 2
    )
    shot("monitoring", both=True)
    assert findings(page) == []
    assert nothing_overflows(page)
    page.locator("select[name=days]").select_option("7")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("days=7"))
    page.locator("summary").first.click()
    expect(page.locator("figure").first.locator(".numbers tbody tr")).to_have_count(7)
    assert findings(page) == []
    assert model.name in page.locator("#scores-title + p").inner_text()
