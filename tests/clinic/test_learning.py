"""Which verdicts are learnt from, how much they count, and what is written of them."""

import csv
import io
import json
from contextlib import contextmanager, nullcontext

import cv2
import numpy as np
import pytest

from clinic import learning, patients, pseudonyms
from clinic.models import ImageReading, Instance
from clinic.pacs import GoneFromPacs, PacsUnavailable
from inference import dicom
from inference.dx import dx_dataset
from search import data
from search.parts import Parts
from tests.clinic.factories import (
    make_prediction,
    make_review,
    make_study,
    make_user,
)
from tests.clinic.judged import side_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def another(db):
    return make_user("radiologist")


@pytest.fixture
def third(db):
    return make_user("radiologist")


def chosen():
    """-> what is learnt from, and how many are left out for which reason."""
    choice = learning.choose()
    return choice.chosen, choice.left_out


def test_the_latest_verdict_of_a_study_counts(prediction, radiologist):
    make_review(prediction, radiologist, "fracture")
    last = make_review(prediction, radiologist, "no_fracture")
    assert chosen() == ([(last.pk, 1.0)], {})
    choice = learning.choose()
    assert (choice.fractured, choice.sound, choice.patients) == (0, 1, 1)


def test_a_verdict_before_the_overlay_is_preferred_to_one_after(
    prediction, radiologist, another
):
    blind = make_review(prediction, radiologist, overlay_shown=False)
    make_review(prediction, another, overlay_shown=True)
    assert chosen() == ([(blind.pk, 1.0)], {})


def test_boxes_come_from_the_latest_who_agrees_where_the_blind_drew_none(
    prediction, radiologist, another, third
):
    box = {"instance": 1, "x": 1, "y": 2, "width": 3, "height": 4}
    blind = make_review(prediction, radiologist, overlay_shown=False)
    make_review(prediction, another, "unsure", overlay_shown=True, boxes=[box])
    boxed = make_review(prediction, third, overlay_shown=True, boxes=[box])
    assert chosen() == ([(boxed.pk, 1.0)], {})
    choice = learning.choose()
    assert (choice.blind, choice.fractured) == (1, 1)
    own = make_review(prediction, radiologist, overlay_shown=False, boxes=[box])
    assert chosen() == ([(own.pk, 1.0)], {}) and own.pk != blind.pk


def test_a_verdict_after_the_overlay_counts_as_much_as_is_set(
    prediction, radiologist, settings
):
    review = make_review(prediction, radiologist, overlay_shown=True)
    assert chosen() == ([(review.pk, 0.5)], {})
    settings.REVEALED_WEIGHT = 0.25
    assert chosen() == ([(review.pk, 0.25)], {})
    settings.REVEALED_WEIGHT = 0.0
    assert chosen() == ([], {"weightless": 1})


def test_a_person_who_changed_their_mind_is_taken_at_their_last_word(
    prediction, radiologist
):
    make_review(prediction, radiologist, "fracture", overlay_shown=False)
    last = make_review(prediction, radiologist, "no_fracture", overlay_shown=True)
    assert chosen() == ([(last.pk, 0.5)], {})


def test_unsure_is_left_out_and_counted(prediction, radiologist, another):
    make_review(prediction, radiologist, "fracture")
    make_review(prediction, another, "unsure")
    assert chosen() == ([], {"unsure": 1})


def test_what_two_disagree_on_waits_for_a_third(
    prediction, radiologist, another, third
):
    make_review(prediction, radiologist, "fracture")
    make_review(prediction, another, "no_fracture")
    assert chosen() == ([], {"disputed": 1})
    settled = make_review(prediction, third, "fracture", adjudicates=True)
    assert chosen() == ([(settled.pk, 1.0)], {})
    make_review(prediction, another, "no_fracture")
    assert chosen() == ([], {"disputed": 1})


def test_a_dispute_is_seen_in_the_verdicts_whatever_the_study_says(
    prediction, radiologist, another
):
    """The flag on the study is for the eye; nothing is learnt by it."""
    make_review(prediction, radiologist, "fracture")
    make_review(prediction, another, "no_fracture")
    assert prediction.study.disputed is False
    assert chosen() == ([], {"disputed": 1})


def test_a_study_nothing_was_read_of_is_left_out(prediction, radiologist):
    ImageReading.objects.update(state="unreadable", reason="Cut short.")
    make_review(prediction, radiologist)
    assert chosen() == ([], {"no_image": 1})


def test_a_study_of_nobody_is_left_out(radiologist):
    make_review(make_prediction(make_study(patient_id="")), radiologist)
    assert chosen() == ([], {"no_patient": 1})


@pytest.mark.parametrize("code", ["shared_study_number", "mixed_patients"])
def test_a_study_that_may_be_another_patients_too_is_left_out(
    prediction, radiologist, code
):
    prediction.study.notice(code, patients.WORDS[code])
    prediction.study.save()
    make_review(prediction, radiologist)
    assert chosen() == ([], {"in_doubt": 1})
    ((words, count),) = learning.choose().reasons
    assert words.startswith("whose images these are is in doubt") and count == 1


def test_choosing_asks_the_database_once(
    radiologist, another, django_assert_num_queries
):
    for number in range(5):
        prediction = make_prediction(make_study())
        make_review(prediction, radiologist)
        make_review(prediction, another, "no_fracture" if number % 2 else "fracture")
    with django_assert_num_queries(1):
        choice = learning.choose()
    assert choice.studies + sum(choice.left_out.values()) == 5


def test_too_few_of_a_kind_is_said(radiologist):
    assert "0 studies with and 0 without" in learning.choose().obstacle
    for number in range(6):
        verdict = "fracture" if number % 2 else "no_fracture"
        make_review(make_prediction(make_study()), radiologist, verdict)
    assert learning.choose().obstacle == ""


def test_a_holdout_that_is_too_small_to_promote_by_is_said(radiologist):
    counts = {True: 0, False: 0}
    patients = [f"P{number}" for number in range(200)]
    held_out = [patient for patient in patients if side_of(patient) == "test"][:4]
    for number, patient in enumerate({*patients[:8], *held_out}):
        study = make_study(patient_id=patient)
        verdict = "fracture" if number % 3 else "no_fracture"
        make_review(make_prediction(study), radiologist, verdict)
        counts[verdict == "fracture"] += side_of(patient) == "test"
    choice = learning.choose()
    assert (choice.held_fractured, choice.held_sound) == (counts[True], counts[False])
    assert sum(counts.values()) > 0
    words = f"{counts[True]} studies with and {counts[False]} without a fracture"
    assert words in choice.caveat and choice.obstacle == ""
    assert learning.Choice(held_fractured=20, held_sound=19).caveat
    assert not learning.Choice(held_fractured=20, held_sound=20).caveat


def test_who_cannot_name_patients_is_told(radiologist, settings, tmp_path):
    settings.DATA_ROOT = tmp_path
    make_review(make_prediction(make_study()), radiologist, "fracture")
    (tmp_path / pseudonyms.SALT).write_text("short")
    assert learning.choose().obstacle == (
        "pseudonym_salt is not what was written: bring its backup back."
    )


# --- Freezing ----------------------------------------------------------------------


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
    digest, missing = learning.freeze(
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
    assert {e.patient for e in found} == {learning.patient(study.patient_id)}
    assert digest == learning.digest(folder)
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
    learning.freeze(chosen=chosen, pacs=Files(), folder=tmp_path / "set")
    parts = Parts.of(data.examples(tmp_path / "set"))
    assert (len(parts.training), len(parts.test)) == (0, 1)


def test_no_name_of_a_patient_is_written_down(review, tmp_path):
    learning.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "set")
    study = review.prediction.study
    text = (tmp_path / "set" / learning.TABLE).read_text()
    assert study.patient_id not in text.replace(".png", "").split(",")
    assert study.patient_name not in text and "Secret" not in text


def test_who_is_in_it_is_told_beside_it(review, tmp_path):
    folder = tmp_path / "set"
    digest, _ = learning.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    told = json.loads((learning.people(folder) / "demographics.json").read_text())
    assert (told["images"], told["studies"], told["patients"]) == (2, 1, 1)
    (group,) = told["attributes"]["sex"]["groups"]
    assert (group["group"], group["fractured"]) == ("F", 2)
    page = (learning.people(folder) / "demographics.html").read_text()
    assert "90 and older" in page and "Secret" not in page
    assert learning.digest(folder) == digest


def test_the_digest_changes_with_any_byte(review, tmp_path):
    folder = tmp_path / "set"
    digest, _ = learning.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    again, _ = learning.freeze(
        chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "again"
    )
    assert digest == again
    image = next(folder.glob("*.png"))
    image.write_bytes(image.read_bytes() + b"x")
    assert learning.digest(folder) != digest
    assert learning.digest(tmp_path / "nothing") == ""


def test_an_image_that_has_gone_is_counted_and_left_out(review, tmp_path):
    pacs = Files()
    pacs.lost = {Instance.objects.first().pacs_id}
    _, missing = learning.freeze(
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
    _, missing = learning.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=folder)
    assert missing == {"replaced": [first.pk]}
    assert [e.image.name for e in data.examples(folder)] == [f"{second.pk}.png"]


def test_a_pacs_that_is_away_leaves_no_half_of_a_data_set(review, tmp_path):
    pacs = Files()
    pacs.away = True
    with pytest.raises(PacsUnavailable):
        learning.freeze(chosen=[(review.pk, 1)], pacs=pacs, folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_images_that_came_after_the_verdict_are_not_in_it(review, tmp_path):
    late = make_prediction(
        review.prediction.study, superseded_at=review.created, revision=2
    )
    assert late.images.count() == 2
    learning.freeze(chosen=[(review.pk, 1)], pacs=Files(), folder=tmp_path / "set")
    with (tmp_path / "set" / learning.TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == review.prediction.images.count()
    assert json.loads(rows[0]["boxes"])
