"""Which verdicts are learnt from, and how much they count."""

import pytest
from django.core.exceptions import ValidationError

from clinic import learning, patients, pseudonyms
from clinic.models import ImageReading, Job, ModelVersion
from tests.clinic.factories import (
    make_job,
    make_model,
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


def test_what_was_judged_with_an_image_that_was_not_read_is_left_out(
    prediction, radiologist
):
    make_review(prediction, radiologist, "no_fracture")
    make_review(prediction, radiologist, "fracture", revision=2)
    assert chosen() == ([], {"not_read": 1})
    assert "had not seen" in learning.choose().reasons[0][0]


def test_a_verdict_on_fewer_images_disputes_none_on_more(
    prediction, radiologist, another
):
    make_review(prediction, radiologist, "no_fracture")
    prediction.superseded_at = prediction.created
    prediction.save()
    later = make_prediction(prediction.study, revision=2)
    review = make_review(later, another, "fracture")
    assert chosen() == ([(review.pk, 1.0)], {})


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


def test_choosing_asks_the_database_thrice(
    radiologist, another, django_assert_num_queries
):
    for number in range(5):
        prediction = make_prediction(make_study())
        make_review(prediction, radiologist)
        make_review(prediction, another, "no_fracture" if number % 2 else "fracture")
    with django_assert_num_queries(3):
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


class TestAnotherSaltThanBefore:
    """Lost and made anew: patients of the holdout would be trained on."""

    @pytest.fixture
    def made(self, radiologist, administrator, settings, tmp_path):
        """A candidate of a job that named patients by a salt that is gone."""
        settings.DATA_ROOT = tmp_path
        make_review(make_prediction(make_study()), radiologist, "fracture")
        verdicts = learning.choose().to_json()
        assert verdicts["names"] == pseudonyms.names().mark
        candidate = make_model("made", stage="candidate")
        make_job(by=administrator, state="done", candidate=candidate, verdicts=verdicts)
        candidate.card = {"salts": [verdicts["names"]]}
        candidate.save()
        assert learning.choose().unnamed == ""
        (tmp_path / pseudonyms.SALT).rename(tmp_path / "backup")
        return candidate

    def test_nothing_is_learnt_or_judged_by(self, made):
        choice = learning.choose()
        assert choice.chosen == []
        for said in choice.obstacle, choice.nothing_to_judge_by:
            assert said.startswith("Patients were named with another pseudonym_salt")
            assert f"when made {made.brief} was made, and" in said

    def test_its_backup_brings_everything_back(self, made, settings):
        assert learning.choose().unnamed
        salt = settings.DATA_ROOT / pseudonyms.SALT
        salt.with_name("backup").replace(salt)
        assert learning.choose().unnamed == ""

    def test_where_it_is_lost_for_good_others_learn_on(self, made):
        ModelVersion.objects.filter(pk=made.pk).update(stage="retired")
        assert learning.choose().unnamed == ""
        with pytest.raises(ValidationError, match="another pseudonym_salt"):
            learning.refuse_named_otherwise(made)
        learning.refuse_named_otherwise(make_model("other", stage="candidate"))

    def test_any_mark_of_its_card_but_the_one_at_hand_tells_it(self, made):
        ModelVersion.objects.update(card={"salts": ["gone"], "holdout": {}})
        assert f"when made {made.brief} was made" in learning.choose().unnamed
        with pytest.raises(ValidationError, match="another pseudonym_salt"):
            learning.refuse_named_otherwise(made)
        mark = pseudonyms.names().mark
        ModelVersion.objects.update(card={"salts": [mark]})
        assert learning.choose().unnamed == ""
        learning.refuse_named_otherwise(made)
        ModelVersion.objects.update(card={"salts": sorted(["gone", mark])})
        assert learning.choose().unnamed

    @pytest.mark.parametrize("state", ["done", "cancelled", "queued"])
    def test_what_a_job_without_a_model_froze_tells_it_too(
        self, made, administrator, state
    ):
        """A measurement, or a training that was broken off: others were held out."""
        verdicts = Job.objects.get().verdicts
        Job.objects.all().delete()
        ModelVersion.objects.filter(pk=made.pk).delete()
        kind = "measure" if state == "done" else "train"
        job = make_job(by=administrator, kind=kind, state=state, verdicts=verdicts)
        words = learning.choose().unnamed
        assert f"when {job.get_kind_display()} {job.pk} began" in words
        Job.objects.exclude(state="queued").update(cleared=job.created)
        assert bool(learning.choose().unnamed) == (state == "queued")

    def test_one_that_came_from_elsewhere_stops_nobody_but_itself(self, made):
        Job.objects.all().delete()
        ModelVersion.objects.filter(pk=made.pk).update(card={"salts": ["theirs"]})
        assert learning.choose().unnamed == ""
        with pytest.raises(ValidationError, match="another pseudonym_salt"):
            learning.refuse_named_otherwise(made)

    @pytest.mark.parametrize("odd", [None, 3, "gone", {"a": 1}, [], False])
    def test_a_card_may_say_anything(self, made, odd):
        ModelVersion.objects.update(card={"salts": odd})
        assert learning.choose().unnamed == ""

    def test_a_model_of_an_older_osteon_does_not_tell(self, made):
        ModelVersion.objects.update(card={"holdout": {}})
        assert learning.choose().unnamed == ""
        learning.refuse_named_otherwise(made)
