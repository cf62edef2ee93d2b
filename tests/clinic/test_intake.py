"""What came from the PACS, in whatever order, state and wording."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils import timezone

from clinic import audit, intake, ledger, worklist
from clinic.models import AuditEvent, Instance, PacsCursor, Review, Study
from clinic.pacs import PacsUnavailable
from tests.clinic.factories import HOSTILE, SR, make_prediction, make_review, make_study

pytestmark = pytest.mark.django_db

KEYWORDS = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
    "SOPInstanceUID",
    "SOPClassUID",
    "InstanceNumber",
    "ViewPosition",
    "ViewCodeSequence",
    "ImageLaterality",
    "Laterality",
    "Rows",
    "Columns",
)


def pass_time(**by):
    """As if that much time had gone by for every study."""
    delta = timedelta(**by)
    Study.objects.update(due_at=F("due_at") - delta)


def read(study):
    """As reading does when it succeeds."""
    study.refresh_from_db()
    return make_prediction(study)


def codes(study):
    study.refresh_from_db()
    return [notice["code"] for notice in study.notices]


def actions():
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


class TestArrival:
    def test_a_study_is_taken_in_with_its_images(self, shelf):
        shelf.put(sop="1", InstanceNumber="2", Rows="10", Columns="20")
        shelf.put(sop="2", StudyDate="20240229", PatientBirthDate="19700101")
        intake.sync(shelf)
        study = Study.objects.get()
        assert (study.patient_id, study.patient_name) == ("P1", "DOE^JANE")
        assert study.state == Study.State.RECEIVING and study.revision == 1
        first = Instance.objects.get(uid="1")
        assert (first.number, first.rows, first.columns) == (2, 10, 20)
        assert Instance.objects.images().count() == 2
        assert "study.received" in actions()

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ({"ViewPosition": "PA", "ImageLaterality": "L"}, ("PA", "L")),
            ({"ViewPosition": "\x00 ", "ViewCodeSequence": "oblique"}, ("oblique", "")),
            ({"ViewPosition": "LL", "ViewCodeSequence": "lateral"}, ("LL", "")),
            ({"Laterality": "R"}, ("", "R")),
            ({"Laterality": "R", "ImageLaterality": "B"}, ("", "B")),
            ({}, ("", "")),
        ],
    )
    def test_view_and_side_of_an_image_are_kept(self, shelf, said, kept):
        shelf.put(**said)
        intake.sync(shelf)
        image = Instance.objects.get()
        assert (image.view, image.laterality) == kept

    def test_a_replaced_image_takes_its_new_view(self, shelf):
        for digest, view in (("a", "PA"), ("b", "LL")):
            shelf.put(digest=digest * 32, ViewPosition=view)
            intake.sync(shelf)
        assert Instance.objects.get().view == "LL"

    def test_dates_become_dates(self, shelf):
        shelf.put(StudyDate="20240229", PatientBirthDate="1970.01.02")
        intake.sync(shelf)
        study = Study.objects.get()
        assert study.taken_on.isoformat() == "2024-02-29"
        assert study.birth_date == "1970-01-02"

    def test_it_is_due_once_no_image_has_come_for_a_moment(self, shelf, settings):
        settings.QUIET_SECONDS = 1
        shelf.put(sop="1")
        assert intake.sync(shelf) == []
        pass_time(seconds=0.8)
        shelf.put(sop="2")
        assert intake.sync(shelf) == []
        pass_time(seconds=0.8)
        assert intake.sync(shelf) == []
        pass_time(seconds=0.3)
        assert intake.sync(shelf) == [Study.objects.get()]
        assert Study.objects.get().revision == 1

    def test_nobody_waits_for_the_stable_study(self, shelf):
        stored = shelf.put()
        intake.sync(shelf)
        pass_time(seconds=2)
        assert len(intake.sync(shelf)) == 1
        shelf.tell("StableStudy", "Study", stored.study_id)
        before = Study.objects.get()
        intake.sync(shelf)
        after = Study.objects.get()
        assert (after.revision, after.state) == (before.revision, before.state)

    def test_many_studies_cost_few_questions(
        self, shelf, django_assert_max_num_queries
    ):
        for number in range(50):
            for image in "ab":
                shelf.put(
                    study=f"1.{number}",
                    series=f"1.{number}.1",
                    sop=f"1.{number}.{image}",
                    PatientID=f"P{number}",
                )
        with django_assert_max_num_queries(50 * 13):
            intake.sync(shelf)
        assert Study.objects.count() == 50
        assert shelf.calls.count("instances") == 50
        assert shelf.calls.count("instance") == 0

    def test_several_pages_are_taken_in_at_one_look(self, shelf, monkeypatch):
        for number in range(9):
            shelf.put(study=f"1.{number}", sop=f"1.{number}.1")
        short = shelf.changes
        monkeypatch.setattr(shelf, "changes", lambda since: short(since, limit=4))
        intake.sync(shelf)
        assert Study.objects.count() == 9

    def test_a_long_backlog_does_not_hold_up_what_is_due(self, shelf, monkeypatch):
        for number in range(30):
            shelf.put(study=f"1.{number}", sop=f"1.{number}.1", PatientID=f"{number}")
        short = shelf.changes
        monkeypatch.setattr(shelf, "changes", lambda since: short(since, limit=4))
        intake.sync(shelf, pages=2)
        assert 0 < Study.objects.count() < 30
        for _ in range(20):
            intake.sync(shelf, pages=2)
        assert Study.objects.count() == 30


class TestRinging:
    def test_a_study_is_rung_for_once_and_again_after_a_while(self, shelf, study):
        assert intake.sync(shelf) == [study]
        assert intake.sync(shelf) == []
        pass_time(seconds=intake.RING_AGAIN.total_seconds() + 1)
        assert intake.sync(shelf) == [study]

    def test_a_reader_whose_lease_ran_out_is_given_up(self, shelf, study):
        later = timezone.now() + timedelta(seconds=60)
        Study.objects.update(state=Study.State.READING, lease_until=later)
        assert intake.sync(shelf) == []
        Study.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert intake.sync(shelf) == [study]
        study.refresh_from_db()
        assert (study.state, study.lease_until) == (Study.State.WAITING, None)

    def test_a_burst_stays_in_the_database_not_in_the_queue(self, shelf):
        for _ in range(intake.AT_THE_DOOR + 8):
            make_study(images=0)
        assert len(intake.sync(shelf)) == intake.AT_THE_DOOR
        assert intake.sync(shelf) == []
        Study.objects.filter(state="waiting").first().delete()
        begun = Study.objects.rung().order_by("pk")[:5]
        Study.objects.filter(pk__in=[s.pk for s in begun]).update(
            state="reading", lease_until=timezone.now() + timedelta(minutes=1)
        )
        assert len(intake.sync(shelf)) >= 5

    def test_the_longest_waiting_comes_first(self, shelf):
        now = timezone.now()
        late = make_study(due_at=now - timedelta(seconds=1))
        early = make_study(due_at=now - timedelta(seconds=9))
        assert intake.sync(shelf) == [early, late]

    def test_a_read_study_is_left_alone(self, shelf, prediction):
        Study.objects.update(due_at=timezone.now() - timedelta(days=1))
        assert intake.sync(shelf) == []


class TestTheSameAgain:
    def test_the_same_instance_twice_changes_nothing(self, shelf):
        shelf.put()
        intake.sync(shelf)
        study = Study.objects.get()
        read(study)
        before = Study.objects.values().get()
        shelf.put()
        intake.sync(shelf)
        assert Study.objects.values().get() == before
        assert Instance.objects.count() == 1
        assert actions().count("study.received") == 1

    def test_other_pixels_under_the_same_number_make_a_new_revision(self, shelf):
        stored = shelf.put(digest="a" * 32)
        intake.sync(shelf)
        study = Study.objects.get()
        read(study)
        shelf.put(digest="b" * 32)
        intake.sync(shelf)
        study.refresh_from_db()
        assert (study.revision, study.state) == (2, Study.State.RECEIVING)
        assert "replaced" in study.notices[-1]["text"]
        event = AuditEvent.objects.get(action="instance.replaced")
        assert event.detail == {"before": "a" * 32, "now": "b" * 32, "revision": 2}
        kept = Instance.objects.get(pacs_id=stored.id)
        assert (kept.digest, kept.revision) == ("b" * 32, 2)

    def test_a_replaced_image_that_nobody_read_yet_is_a_new_revision_too(self, shelf):
        shelf.put(digest="a" * 32)
        intake.sync(shelf)
        shelf.put(digest="b" * 32)
        intake.sync(shelf)
        assert Study.objects.get().revision == 2

    def test_reading_the_feed_from_the_start_changes_nothing(self, shelf):
        shelf.put(sop="1")
        shelf.put(sop="2")
        intake.sync(shelf)
        study = Study.objects.get()
        read(study)
        before = Study.objects.values().get()
        PacsCursor.objects.update(sequence=0)
        intake.sync(shelf)
        assert Study.objects.values().get() == before
        assert Instance.objects.count() == 2


class TestLateImages:
    @pytest.mark.parametrize("state", ["reading", "read"])
    def test_a_late_image_makes_a_new_revision(self, shelf, state):
        shelf.put(sop="1")
        intake.sync(shelf)
        study = Study.objects.get()
        old = read(study)
        Study.objects.update(state=state, attempts=1, lease_until=timezone.now())
        shelf.put(sop="2")
        intake.sync(shelf)
        study.refresh_from_db()
        assert (study.revision, study.state) == (2, Study.State.RECEIVING)
        assert (study.attempts, study.lease_until) == (0, None)
        assert study.due_at > timezone.now()
        assert codes(study) == ["late_images"]
        assert "1 image arrived" in study.notices[0]["text"]
        old.refresh_from_db()
        assert old.superseded_at is None and old.revision == 1
        assert Instance.objects.get(uid="2").revision == 2

    @pytest.mark.parametrize("state", ["failed", "not_ours", "unreadable"])
    def test_a_late_image_takes_up_a_study_that_was_set_aside(self, shelf, state):
        shelf.put(sop="1")
        intake.sync(shelf)
        Study.objects.update(state=state, reason="Because.", code="x")
        shelf.put(sop="2")
        intake.sync(shelf)
        study = Study.objects.get()
        assert (study.state, study.reason, study.code) == ("receiving", "", "")
        assert study.revision == 2

    def test_images_before_any_reader_are_not_late(self, shelf):
        shelf.put(sop="1")
        intake.sync(shelf)
        pass_time(seconds=5)
        intake.sync(shelf)
        assert Study.objects.get().state == Study.State.WAITING
        shelf.put(sop="2")
        intake.sync(shelf)
        study = Study.objects.get()
        assert (study.revision, study.state, study.notices) == (1, "receiving", [])

    def test_a_reader_that_lost_its_lease_may_have_seen_fewer(self, shelf):
        shelf.put(sop="1")
        intake.sync(shelf)
        Study.objects.update(state=Study.State.WAITING, attempts=1)
        shelf.put(sop="2")
        intake.sync(shelf)
        assert Study.objects.get().revision == 2

    def test_a_verdict_on_fewer_images_asks_for_another(self, shelf, radiologist):
        shelf.put(sop="1")
        intake.sync(shelf)
        study = Study.objects.get()
        make_review(read(study), radiologist)
        Study.objects.update(disputed=True)
        shelf.put(sop="2")
        intake.sync(shelf)
        study.refresh_from_db()
        assert (study.verdict, study.disputed) == ("", False)
        assert "judge again" in study.notices[-1]["text"]
        assert Review.objects.count() == 1

    def test_notices_do_not_grow_for_ever(self, shelf):
        shelf.put(digest="0" * 32)
        intake.sync(shelf)
        for number in range(1, 60):
            shelf.put(digest=f"{number:032x}")
            intake.sync(shelf)
        assert len(Study.objects.get().notices) == 50


class TestWhatIsNoImage:
    @pytest.mark.parametrize(
        "tags",
        [
            {"SOPClassUID": SR, "Modality": "SR"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4", "Modality": "SEG"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59", "Modality": "KO"},
            {"SOPClassUID": "", "Modality": "SR"},
        ],
    )
    def test_it_never_has_a_read_study_read_again(self, shelf, tags):
        shelf.put(sop="1")
        intake.sync(shelf)
        read(Study.objects.get())
        before = Study.objects.get()
        for number in range(3):
            shelf.put(sop=f"9.{number}", series="9", **tags)
            intake.sync(shelf)
        after = Study.objects.get()
        assert (after.revision, after.state) == (before.revision, before.state)
        assert (after.due_at, after.notices) == (before.due_at, [])
        others = Instance.objects.filter(role=Instance.Role.OTHER)
        assert others.count() == 3
        assert intake.sync(shelf) == []

    def test_come_late_it_is_set_aside_in_the_reading_there_is(self, shelf):
        """With the row it would have had in time, and only once."""
        shelf.put(sop="1")
        intake.sync(shelf)
        prediction = read(Study.objects.get())
        for digest in "ab":
            shelf.put(sop="9", digest=digest * 32, SOPClassUID=SR)
            intake.sync(shelf)
        late = prediction.images.get(instance__uid="9")
        assert (late.state, late.code) == ("not_ours", "not_an_image")
        assert late.reason == "Not an image: Basic Text SR Storage."
        assert (late.probability, late.voted, late.views) == (None, False, [])
        assert prediction.images.get(instance__uid="1").state == "read"
        assert ledger.balance()["balanced"]

    def test_come_with_a_late_image_it_is_left_to_the_next_reading(self, shelf):
        shelf.put(sop="1")
        intake.sync(shelf)
        prediction = read(Study.objects.get())
        shelf.put(sop="2")
        shelf.put(sop="9", SOPClassUID=SR)
        intake.sync(shelf)
        assert Study.objects.get().revision == 2
        assert prediction.images.count() == 1

    def test_nor_when_it_changes(self, shelf):
        shelf.put(sop="1")
        shelf.put(sop="9", digest="a" * 32, SOPClassUID=SR)
        intake.sync(shelf)
        read(Study.objects.get())
        shelf.put(sop="9", digest="b" * 32, SOPClassUID=SR)
        intake.sync(shelf)
        study = Study.objects.get()
        assert (study.revision, study.state) == (1, Study.State.READ)
        assert Instance.objects.get(uid="9").digest == "b" * 32

    def test_it_does_not_put_off_the_images_it_came_with(self, shelf):
        shelf.put(sop="1")
        intake.sync(shelf)
        due = Study.objects.get().due_at
        shelf.put(sop="9", SOPClassUID=SR)
        intake.sync(shelf)
        assert Study.objects.get().due_at == due

    def test_a_wrong_modality_does_not_hide_a_radiograph(self, shelf):
        shelf.put(Modality="SR")
        intake.sync(shelf)
        assert Instance.objects.images().count() == 1

    def test_a_study_of_reports_alone_becomes_due_and_so_gets_an_answer(self, shelf):
        shelf.put(SOPClassUID=SR, Modality="SR")
        intake.sync(shelf)
        pass_time(seconds=2)
        assert len(intake.sync(shelf)) == 1

    def test_our_own_result_coming_back_is_no_news(self, shelf):
        """Even as an image: its row stands before its object is sent."""
        shelf.put(sop="1")
        intake.sync(shelf)
        study = Study.objects.get()
        read(study)
        sent = shelf.put(sop="own", digest="c" * 32)
        row = Instance(
            series=study.series.get(), pacs_id=sent.id, uid="own", digest="", revision=1
        )
        row.role = Instance.Role.OWN
        row.save()
        before = Study.objects.values().get()
        for _ in range(2):
            intake.sync(shelf)
            shelf.put(sop="own", digest="d" * 32)
        intake.sync(shelf)
        assert Study.objects.values().get() == before
        assert Instance.objects.count() == 2


class TestPatients:
    def test_two_people_under_one_id_are_warned_of_on_both_sides(self, shelf):
        shelf.put(study="1", sop="1.1", PatientName="DOE^JANE")
        shelf.put(study="2", sop="2.1", PatientName="ROE^RICHARD")
        intake.sync(shelf)
        one, two = Study.objects.order_by("pk")
        assert codes(one) == codes(two) == ["shared_patient_id"]
        assert Study.objects.count() == 2
        warned = AuditEvent.objects.filter(action="study.warned")
        assert {event.target for event in warned} == {
            f"study/{one.pk}",
            f"study/{two.pk}",
        }

    def test_so_are_two_birth_dates(self, shelf):
        shelf.put(study="1", sop="1.1", PatientBirthDate="19700101")
        intake.sync(shelf)
        shelf.put(study="2", sop="2.1", PatientBirthDate="19700102")
        intake.sync(shelf)
        assert all(codes(s) == ["shared_patient_id"] for s in Study.objects.all())

    @pytest.mark.parametrize(
        "name", ["Doe^Jane", "JANE DOE", "doe^jane^^^", "Doé ^ Jane", "DOE, JANE", ""]
    )
    def test_one_person_written_differently_is_one_person(self, shelf, name):
        shelf.put(study="1", sop="1.1", PatientBirthDate="19700101")
        shelf.put(study="2", sop="2.1", PatientName=name)
        intake.sync(shelf)
        assert not any(codes(study) for study in Study.objects.all())

    def test_studies_without_an_id_are_not_one_patient(self, shelf):
        shelf.put(study="1", sop="1.1", PatientID="", PatientName="A")
        shelf.put(study="2", sop="2.1", PatientID="", PatientName="B")
        intake.sync(shelf)
        assert not any(codes(study) for study in Study.objects.all())

    def test_two_people_within_one_study(self, shelf):
        shelf.put(sop="1", PatientName="DOE^JANE")
        shelf.put(sop="2", PatientName="ROE^RICHARD")
        intake.sync(shelf)
        assert codes(Study.objects.get()) == ["mixed_patients"]

    def test_one_study_number_under_two_ids(self, shelf):
        shelf.put(PatientID="P1")
        shelf.put(PatientID="P2")
        intake.sync(shelf)
        assert all(codes(s) == ["shared_study_number"] for s in Study.objects.all())

    def test_a_warning_is_not_lost_when_both_studies_come_at_once(self, shelf):
        shelf.put(study="1", sop="1.1", PatientName="A")
        intake.sync(shelf)
        shelf.put(study="2", sop="2.1", PatientName="B")
        shelf.put(study="1", sop="1.2", PatientName="A")
        intake.sync(shelf)
        assert all(codes(s) == ["shared_patient_id"] for s in Study.objects.all())

    def test_a_warning_is_given_once(self, shelf):
        for number in range(4):
            shelf.put(study=f"{number}", sop=f"{number}.1", PatientName=f"N{number}")
            intake.sync(shelf)
        assert all(codes(s) == ["shared_patient_id"] for s in Study.objects.all())

    def test_no_name_enters_the_audit_trail(self, shelf):
        shelf.put(study="1", sop="1.1", PatientName="SECRETIVE^JANE")
        shelf.put(study="2", sop="2.1", PatientName="OTHER^JANE")
        intake.sync(shelf)
        said = str(list(AuditEvent.objects.values_list("detail", flat=True)))
        assert "SECRETIVE" not in said


def test_a_watcher_that_was_overtaken_drops_what_it_fetched(shelf, monkeypatch):
    """Its page is older than the rows: kept, it would bring old content back."""
    shelf.put(digest="a" * 32)
    fetch = shelf.instances

    def overtaken(study_id):
        stale = list(fetch(study_id))
        monkeypatch.setattr(shelf, "instances", fetch)
        intake.sync(shelf)
        shelf.put(digest="b" * 32)
        intake.sync(shelf)
        return iter(stale)

    monkeypatch.setattr(shelf, "instances", overtaken)
    intake.sync(shelf)
    assert Instance.objects.get().digest == "b" * 32
    assert actions().count("instance.replaced") == 1
    assert PacsCursor.objects.get().sequence == shelf.sequence


class TestTroubleWithThePacs:
    def test_away_it_is_put_on_record_and_back_it_is_cleared(self, shelf, study):
        intake.sync(shelf)
        pass_time(minutes=1)
        shelf.away = "Nobody answers on port 1."
        assert intake.sync(shelf) == []
        assert PacsCursor.objects.get().trouble == "Nobody answers on port 1."
        shelf.away = ""
        shelf.put()
        assert intake.sync(shelf) == [study]
        assert PacsCursor.objects.get().trouble == ""
        assert Study.objects.count() == 2

    def test_a_shut_door_is_put_on_record_though_what_is_there_is_read(self, shelf):
        def shut():
            raise PacsUnavailable("Nobody listens.")

        intake.sync(shelf)
        shelf.health = shut
        intake.knock(pacs=shelf)
        intake.sync(shelf)
        assert PacsCursor.objects.get().shut == "Nobody listens."
        assert worklist.page(worklist.Query()).trouble == "Nobody listens."
        shelf.health = lambda: "It does."
        intake.knock(pacs=shelf)
        assert worklist.page(worklist.Query()).trouble == ""

    def test_away_from_the_very_first_look(self, shelf):
        shelf.away = "Nobody."
        intake.sync(shelf)
        assert PacsCursor.objects.get().trouble == "Nobody."

    def test_away_in_the_middle_of_a_page_loses_nothing(self, shelf):
        shelf.put()
        asked = shelf.changes

        def then_away(since):
            page = asked(since)
            shelf.away = "Gone."
            return page

        shelf.changes = then_away
        intake.sync(shelf)
        assert not Study.objects.exists()
        assert PacsCursor.objects.get().sequence == 0
        del shelf.changes
        shelf.away = ""
        intake.sync(shelf)
        assert Study.objects.count() == 1

    def test_a_restored_pacs_is_taken_in_from_the_start(self, shelf):
        for number in range(3):
            shelf.put(study=f"{number}", sop=f"{number}.1", PatientID=f"{number}")
        intake.sync(shelf)
        for study in Study.objects.all():
            read(study)
        restored = type(shelf)()
        restored.put(study="0", sop="0.1", PatientID="0")
        restored.put(study="new", sop="new.1", PatientID="9")
        intake.sync(restored)
        assert PacsCursor.objects.get().sequence == restored.sequence
        assert Study.objects.count() == 4
        assert set(Study.objects.values_list("revision", flat=True)) == {1}
        event = AuditEvent.objects.get(action="pacs.restored")
        assert event.detail["before"] > restored.sequence

    def test_the_cursor_never_passes_what_it_was_not_shown(self, shelf):
        """Whatever an answer without changes says of the newest one."""
        shelf.put(sop="1")
        intake.sync(shelf)
        asked = shelf.changes
        shelf.changes = lambda since: replace(asked(since), changes=(), done=True)
        shelf.put(sop="2")
        intake.sync(shelf)
        shelf.changes = asked
        intake.sync(shelf)
        assert Instance.objects.count() == 2

    def test_an_emptied_pacs_is_no_endless_loop(self, shelf):
        shelf.put()
        intake.sync(shelf)
        intake.sync(type(shelf)())
        assert PacsCursor.objects.get().sequence == 0

    def test_what_vanished_before_it_was_fetched_is_skipped(self, shelf):
        stored = shelf.put(sop="1")
        del shelf.objects[stored.id]
        shelf.put(study="2", sop="2.1", PatientID="P2")
        intake.sync(shelf)
        assert Study.objects.count() == 1
        gone = AuditEvent.objects.filter(action="pacs.gone")
        assert f"pacs/{stored.id}" in gone.values_list("target", flat=True)

    def test_quiet_looks_write_nothing(self, shelf, django_assert_num_queries):
        shelf.put()
        intake.sync(shelf)
        with django_assert_num_queries(2):  # where we are; is anything due
            intake.sync(shelf)


class TestHostileText:
    def test_nothing_harmful_reaches_a_row(self, shelf):
        shelf.put(
            PatientName="DOE\x00^JANE\x1b[2J\u202egpj.exe\ud800",
            PatientSex="M" * 400,
            AccessionNumber="A" * 4000,
            StudyDescription="<script>alert(1)</script>\r\nX",
            SeriesDescription="\u0000" * 10,
            BodyPartExamined="WRIST\n" * 100,
            StudyDate="20249999",
            PatientBirthDate="yesterday",
            InstanceNumber="99999999999999",
            ViewPosition="<b>\u202ePA\x00" * 100,
            ImageLaterality="L\x1b[31m" * 100,
            SeriesNumber="1; DROP TABLE",
            Rows="-4",
            Columns="70000",
        )
        intake.sync(shelf)
        study = Study.objects.get()
        study.clean_fields(
            exclude=["taken_on", "notices", "lease_until", "probability"]
        )
        assert study.patient_name == "DOE ^JANE [2Jgpj.exe"
        assert (study.taken_on, study.birth_date) == (None, "")
        assert len(study.accession) == 64
        assert study.description == "<script>alert(1)</script> X"
        image = Instance.objects.get()
        assert (image.number, image.rows, image.columns) == (None, None, None)
        assert (len(image.view), len(image.laterality)) == (64, 16)
        assert image.view.startswith("<b>PA <b>PA")
        assert study.series.get().number is None

    @pytest.mark.parametrize("text", HOSTILE, ids=ascii)
    def test_no_text_in_any_tag_stops_intake(self, shelf, text):
        said = shelf.put(sop="1").tags
        said.update(dict.fromkeys(KEYWORDS, text))
        shelf.put(sop="2", study="2", PatientID="P2")
        intake.sync(shelf)
        assert Study.objects.count() == 2
        assert audit.verify() == []

    def test_an_object_that_says_nothing_is_taken_in(self, shelf):
        stored = shelf.put()
        shelf.objects[stored.id] = type(stored)(
            stored.id, stored.series_id, stored.study_id, stored.digest, {}
        )
        intake.sync(shelf)
        assert Instance.objects.images().count() == 1

    def test_a_long_reason_of_the_pacs_is_cut(self, shelf):
        shelf.away = "x\x00x" * 4000
        intake.sync(shelf)
        assert 499 <= len(PacsCursor.objects.get().trouble) <= 500


class TestTryingAgain:
    def test_a_study_set_aside_waits_again(self, study, administrator):
        Study.objects.update(state="failed", reason="Four times.", attempts=4)
        intake.requeue(study=study, by=administrator)
        study.refresh_from_db()
        assert (study.state, study.attempts, study.reason) == ("waiting", 0, "")
        event = AuditEvent.objects.get(action="study.requeued")
        assert event.actor == administrator

    def test_no_other_is_disturbed(self, prediction, administrator):
        with pytest.raises(ValidationError, match="set aside"):
            intake.requeue(study=prediction.study, by=administrator)


def test_the_chain_holds_over_all_that(shelf):
    for number in range(5):
        shelf.put(study=f"{number}", sop=hashlib.md5(bytes([number])).hexdigest())
        intake.sync(shelf)
    assert audit.verify() == []
