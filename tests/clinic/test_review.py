"""What people say, kept for ever, and only about what they have seen."""

import math

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clinic import review
from clinic.models import AuditEvent, ImageReading, Instance, Overlay, Review, Study
from tests.clinic.factories import (
    add_instance,
    make_prediction,
    make_review,
    make_study,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def submit(prediction, radiologist):
    def call(verdict="fracture", **more):
        about = {"prediction": prediction, "radiologist": radiologist} | more
        return review.submit(verdict=verdict, **about)

    return call


@pytest.fixture
def image(prediction):
    """300 rows, 200 columns."""
    return Instance.objects.images().first()


def box(image, x=10, y=20, width=30, height=40):
    return {"instance": image.pk, "x": x, "y": y, "width": width, "height": height}


def test_a_verdict_is_kept_shown_and_put_on_record(submit, image, radiologist):
    kept = submit(boxes=[box(image)], comment=" Scaphoid.\n", overlay_shown=True)
    assert (kept.verdict, kept.comment, kept.overlay_shown) == (
        "fracture",
        "Scaphoid.",
        True,
    )
    assert kept.boxes == [box(image)]
    assert Study.objects.get().verdict == "fracture"
    event = AuditEvent.objects.get(action="review.submitted")
    assert (event.actor, event.detail["verdict"]) == (radiologist, "fracture")


def test_a_second_verdict_supersedes_the_first(submit):
    submit("fracture")
    second = submit("no_fracture")
    assert Review.objects.count() == 2
    assert Review.objects.settled().get() == second
    assert Study.objects.get().verdict == "no_fracture"


@pytest.mark.parametrize("verdict", ["", "perhaps", "FRACTURE", None])
def test_a_verdict_is_one_of_three(submit, verdict):
    with pytest.raises(ValidationError, match="Choose"):
        submit(verdict)
    assert not Review.objects.exists()


class TestNobodyJudgesBlind:
    def test_images_that_came_meanwhile_are_told(self, submit, prediction):
        study = prediction.study
        study.revision = 2
        study.save()
        add_instance(study, revision=2)
        add_instance(study, revision=2)
        with pytest.raises(ValidationError, match="2 images arrived or changed"):
            submit()
        assert not Review.objects.exists()
        assert Study.objects.get().verdict == ""

    def test_whoever_has_seen_them_may_judge(self, submit, prediction):
        """Also where the new revision could not be read: people look at images."""
        Study.objects.update(revision=2, state="failed", reason="Four times.")
        assert submit(seen_revision=2).revision == 2

    def test_what_was_seen_is_never_more_than_what_there_is(self, submit):
        assert submit(seen_revision=99).revision == 1

    def test_a_newer_reading_of_the_same_images_refuses_nobody(
        self, submit, prediction
    ):
        prediction.superseded_at = prediction.created
        prediction.save()
        assert submit()

    @pytest.mark.parametrize("state", ["not_ours", "unreadable"])
    def test_people_judge_what_the_model_could_not_read(
        self, submit, prediction, state
    ):
        prediction.state, prediction.reason = state, "An elephant."
        prediction.save()
        Study.objects.update(state=state, reason="An elephant.")
        assert submit("no_fracture")


class TestBoxes:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"x": -1},
            {"y": -0.5},
            {"x": 171},
            {"y": 261},
            {"width": 0},
            {"height": -3},
            {"x": math.nan},
            {"width": math.inf},
            {"x": "10"},
            {"x": True},
            {"x": None},
            {"height": 10**400},
        ],
        ids=str,
    )
    def test_a_box_lies_within_its_image(self, submit, image, wrong):
        with pytest.raises(ValidationError):
            submit(boxes=[box(image) | wrong])
        assert not Review.objects.exists()

    def test_a_box_may_fill_its_image(self, submit, image):
        assert submit(boxes=[box(image, 0, 0, 200, 300)])

    @pytest.mark.parametrize("pk", [0, -1, 10**30, "1", None, True, 1.0])
    def test_a_box_is_on_an_image(self, submit, image, pk):
        with pytest.raises(ValidationError, match="another study"):
            submit(boxes=[box(image) | {"instance": pk}])

    def test_an_image_of_another_study_is_refused(self, submit):
        other = make_study()
        image = Instance.objects.filter(series__study=other).first()
        with pytest.raises(ValidationError, match="another study"):
            submit(boxes=[box(image)])

    @pytest.mark.parametrize(
        "wrong", [7, "box", None, [7], ["box"], [{}], [[1, 2, 3, 4]], {"x": 1}], ids=str
    )
    def test_nonsense_is_refused_in_words(self, submit, wrong):
        with pytest.raises(ValidationError):
            submit(boxes=wrong)

    def test_a_box_says_nothing_else(self, submit, image):
        with pytest.raises(ValidationError):
            submit(boxes=[box(image) | {"label": "<script>"}])

    def test_there_are_not_thousands(self, submit, image):
        with pytest.raises(ValidationError, match="At most 50"):
            submit(boxes=[box(image)] * 51)

    def test_no_fracture_and_a_box_contradict_each_other(self, submit, image):
        with pytest.raises(ValidationError, match="marks a fracture"):
            submit("no_fracture", boxes=[box(image)])
        assert submit("unsure", boxes=[box(image)])

    def test_where_the_pacs_did_not_tell_the_size_the_overlay_does(self, submit, image):
        Instance.objects.update(rows=None, columns=None)
        assert submit(boxes=[box(image, 5000, 5000)])
        reading = ImageReading.objects.get(instance=image)
        Overlay.objects.create(image=reading, method="lrp", rows=300, columns=200)
        with pytest.raises(ValidationError, match="within its image"):
            submit(boxes=[box(image, 5000, 5000)])


class TestComments:
    def test_they_have_an_end(self, submit):
        assert len(submit(comment="x" * 4000).comment) == 4000
        with pytest.raises(ValidationError, match="4000"):
            submit(comment="x" * 4001)

    def test_lines_stay_and_what_no_database_keeps_goes(self, submit):
        kept = submit(comment="First\r\nsecond\x00\u202e <b>line</b>\n\nlast")
        assert kept.comment == "First\nsecond <b>line</b>\n\nlast"


def test_a_refused_verdict_leaves_no_trace(submit, image):
    with pytest.raises(ValidationError):
        submit(boxes=[box(image), box(image, x=-1)])
    assert not Review.objects.exists() and not AuditEvent.objects.exists()


def test_a_verdict_on_one_study_says_nothing_of_another(submit):
    other = make_prediction()
    submit()
    other.study.refresh_from_db()
    assert other.study.verdict == ""


# --- Disagreement ------------------------------------------------------------------


def say(prediction, who, verdict, **more):
    return review.submit(
        prediction=prediction, radiologist=who, verdict=verdict, **more
    )


def disputed(prediction):
    prediction.study.refresh_from_db()
    return prediction.study.disputed


def test_two_who_disagree_leave_the_study_disputed(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    assert not disputed(prediction)
    say(prediction, make_user("radiologist"), "no_fracture")
    assert disputed(prediction)
    say(prediction, radiologist, "no_fracture")  # convinced
    assert not disputed(prediction)


def test_a_verdict_on_fewer_images_disputes_none_on_more(prediction, radiologist):
    say(prediction, radiologist, "no_fracture")
    Study.objects.update(revision=2)
    say(prediction, make_user("radiologist"), "fracture", seen_revision=2)
    assert not disputed(prediction)
    say(prediction, radiologist, "no_fracture", seen_revision=2)
    assert disputed(prediction)


def test_who_is_unsure_may_settle_what_others_disagree_on(prediction, radiologist):
    third = make_user("radiologist")
    for who, verdict in (
        (third, "unsure"),
        (radiologist, "fracture"),
        (make_user("radiologist"), "no_fracture"),
    ):
        say(prediction, who, verdict)
    say(prediction, third, "fracture", adjudicates=True)
    assert not disputed(prediction)


def test_who_is_unsure_disagrees_with_nobody(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    say(prediction, make_user("radiologist"), "unsure")
    assert not disputed(prediction)


def test_one_who_changes_their_mind_disagrees_with_nobody(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    say(prediction, radiologist, "no_fracture")
    assert not disputed(prediction)


def test_a_third_settles_it_by_name(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    say(prediction, make_user("radiologist"), "no_fracture")
    third = make_user("radiologist")
    settled = say(prediction, third, "fracture", adjudicates=True)
    assert not disputed(prediction)
    assert settled.adjudicates
    event = AuditEvent.objects.latest("pk")
    assert (event.actor, event.detail["adjudicates"]) == (third, True)


def test_a_third_opinion_alone_settles_nothing(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    say(prediction, make_user("radiologist"), "no_fracture")
    say(prediction, make_user("radiologist"), "fracture")
    assert disputed(prediction)


def test_a_party_cannot_settle_its_own_dispute(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    say(prediction, make_user("radiologist"), "no_fracture")
    with pytest.raises(ValidationError, match="third person"):
        say(prediction, radiologist, "fracture", adjudicates=True)
    radiologist.groups.add(Group.objects.get_or_create(name="administrator")[0])
    say(prediction, radiologist, "fracture", adjudicates=True)
    assert not disputed(prediction)


def test_what_nobody_disputes_is_not_settled(prediction, radiologist):
    say(prediction, make_user("radiologist"), "fracture")
    with pytest.raises(ValidationError, match="nothing to settle"):
        say(prediction, radiologist, "fracture", adjudicates=True)


def test_an_adjudication_decides(prediction, radiologist):
    say(prediction, radiologist, "fracture")
    say(prediction, make_user("radiologist"), "no_fracture")
    third = make_user("radiologist")
    with pytest.raises(ValidationError, match="decides"):
        say(prediction, third, "unsure", adjudicates=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_review(prediction, third, "unsure", adjudicates=True)


def test_an_overlay_once_seen_stays_seen(prediction, radiologist):
    say(prediction, radiologist, "unsure", overlay_shown=True)
    assert say(prediction, radiologist, "fracture").overlay_shown
    other = make_user("radiologist")
    assert not say(prediction, other, "fracture").overlay_shown


def test_who_was_shown_an_overlay_has_seen_it_and_nobody_else(prediction, radiologist):
    other = make_user("radiologist")
    for _ in range(2):
        review.reveal(study=prediction.study, to=radiologist)
    assert AuditEvent.objects.filter(action=review.SHOWN).count() == 1
    assert not say(prediction, other, "fracture").overlay_shown
    assert say(prediction, radiologist, "fracture").overlay_shown
