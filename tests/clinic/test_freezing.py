"""What is written of the verdicts that a job was given."""

import csv
import hashlib
import io
import json
from contextlib import contextmanager, nullcontext

import cv2
import numpy as np
import pytest

from clinic import freezing, pseudonyms
from clinic.models import ImageReading, Instance
from clinic.pacs import GoneFromPacs, PacsUnavailable
from inference import dicom
from inference.dx import dx_dataset
from search import data, dataset
from search.parts import Parts
from tests.clinic.factories import (
    make_prediction,
    make_review,
    make_study,
)
from tests.clinic.judged import side_of

pytestmark = pytest.mark.django_db


class Files:
    """A PACS that has one radiograph for every id but those it lost."""

    def __init__(self):
        self.lost, self.away = set(), False

    @contextmanager
    def open(self, pacs_id):
        if self.away:
            raise PacsUnavailable("away")
        if pacs_id in self.lost:
            raise GoneFromPacs(pacs_id)
        yield io.BytesIO(file_of(pacs_id))


def file_of(pacs_id):
    rng = np.random.default_rng(list(pacs_id.encode()))
    pixels = rng.integers(0, 4096, (40, 30), dtype=np.uint16)
    buffer = io.BytesIO()
    ds = dx_dataset(
        pixels, patient_id="P", patient_name="N", study_uid="1.2", series_uid="1.2.3",
        sop_uid="1.2.3.4",
    )  # fmt: skip
    ds.PatientSex, ds.PatientAge, ds.ViewPosition = "F", "095Y", "PA"
    ds.BodyPartExamined, ds.StudyDescription = "WRIST", "for Mrs Secret"
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def review(prediction, radiologist):
    instance = Instance.objects.first().pk
    box = {"instance": instance, "x": 1, "y": 2, "width": 3, "height": 4}
    return make_review(prediction, radiologist, boxes=[box])


def test_what_is_frozen_is_what_a_training_reads(review, tmp_path):
    folder = tmp_path / "set"
    told = []
    digest, missing = freezing.freeze(
        chosen=[(review.pk, 0.5)], pacs=Files(), folder=folder, tell=told.append
    )
    found = data.examples(folder)
    instances = list(Instance.objects.order_by("pk"))
    assert not missing
    assert told == [1]
    assert [e.image.name for e in found] == [f"{i.pk}.png" for i in instances]
    assert {(e.label, e.weight, e.part) for e in found} == {(1, 0.5, "wrist")}
    traits = [("age", "90 and older"), ("sex", "F"), ("view", "frontal")]
    assert {e.traits for e in found} == {(*traits, ("maker", "Osteon"))}
    assert [e.boxes for e in found] == [((1, 2, 3, 4),), ()]
    study = review.prediction.study
    assert {e.patient for e in found} == {pseudonyms.patient(study.patient_id)}
    assert digest == freezing.digest(folder)
    for example, instance in zip(found, instances, strict=True):
        shown = dicom.frame(
            dicom.open_dataset(io.BytesIO(file_of(instance.pacs_id)))
        ).pixels
        assert np.array_equal(cv2.imread(str(example.image), -1), shown)


def test_the_same_image_under_two_patients_is_not_on_both_sides(
    radiologist, tmp_path, monkeypatch
):
    ids = {side_of(f"P{number}"): f"P{number}" for number in range(200)}
    reviews = [
        make_review(make_prediction(make_study(1, patient_id=ids[side])), radiologist)
        for side in ("training", "test")
    ]
    chosen = [(review.pk, 1) for review in reviews]
    same = file_of("the same")
    monkeypatch.setattr(Files, "open", lambda *_: nullcontext(io.BytesIO(same)))
    freezing.freeze(chosen=chosen, pacs=Files(), folder=tmp_path / "set")
    parts = Parts.of(data.examples(tmp_path / "set"))
    assert (len(parts.training), len(parts.test)) == (0, 1)


def test_no_name_of_a_patient_is_written_down(review, tmp_path):
    freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "set")
    study = review.prediction.study
    text = (tmp_path / "set" / freezing.TABLE).read_text()
    assert study.patient_id not in text.replace(".png", "").split(",")
    assert study.patient_name not in text and "Secret" not in text


def test_who_is_in_it_is_told_beside_it(review, tmp_path):
    folder = tmp_path / "set"
    digest, _ = freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    told = json.loads((freezing.people(folder) / "demographics.json").read_text())
    assert (told["images"], told["studies"], told["patients"]) == (2, 1, 1)
    (group,) = told["attributes"]["sex"]["groups"]
    assert (group["group"], group["fractured"]) == ("F", 2)
    page = (freezing.people(folder) / "demographics.html").read_text()
    assert "90 and older" in page and "Secret" not in page
    assert freezing.digest(folder) == digest


def test_it_carries_the_mark_of_the_salt_and_an_older_one_stays_what_it_was(
    review, tmp_path
):
    folder = tmp_path / "set"
    digest, _ = freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    found = data.examples(folder)
    assert dataset.salts(folder) == [pseudonyms.names().mark]
    assert dataset.OPTIONS in data.members(folder)
    (folder / dataset.OPTIONS).unlink()
    assert dataset.salts(folder) == [] and data.examples(folder) == found
    table = hashlib.sha256((folder / freezing.TABLE).read_bytes()).hexdigest()
    older = freezing.digest(folder)
    assert older != digest
    lines = [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted(folder.iterdir())
    ]
    assert f"{freezing.TABLE} {table}\n" in lines
    assert older == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_digest_changes_with_any_byte(review, tmp_path):
    folder = tmp_path / "set"
    digest, _ = freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    again, _ = freezing.freeze(
        chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "again"
    )
    assert digest == again
    image = next(folder.glob("*.png"))
    image.write_bytes(image.read_bytes() + b"x")
    assert freezing.digest(folder) != digest
    assert freezing.digest(tmp_path / "nothing") == ""


def test_an_image_that_has_gone_is_counted_and_left_out(review, tmp_path):
    pacs = Files()
    pacs.lost = {Instance.objects.first().pacs_id}
    _, missing = freezing.freeze(
        chosen=[(review.pk, 1)], pacs=pacs, folder=tmp_path / "set"
    )
    assert missing == {"gone_from_pacs": [Instance.objects.first().pk]}
    assert len(data.examples(tmp_path / "set")) == 1


def test_an_image_that_is_no_more_what_was_judged_is_left_out_and_named(
    review, tmp_path
):
    first, second = Instance.objects.order_by("pk")
    ImageReading.objects.update(digest="as judged")
    Instance.objects.update(digest="as judged")
    Instance.objects.filter(pk=first.pk).update(digest="other")
    folder = tmp_path / "set"
    _, missing = freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    assert missing == {"replaced": [first.pk]}
    assert [e.image.name for e in data.examples(folder)] == [f"{second.pk}.png"]


def test_an_error_that_nobody_foresaw_costs_one_image_and_tells_its_class(
    review, tmp_path, monkeypatch
):
    first, second = Instance.objects.order_by("pk")
    raised = iter([ZeroDivisionError("Mrs Secret")])
    real = freezing.described

    def described(*told):
        for error in raised:
            raise error
        return real(*told)

    monkeypatch.setattr(freezing, "described", described)
    folder = tmp_path / "set"
    _, missing = freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    assert missing == {"unforeseen ZeroDivisionError": [first.pk]}
    assert [path.name for path in folder.glob("*.png")] == [f"{second.pk}.png"]


def test_pixels_have_the_name_that_a_built_data_set_gives_them(review, tmp_path):
    freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "set")
    names = pseudonyms.names()
    for example in data.examples(tmp_path / "set"):
        shown = cv2.imread(str(example.image), -1)
        assert example.group == names.pixels(shown)


def test_a_pacs_that_is_away_leaves_no_half_of_a_data_set(review, tmp_path):
    pacs = Files()
    pacs.away = True
    with pytest.raises(PacsUnavailable):
        freezing.freeze(chosen=[(review.pk, 1)], pacs=pacs, folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_images_that_came_after_the_verdict_are_not_in_it(review, tmp_path):
    late = make_prediction(
        review.prediction.study, superseded_at=review.created, revision=2
    )
    assert late.images.count() == 2
    freezing.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "set")
    with (tmp_path / "set" / freezing.TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == review.prediction.images.count()
    assert json.loads(rows[0]["boxes"])


def on(side):
    return next(name for name in map("P{}".format, range(99)) if side_of(name) == side)


def frozen(review, folder):
    return freezing.freeze(chosen=[(review.pk, 1.0)], pacs=Files(), folder=folder)


@pytest.mark.parametrize("place", ["jobs/1/verdicts-1", "datasets/built"])
@pytest.mark.parametrize(
    ("first", "then", "left"),
    [
        ("training", "test", 1),
        ("test", "training", 1),
        ("training", "validation", 0),
        ("test", "test", 0),
    ],
)
def test_pixels_that_another_patient_has_on_the_other_side_are_left_out(
    review, settings, tmp_path, place, first, then, left
):
    """In another data set of this house: learnt from there and judged by here."""
    settings.DATA_ROOT = tmp_path
    study = review.prediction.study
    study.patient_id = on(then)
    study.save()
    instance = Instance.objects.order_by("pk").first()
    pixels = dicom.frame(dicom.open_dataset(io.BytesIO(file_of(instance.pacs_id))))
    names = pseudonyms.names()
    table = tmp_path / place / "examples.csv"
    table.parent.mkdir(parents=True)
    group, patient = names.pixels(pixels.pixels), names.patient(on(first))
    table.write_text(f"image,group,patient\n1.png,{group},{patient}\n2.png,,x\n")
    bad = tmp_path / "datasets" / "bad" / "examples.csv"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"image,group\n\xff,1\n")
    folder = tmp_path / "jobs" / "2" / "verdicts-2"
    _, missing = frozen(review, folder)
    assert missing == ({"other_side": [instance.pk]} if left else {})
    assert len(data.examples(folder)) == Instance.objects.count() - left
