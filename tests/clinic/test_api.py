"""What the viewer fetches."""

import io

import numpy as np
import pytest
from django.core.files.base import ContentFile
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from clinic.models import Instance, Overlay
from clinic.pacs import PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from inference import phantom
from tests.clinic.factories import (
    add_instance,
    make_prediction,
    make_review,
    make_study,
    make_user,
    pacs_id,
)


@pytest.fixture
def client(client, radiologist):
    client.force_login(radiologist)
    return client


@pytest.fixture
def stored(db, settings):
    """An instance whose file is in the PACS, and that file."""
    buffer = io.BytesIO()
    phantom.study(1, rows=256, columns=200)[0].save_as(buffer, enforce_file_format=True)
    pacs = EmbeddedPacs(settings.EMBEDDED_ROOT)
    return add_instance(make_study(), pacs_id=pacs.store(buffer.getvalue())), (
        buffer.getvalue()
    )


def test_the_original_file_comes_byte_for_byte(client, stored):
    instance, file = stored
    answer = client.get(f"/instances/{instance.pk}/dicom")
    assert b"".join(answer) == file
    assert answer["Content-Length"] == str(len(file))
    assert answer["Content-Type"] == "application/dicom"
    assert answer["Cache-Control"] == "no-store, private"


def test_the_file_is_closed_when_the_reader_leaves_early(client, stored, monkeypatch):
    opened = []
    open_file = EmbeddedPacs.open

    def spying(self, instance_id):
        opened.append(open_file(self, instance_id))
        return opened[-1]

    monkeypatch.setattr(EmbeddedPacs, "open", spying)
    client.get(f"/instances/{stored[0].pk}/dicom").close()
    assert opened[0].gen.gi_frame is None  # ran to its end


def test_a_deflated_file_comes_inflated(client, db, settings):
    ds = phantom.study(1, rows=256, columns=200)[0]
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    answer = fetched(client, ds, settings)
    body = b"".join(answer)
    assert answer["Content-Length"] == str(len(body))
    seen = dcmread(io.BytesIO(body))
    assert not seen.file_meta.TransferSyntaxUID.is_deflated
    assert np.array_equal(seen.pixel_array, ds.pixel_array)


def test_a_file_that_inflates_without_end_is_refused_in_words(
    client, db, settings, monkeypatch
):
    monkeypatch.setattr("clinic.deflated.LARGEST", 10_000)
    ds = phantom.study(1, rows=256, columns=200)[0]
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    answer = fetched(client, ds, settings)
    assert answer.status_code == 422
    assert answer.content == b"The file inflates without end."


def fetched(client, ds, settings):
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    pacs = EmbeddedPacs(settings.EMBEDDED_ROOT)
    kept = add_instance(make_study(), pacs_id=pacs.store(buffer.getvalue()))
    return client.get(f"/instances/{kept.pk}/dicom")


def test_an_image_that_left_the_pacs_is_gone_in_words(client, study):
    missing = add_instance(study, pacs_id=pacs_id("nowhere"))
    answer = client.get(f"/instances/{missing.pk}/dicom")
    assert (answer.status_code, b"no more" in answer.content) == (410, True)


def test_a_pacs_that_is_away_is_told_as_such(client, study, monkeypatch):
    def away():
        raise PacsUnavailable("out for lunch")

    monkeypatch.setattr("clinic.api.open_pacs", away)
    instance = Instance.objects.first()
    answer = client.get(f"/instances/{instance.pk}/dicom")
    assert (answer.status_code, b"does not answer" in answer.content) == (503, True)


def test_the_study_is_told_once_and_then_only_when_it_changes(client, study):
    address = f"/api/studies/{study.pk}/"
    first = client.get(address)
    again = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    make_prediction(study)
    changed = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed.json()["prediction"]["probability"] == 0.9


def test_the_study_tells_what_was_said_image_by_image(client, prediction, radiologist):
    study = prediction.study
    other = add_instance(study, role="other", sop_class="1.2.840.10008.5.1.4.1.1.88.11")
    add_instance(study, role="own")
    late = add_instance(study, revision=2)
    broken = prediction.images.last()
    broken.state, broken.reason, broken.probability = "unreadable", "Cut short.", None
    broken.save()
    Overlay.objects.create(
        image=prediction.images.first(),
        method="lrp",
        png=ContentFile(b"png", "x.png"),
        rows=3,
        columns=2,
    )
    make_review(prediction, radiologist, boxes=[{"instance": 1}])
    told = client.get(f"/api/studies/{study.pk}/").json()
    by_pk = {image["pk"]: image for image in told["images"]}
    assert len(by_pk) == 4  # our own result is no image of the study
    assert by_pk[other.pk]["shown"] is False
    assert by_pk[other.pk]["reason"] == "Not an image: Basic Text SR Storage."
    assert by_pk[broken.instance_id]["shown"] is False
    assert by_pk[broken.instance_id]["reason"] == "Cut short."
    assert by_pk[late.pk]["state"] == "waiting"
    first = by_pk[prediction.images.first().instance_id]
    assert (first["voted"], first["probability"], first["score"]) == (True, 0.9, "90 %")
    assert by_pk[late.pk]["score"] == ""
    assert first["overlays"]["lrp"]["rows"] == 3
    assert told["reviews"][0]["boxes"] == [{"instance": 1}]


def test_each_verdict_tells_whether_it_stands_and_what_it_knew(
    client, prediction, radiologist
):
    make_review(prediction, radiologist)
    make_review(prediction, make_user("radiologist"), "no_fracture")
    make_review(prediction, radiologist, "unsure")

    def told():
        reviews = client.get(f"/api/studies/{prediction.study_id}/").json()["reviews"]
        return [(review["stands"], review["revision"]) for review in reviews]

    assert told() == [(True, 1), (True, 1), (False, 1)]
    make_review(prediction, radiologist, revision=2)
    assert told() == [(True, 2), (False, 1), (False, 1), (False, 1)]


def test_images_are_named_by_view_and_side_as_text(client, study):
    """In the list and in the JSON within the page: nothing of a tag is markup."""
    hostile = "</script><b>PA"
    add_instance(study, view=hostile, laterality="<i>L")
    add_instance(study, view="LL", laterality="R")
    told = client.get(f"/api/studies/{study.pk}/").json()["images"]
    names = [image["label"] for image in told]
    assert names == ["WRIST", "WRIST", f"WRIST {hostile} · <i>L", "WRIST LL · R"]
    page = client.get(f"/studies/{study.pk}/").content.decode()
    assert "WRIST LL · R" in page
    assert "WRIST &lt;/script&gt;&lt;b&gt;PA · &lt;i&gt;L" in page
    assert "<b>PA" not in page and "<i>L" not in page


def test_an_overlay_is_a_png_that_nobody_else_keeps(client, prediction):
    overlay = Overlay.objects.create(
        image=prediction.images.first(),
        method="lrp",
        png=ContentFile(b"a picture", "x.png"),
        rows=3,
        columns=2,
    )
    answer = client.get(f"/overlays/{overlay.pk}.png")
    assert b"".join(answer) == b"a picture"
    assert answer["Content-Type"] == "image/png"
    assert "no-store" in answer["Cache-Control"]
    overlay.png.storage.delete(overlay.png.name)
    assert client.get(f"/overlays/{overlay.pk}.png").status_code == 410


def test_many_images_cost_no_more_queries_than_few(
    client, django_assert_max_num_queries
):
    for images in (2, 12):
        study = make_study(images=images)
        make_prediction(study)
        with django_assert_max_num_queries(10):
            client.get(f"/api/studies/{study.pk}/")


def test_scripts_of_a_stranger_are_refused_not_redirected(client, study):
    client.logout()
    for address in ("/api/studies/1/", "/instances/1/dicom", "/overlays/1.png"):
        assert client.get(address).status_code == 403
