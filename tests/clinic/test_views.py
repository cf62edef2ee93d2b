"""Pages: shape, one call, answer."""

import json
import socket
from io import StringIO

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import Client

from clinic.models import AuditEvent, Overlay, Review, Study
from clinic.templatetags import osteon
from tests.clinic.factories import (
    leave_to_people,
    make_prediction,
    make_review,
    make_study,
    make_user,
)

HTMX = {"HX-Request": "true"}


@pytest.fixture
def reader(client, radiologist):
    client.force_login(radiologist)
    return client


@pytest.fixture
def steward(client, administrator):
    client.force_login(administrator)
    return client


def verdict(client, on, **fields):
    form = {
        "prediction": on.pk,
        "seen_revision": on.revision,
        "verdict": "fracture",
        "boxes": "[]",
        "comment": "",
        "overlay_shown": "true",
    }
    address = f"/studies/{on.study_id}/verdict/"
    return client.post(address, form | fields, headers=HTMX)


def test_health_answers_without_signing_in(client, db):
    assert client.get("/health/").content == b"ok"


def test_pages_forbid_scripts_from_elsewhere_and_copies(reader):
    answer = reader.get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_list_is_silent_while_nothing_changes(reader, study):
    token = reader.get("/").context["page"].token
    assert reader.get(f"/?seen={token}", headers=HTMX).status_code == 204
    make_prediction(study)
    answer = reader.get(f"/?seen={token}", headers=HTMX)
    assert answer.status_code == 200
    assert b"<html" not in answer.content
    assert b"Fracture?" in answer.content


def test_markings_differ_in_words_not_only_in_style(reader):
    for probability in (0.94, 0.95):
        make_prediction(probability=probability)
    left = leave_to_people(make_prediction()).study
    words = reader.get("/", headers=HTMX).content.decode()
    assert words.count("suspicious</small>") == words.count("confident</small>") == 1
    assert words.count("no opinion</small>") == 1 and "Unlike the others." in words
    assert f"{1} left to people" in words
    page = reader.get(f"/studies/{left.pk}/reading/").content.decode()
    assert "The model says nothing" in page and "Unlike the others." in page
    assert page.count("no opinion") == 2 and "%" not in page


@pytest.mark.parametrize(
    ("probability", "marking"), [(0.4, ""), (0.6, "suspicious"), (0.8, "confident")]
)
def test_an_image_is_marked_by_the_point_it_reaches(reader, probability, marking):
    said = make_prediction(probability=probability, confident_from=0.8)
    told = reader.get(f"/api/studies/{said.study_id}/").json()
    assert {image["marking"] for image in told["images"]} == {marking}
    assert told["prediction"]["confident_from"] == 0.8
    page = reader.get(f"/studies/{said.study_id}/reading/").content.decode()
    assert (f'<span class="marking">{marking}</span>' in page) == bool(marking)
    assert "confident (solid) from 80 %" in page


def test_a_poll_costs_few_queries(reader, study, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        reader.get("/", headers=HTMX)


def test_opening_a_study_is_on_record_once(reader, study, radiologist):
    reader.get(f"/studies/{study.pk}/")
    reader.get(f"/studies/{study.pk}/reading/")
    reader.get(f"/api/studies/{study.pk}/")
    event = AuditEvent.objects.get(action="study.opened")
    assert (event.actor, event.target) == (radiologist, f"study/{study.pk}")


def test_a_verdict_opens_the_next_study(reader, prediction, radiologist):
    following = make_prediction(probability=0.2).study
    answer = verdict(reader, prediction, comment="Torus.")
    assert answer["HX-Redirect"] == f"/studies/{following.pk}/"
    review = Review.objects.get()
    assert (review.radiologist, review.comment) == (radiologist, "Torus.")
    assert review.overlay_shown


def test_the_last_verdict_leads_back_to_the_list(reader, prediction):
    assert verdict(reader, prediction)["HX-Redirect"] == "/"


def test_boxes_are_kept_as_drawn(reader, prediction):
    box = {
        "instance": prediction.images.first().instance_id,
        "x": 10.5,
        "y": 20,
        "width": 30,
        "height": 40,
    }
    verdict(reader, prediction, boxes=json.dumps([box]))
    assert Review.objects.get().boxes == [box]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"verdict": ""}, "Choose fracture, no fracture or unsure."),
        ({"verdict": "maybe"}, "Choose fracture, no fracture or unsure."),
        ({"boxes": "{not json"}, "valid JSON"),
        ({"boxes": "[" * 100_000}, "valid JSON"),
        ({"boxes": '[{"instance": 1}]'}, "A box has an image"),
        ({"comment": "x" * 4001}, "4000"),
        ({"prediction": "first"}, "valid integer"),
    ],
)
def test_a_refusal_is_a_sentence_beside_what_was_typed(
    reader, prediction, fields, sentence
):
    answer = verdict(reader, prediction, **{"comment": "<b>Kept</b>"} | fields)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in page
    if "comment" not in fields:
        assert "&lt;b&gt;Kept&lt;/b&gt;" in page
    assert not Review.objects.exists()


def test_a_verdict_belongs_to_a_reading_of_its_own_study(reader, prediction):
    stranger = make_prediction()
    answer = verdict(reader, prediction, prediction=stranger.pk)
    assert answer.status_code == 404
    assert not Review.objects.exists()


def test_a_verdict_without_its_token_is_refused(prediction, radiologist):
    client = Client(enforce_csrf_checks=True)
    client.force_login(radiologist)
    assert verdict(client, prediction).status_code == 403
    assert not Review.objects.exists()


def test_skipped_studies_come_up_after_all_others(reader):
    first, second, third = (make_prediction().study for _ in range(3))
    assert reader.post(f"/studies/{first.pk}/skip/").url == f"/studies/{second.pk}/"
    assert reader.post(f"/studies/{second.pk}/skip/").url == f"/studies/{third.pk}/"
    answer = verdict(reader, third.prediction)
    assert answer["HX-Redirect"] == f"/studies/{first.pk}/"


@pytest.fixture
def door(settings):
    """Where the embedded PACS is to listen: it does, until this is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings.DICOM_HOST, settings.DICOM_PORT = listening.getsockname()
        yield listening


def test_a_dead_pacs_is_told_in_words(steward, door):
    assert "Answers." in steward.get("/system/pacs/").content.decode()
    door.close()
    page = steward.get("/system/pacs/").content.decode()
    assert "does not listen" in page and "scanners cannot send" in page
    out = StringIO()
    call_command("ledger", stdout=out)
    found = json.loads(out.getvalue())
    assert found["pacs"]["missing"] == 0
    assert "does not listen" in found["pacs"]["trouble"]


def test_the_system_page_tells_how_things_stand(steward, prediction, door):
    model = prediction.model
    model.card = {"test": {"auroc": 0.8123456, "n": 120}, "notes": "A first <model>."}
    model.save()
    page = steward.get("/system/").content.decode()
    assert model.name in page
    assert "0.812" in page and "A first &lt;model&gt;." in page
    assert "Embedded PACS" in steward.get("/system/pacs/").content.decode()
    assert "1 received" in steward.get("/ledger/").content.decode()


def test_only_a_study_set_aside_can_be_put_back(steward, study):
    steward.post(f"/studies/{study.pk}/requeue/")
    assert not AuditEvent.objects.filter(action="study.tried_again").exists()
    Study.objects.filter(pk=study.pk).update(state="failed", reason="Four times.")
    answer = steward.post(f"/studies/{study.pk}/requeue/", follow=True)
    assert "waits to be read again" in answer.content.decode()
    study.refresh_from_db()
    assert study.state == Study.State.WAITING


def test_every_state_of_a_study_has_a_page(reader):
    for state in Study.State.values:
        shown = make_study(state=state, reason="A reason.")
        answer = reader.get(f"/studies/{shown.pk}/")
        assert shown.get_state_display() in answer.content.decode(), state


def test_a_bundle_that_was_not_built_is_told_in_a_sentence(
    client, db, tmp_path, settings
):
    settings.BASE_DIR = tmp_path
    page = client.get("/login/").content.decode()
    assert osteon.NOT_BUILT.split(":")[0] in page
    assert "<script" not in page


def test_what_is_not_there_is_told_in_words(reader):
    answer = reader.get("/studies/999/")
    assert answer.status_code == 404
    assert "There is no such page." in answer.content.decode()


def test_an_overlay_that_was_fetched_was_seen_whatever_a_later_session_says(
    reader, radiologist, prediction, own_folders
):
    overlay = Overlay.objects.create(
        image=prediction.images.first(),
        method="lrp",
        png=ContentFile(b"png", "a.png"),
        rows=300,
        columns=200,
    )
    other = make_prediction()
    for _ in range(2):
        reader.get(f"/overlays/{overlay.pk}.png")
    event = AuditEvent.objects.get(action="overlay.shown")
    assert (event.target, event.actor) == (f"study/{prediction.study_id}", radiologist)
    reader.logout()
    reader.force_login(radiologist)
    for judged, seen in ((prediction, True), (other, False)):
        verdict(reader, judged, overlay_shown="false")
        assert Review.objects.get(prediction=judged).overlay_shown is seen


def test_a_disagreement_is_shown_and_can_be_settled(client, reader, prediction):
    make_review(prediction, make_user("radiologist"), "fracture")
    verdict(reader, prediction, verdict="no_fracture")
    client.force_login(make_user("radiologist"))
    page = client.get(f"/studies/{prediction.study_id}/").content.decode()
    assert "Radiologists disagree" in page
    assert "Settle the disagreement" in page
    verdict(client, prediction, verdict="fracture", adjudicates="true")
    page = client.get(f"/studies/{prediction.study_id}/").content.decode()
    assert "Radiologists disagree" not in page
    assert "settling the disagreement" in page
