"""An administrator decides which model serves, in a real browser."""

import json
import shutil
from itertools import count

import numpy as np
import pytest
from django.conf import settings as configured
from playwright.sync_api import expect

from clinic import jobs, learning, measuring, registry
from clinic.models import Job, ModelVersion, ShadowReading
from inference import artifact
from tests.browser.test_accessibility import browser_context_args, findings  # noqa: F401
from tests.clinic.factories import (
    make_prediction,
    make_review,
    make_study,
    make_user,
)
from tests.clinic.judged import side_of
from tests.inference import tiny

CARD = json.loads((configured.SHIPPED_MODELS / "resnet18" / "card.json").read_text())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    tiny.save(folder)
    return folder


def holdout(overlooked=0.0, sharp=1.0, **said):
    """300 studies of 150 patients; of the fractures a share is `overlooked`."""
    rng = np.random.default_rng(3)
    labels = np.arange(300) // 2 % 2
    logits = (2 * labels - 1) * 1.4 * sharp + rng.normal(0, 1, 300)
    logits[(labels == 1) & (rng.random(300) < overlooked)] = -2.0
    cases = [
        {
            "id": f"case-{n}",
            "patient": f"patient-{n // 2}",
            "label": int(labels[n]),
            "probability": round(float(1 / (1 + np.exp(-logits[n]))), 4),
            "subgroups": {"sex": "FM"[n % 2], "age": "0-17" if n < 90 else "18-59"},
        }
        for n in range(300)
    ]
    pointing = {"lrp": 0.61, "gradcam": 0.55}
    told = {"digest": "5e" * 32, "cases": cases, "hits": pointing}
    return told | {"milliseconds": 12.5} | said


@pytest.fixture
def register(database, own_folders, tmp_path, weights):
    def make(name, calibration=CARD["calibration"], coverage=CARD["coverage"], **about):
        folder = shutil.copytree(weights, tmp_path / "shipped" / name)
        spec = json.loads((folder / artifact.SPEC).read_text()) | {"name": name}
        (folder / artifact.SPEC).write_text(json.dumps(spec))
        doubt = {"calibration": calibration, "coverage": coverage}
        card = CARD | doubt | {"holdout": holdout(**about)}
        (folder / artifact.CARD).write_text(json.dumps(card))
        return registry.register(folder=folder, by=None)

    return make


@pytest.fixture
def serving(register):
    return registry.promote(version=register("resnet18"), by=None, reason="the first")


def stage(version):
    return ModelVersion.objects.get(pk=version.pk).stage


def open_models(page):
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("heading", name="Models").wait_for()


def drawn(page, charts):
    expect(page.locator(".chart canvas")).to_have_count(charts)


def sound(page):
    assert findings(page) == []
    width = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(width)


def test_the_gate_is_read_before_anything_can_be_pressed(
    page, sign_in, scene, serving, register, shot
):
    worse = register("blurred", overlooked=0.3, milliseconds=21.0)
    sign_in("administrator")
    open_models(page)
    sound(page)
    shot("models")
    page.get_by_role("link", name="blurred").click()
    blockers = page.locator(".blockers li")
    expect(blockers.first).to_contain_text("AUROC 0.")
    expect(blockers.last).to_contain_text("A view takes 21 ms against 12.5 ms")
    expect(page.get_by_role("button", name="Promote")).to_be_disabled()
    drawn(page, 3)
    sound(page)
    shot("model-blocked")
    page.locator("h3", has_text="Training").scroll_into_view_if_needed()
    shot("model-card")
    page.locator("summary").first.click()
    rows = page.locator(".chart table.numbers tbody tr")
    expect(rows.filter(visible=True)).to_have_count(len(CARD["history"]))
    assert stage(worse) == "candidate"


def test_promote_with_a_reason_and_back_with_one_click(
    page, sign_in, scene, serving, register, shot
):
    better = register("squeezenet", sharp=1.6)
    sign_in("administrator")
    open_models(page)
    page.get_by_role("link", name="squeezenet").click()
    press = page.get_by_role("button", name="Promote: the next study is read by it")
    press.click()  # the browser asks for the reason
    assert stage(better) == "candidate"
    page.get_by_label("Reason").first.fill("Finds more at fewer false alarms.")
    shot("model-promote")
    press.click()
    expect(page.locator(".message")).to_contain_text("is in service")
    assert (stage(better), stage(serving)) == ("active", "retired")
    open_models(page)
    sound(page)
    shot("models-rollback")
    page.get_by_role("button", name="Roll back to this").click()
    expect(page.locator(".message")).to_contain_text("is back in service")
    assert (stage(better), stage(serving)) == ("retired", "active")


@pytest.fixture
def held(scene, serving, monkeypatch):
    """Verdicts on held-out patients, one of each kind, and as few are enough."""
    monkeypatch.setattr(learning, "FEWEST_HELD", 1)
    reader = make_user("radiologist", name="reader")
    names = (name for name in map("P{}".format, count()) if side_of(name) == "test")
    for verdict, name in zip(("fracture", "no_fracture"), names):
        prediction = make_prediction(make_study(patient_id=name))
        make_review(prediction, reader, verdict)


def elsewhere():
    """A holdout that no other model knows."""
    told = holdout(sharp=1.6)
    cases = [case | {"id": f"other-{case['id']}"} for case in told["cases"]]
    return {"cases": cases, "digest": "0c" * 32}


def test_one_from_elsewhere_is_measured_and_then_judged(
    page, sign_in, held, serving, register, shot
):
    better = register("stranger", **elsewhere())
    sign_in("administrator")
    open_models(page)
    page.get_by_role("link", name="stranger").click()
    expect(page.locator(".blockers")).to_contain_text("The holdouts differ")
    expect(page.get_by_role("button", name="Promote")).to_be_disabled()
    page.get_by_role("button", name="Measure both").click()
    expect(page.locator("h1")).to_contain_text("Measurement")
    expect(page.locator("#state")).to_contain_text("Waiting for a worker")
    taken = jobs.claim(pk=Job.objects.get().pk)
    jobs.beat(job=taken, step=f"measuring {serving.name} {serving.brief}", done=1)
    expect(page.locator("#state")).to_contain_text("1 of 2", timeout=8000)
    sound(page)
    shot("measurement-running")
    both = {"by_study": CARD["test_by_study"], "by_image": CARD["test"]}
    compared = {"candidate": both, "incumbent": both}
    compared |= {"candidate_holdout": holdout(sharp=1.6), "holdout": holdout()}
    measuring.finish(
        job=taken, compared=compared | {"incumbent_digest": serving.digest}
    )
    expect(page.locator("#compared-title")).to_be_visible(timeout=8000)
    sound(page)
    shot("measurement-done", both=True)
    page.locator("#job").get_by_role("link", name="stranger").click()
    expect(page.locator("main")).to_contain_text("Last measured together by")
    shot("model-measured", both=True)
    page.get_by_label("Reason").first.fill("Better on our own patients.")
    page.get_by_role("button", name="Promote: the next study is read by it").click()
    expect(page.locator(".message")).to_contain_text("is in service")
    assert (stage(better), stage(serving)) == ("active", "retired")


def test_two_side_by_side(page, sign_in, scene, serving, register, shot):
    register("blurred", overlooked=0.3)
    sign_in("administrator")
    open_models(page)
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator("h1")).to_contain_text("blurred")
    expect(page.locator(".hot").first).to_have_text("refuses")
    drawn(page, 3)
    sound(page)
    page.screenshot(path="var/screenshots/models-compared.png", full_page=True)


def test_how_well_a_model_knows_itself_is_drawn(
    page, sign_in, scene, serving, register, shot
):
    bare = register("bare", calibration=None, coverage=None)
    sign_in("administrator")
    open_models(page)
    page.get_by_role("link", name="resnet18").click()
    drawn(page, 3)
    reliability = chart(page, "Share of fractured images")
    coverage = chart(page, "Share of wrong answers")
    assert painted(reliability) and painted(coverage)
    for shown in (reliability, coverage):
        shown.locator("summary").click()
    told = [tenth for tenth in CARD["calibration"]["test"]["bins"] if tenth["count"]]
    seen = f"{told[0]['fractured'] / told[0]['count']:.3g}"
    expect(reliability.get_by_role("cell", name=seen, exact=True).first).to_be_visible()
    expect(coverage.locator(".numbers tbody tr")).to_have_count(len(CARD["coverage"]))
    sound(page)
    reliability.scroll_into_view_if_needed()
    page.screenshot(path="var/screenshots/model-reliability.png", full_page=True)
    page.get_by_role("button", name="Side by side").click()
    lacks = f"The card of bare {bare.brief} holds no"
    for noun in ("reliability diagram", "coverage/error curve"):
        expect(page.get_by_text(f"{lacks} {noun}.")).to_be_visible()
    drawn(page, 3)
    sound(page)


def chart(page, title):
    return page.locator(".chart", has=page.locator("figcaption", has_text=title))


def painted(figure):
    """Is there anything but background on its canvas?"""
    return figure.locator("canvas").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".some(value => value > 0)",
    )


def test_what_the_shadow_said(page, sign_in, scene, serving, register, shot):
    model = registry.shadow(
        version=register("squeezenet", sharp=1.6), by=None, reason="Is it better?"
    )
    rng = np.random.default_rng(1)
    for seed in range(1, 9):
        chance = float(0.3 + 0.4 * rng.random())
        seen = scene.phantom(seed, probability=chance, PatientName=f"DOE^{seed}")
        beside = float(np.clip(chance + rng.normal(0, 0.25), 0, 1))
        ShadowReading.objects.create(
            prediction=seen.prediction,
            model=model,
            state="read",
            probability=beside,
            flagged=beside >= 0.5,
        )
    sign_in("administrator")
    open_models(page)
    page.get_by_role("link", name="squeezenet").click()
    drawn(page, 5)
    sound(page)
    page.locator(".models a").first.scroll_into_view_if_needed()
    shot("model-shadow")
