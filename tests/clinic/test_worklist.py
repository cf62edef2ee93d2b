"""Which studies, in which order."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from clinic.models import PacsCursor, Study
from clinic.worklist import Query, day, next_open, page, waiting
from tests.clinic.factories import make_prediction, make_study

pytestmark = pytest.mark.django_db


def study(name="A^B", waited=0, **fields):
    arrived = timezone.now() - timedelta(minutes=waited)
    return make_study(patient_name=name, arrived=arrived, **fields)


def names(asked):
    return [s.patient_name for s in page(Query.of(asked)).studies]


def test_flagged_come_first_then_who_has_waited_longest_and_judged_ones_last():
    study("new", waited=1)
    study("old", waited=9)
    study("flagged new", waited=2, flagged=True)
    study("flagged old", waited=3, flagged=True)
    study("judged", waited=99, flagged=True, verdict="fracture")
    assert names({"show": "all"}) == [
        "flagged old",
        "flagged new",
        "old",
        "new",
        "judged",
    ]
    assert "judged" not in names({})
    assert names({"show": "judged"}) == ["judged"]


def test_what_the_model_left_to_people_comes_between():
    study("old", waited=9)
    study("left", waited=1, state="abstained", reason="Because.")
    study("flagged", waited=2, flagged=True)
    study("judged", waited=9, state="abstained", reason="Because.", verdict="unsure")
    assert names({"show": "all"}) == ["flagged", "left", "old", "judged"]
    assert page(Query()).summary["abstained"] == 1
    assert names({"state": "abstained"}) == ["left"]


def test_a_study_left_to_people_is_offered_for_a_verdict():
    study("read", state="read", waited=9)
    study("left", state="abstained", reason="Because.")
    assert next_open(besides=[]).patient_name == "left"


def test_the_list_changes_when_a_finding_becomes_confident():
    changing = study("a", state="read", flagged=True)
    before = page(Query()).token
    Study.objects.filter(pk=changing.pk).update(confident=True)
    assert page(Query()).token != before


def test_filters_narrow_and_add_up():
    study("a", flagged=True, state="read", taken_on=date(2026, 3, 4))
    study("b", flagged=False, state="read", taken_on=date(2026, 3, 5))
    study("c", state="failed", reason="No luck.")
    assert names({"flagged": "1"}) == ["a"]
    assert names({"state": "failed"}) == ["c"]
    assert names({"since": "2026-03-05"}) == ["b"]
    assert names({"until": "2026-03-04", "state": "read"}) == ["a"]


@pytest.mark.parametrize(
    "words",
    [
        "doe",
        "jane doe",
        "Doe, Jane",
        "DOE^JANE",
        "p77",
        "acc-1",
        "2026-03-04",
        "4.3.2026",
    ],
)
def test_words_find_a_study_by_patient_accession_or_day(words):
    study("DOE^JANE", patient_id="P77", accession="ACC-1", taken_on=date(2026, 3, 4))
    study("ROE^JANE", patient_id="P88", accession="ACC-2")
    assert names({"words": words}) == ["DOE^JANE"]


def test_every_word_has_to_be_found():
    study("DOE^JANE")
    assert names({"words": "doe richard"}) == []


@pytest.mark.parametrize("words", ["müller", "MÜLLER", "Müller"])
@pytest.mark.parametrize("name", ["MÜLLER^ANNA", "Müller^Anna"])
def test_names_are_found_in_either_case_beyond_ascii(words, name):
    study(name)
    assert names({"words": words}) == [name]


def test_eight_digits_may_be_a_day_or_a_number():
    study("by day", taken_on=date(2026, 3, 4))
    study("by id", patient_id="20260304")
    assert sorted(names({"words": "20260304"})) == ["by day", "by id"]


@pytest.mark.parametrize(
    "asked",
    [
        {"page": "-1"},
        {"page": "9" * 40},
        {"page": "x"},
        {"state": "'; DROP TABLE"},
        {"since": "2026-13-45"},
        {"show": "no such"},
        {"words": "%_\0\\"},
        {"flagged": "yes"},
    ],
)
def test_nonsense_in_the_address_breaks_nothing(asked):
    study("one")
    page(Query.of(asked))


@pytest.mark.parametrize("words", ["%", "_", "100%"])
def test_wildcards_of_the_database_are_letters(words):
    study("one")
    assert names({"words": words}) == []


def test_pages_cover_every_study_once():
    for number in range(7):
        for flagged in (True, False):
            Study.objects.bulk_create(
                Study(pacs_id=f"{number}{flagged}{i}", uid="1", flagged=flagged)
                for i in range(9)
            )
    seen, asked = [], Query()
    first = page(asked)
    for number in range(1, first.pages + 1):
        seen += [s.pk for s in page(Query.of({"page": str(number)})).studies]
    assert first.total == len(seen) == len(set(seen)) == 126
    assert page(Query.of({"page": "99"})).number == first.pages
    assert (first.earlier, first.later) == ("", "show=open&page=2")


def test_a_page_costs_the_same_queries_however_many_studies_there_are(
    django_assert_num_queries,
):
    study("one")
    with django_assert_num_queries(5):
        page(Query())
    for number in range(20):
        study(str(number))
    with django_assert_num_queries(5):
        page(Query.of({"words": "p"}))


def test_only_images_are_counted():
    one = study("one")
    one.series.get().instances.filter(pk=one.series.get().instances.last().pk).update(
        role="other"
    )
    assert page(Query()).studies[0].images == 1


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda s: Study.objects.filter(pk=s.pk).update(state="reading"), True),
        (lambda s: Study.objects.filter(pk=s.pk).update(probability=0.7), True),
        (lambda s: Study.objects.filter(pk=s.pk).update(notices=[{"text": "x"}]), True),
        (lambda s: make_study(), True),
        (lambda s: PacsCursor.objects.create(pk=1, trouble="No answer."), True),
        (lambda s: Study.objects.filter(pk=s.pk).update(attempts=3), False),
    ],
    ids=["state", "score", "notice", "another study", "trouble", "nothing shown"],
)
def test_the_token_changes_exactly_when_what_is_shown_does(change, seen):
    one = study("one", waited=5)
    before = page(Query()).token
    assert page(Query()).token == before
    change(one)
    assert (page(Query()).token != before) == seen


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "< 1 min"), (1, "1 min"), (59, "59 min"), (60, "1 h 0 min"), (4000, "2 d")],
)
def test_waiting_is_told_in_words(minutes, words):
    now = timezone.now()
    one = Study(arrived=now - timedelta(minutes=minutes, seconds=5))
    assert waiting(one, now) == words
    one.verdict = "unsure"
    assert waiting(one, now) == ""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-11-21", date(2026, 11, 21)),
        ("20261121", date(2026, 11, 21)),
        ("1.2.2026", date(2026, 2, 1)),
        ("2026-02-30", None),
        ("2026", None),
        ("", None),
    ],
)
def test_a_day_is_read_as_people_write_it(text, read):
    assert day(text) == read


def test_the_next_study_is_the_first_that_can_be_judged():
    waits = study("still waits", waited=9)
    read = make_prediction(study("read", waited=3), probability=0.1).study
    flagged = make_prediction(study("flagged", waited=1)).study
    assert next_open(besides=[]) == flagged
    assert next_open(besides=[flagged.pk]) == read
    assert next_open(besides=[flagged.pk, read.pk]) is None
    assert waits.state == Study.State.WAITING


def test_what_radiologists_disagree_on_is_counted_and_listed(client, radiologist):
    study = make_prediction().study
    make_prediction()
    Study.objects.filter(pk=study.pk).update(disputed=True, verdict="fracture")
    client.force_login(radiologist)
    text = client.get("/").content.decode()
    assert "1 to be adjudicated" in text
    listed = client.get("/?show=disputed").content.decode()
    assert f'id="study-{study.pk}"' in listed
    assert listed.count('id="study-') == 1
    assert "radiologists disagree" in listed
