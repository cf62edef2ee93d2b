"""From who an image says it shows to a warning, where two people may share a record.

Nothing is merged and nothing kept apart on a guess: people are told, on both sides.
"""

from collections.abc import Iterable

from django.db.models import Q

from clinic import tags
from clinic.audit import Event
from clinic.models import Study
from clinic.pacs import RemoteInstance

MOST = 50  # under one ID that so many share, those before were warned already
WORDS = {
    "shared_patient_id": "Another study under this patient ID carries a different "
    "name or birth date: make sure whose images these are.",
    "shared_study_number": "The same study number was also received under another "
    "patient ID: images of this examination may be filed there.",
    "mixed_patients": "Images within this study carry different names or birth "
    "dates: make sure whose images these are.",
}


def compare_within(study: Study, arrived: Iterable[RemoteInstance]) -> list[Event]:
    """Warn when an image names somebody else than its study; the caller saves."""
    for remote in arrived:
        birth = tags.day(remote.tags.get("PatientBirthDate", ""))
        name = tags.text(remote.tags.get("PatientName", ""), 324)
        if not _may_be(study, name, birth.isoformat() if birth else ""):
            return _warn(study, "mixed_patients")
    return []


def compare_across(study: Study) -> list[Event]:
    """Warn on a new study, saved by the caller, and on those it collides with.

    Gives what to put on record; names stay out of it.
    """
    strangers = _strangers(study)
    elsewhere = Study.objects.filter(uid=study.uid).exclude(uid="")
    twins = list(elsewhere.exclude(pk=study.pk).select_for_update())
    events = []
    for code, others in [
        ("shared_patient_id", strangers),
        ("shared_study_number", twins),
    ]:
        for other in others:
            events += _warn(other, code)
            other.save(update_fields=["notices", "changed"])
        events += _warn(study, code) if others else []
    return events


def _strangers(study: Study) -> list[Study]:
    """Studies under the same patient ID that name somebody else."""
    same = Study.objects.filter(patient_id=study.patient_id).exclude(patient_id="")
    same = same.exclude(pk=study.pk)
    # A test patient's ID may stand on thousands of studies, under a few names.
    people = same.order_by().values_list("patient_name", "birth_date").distinct()
    others = [who for who in people if not _may_be(study, *who)]
    if not others:
        return []
    theirs = Q()
    for name, birth in others[:MOST]:
        theirs |= Q(patient_name=name, birth_date=birth)
    return list(same.filter(theirs).select_for_update().order_by("pk"))


def _may_be(study: Study, name: str, birth: str) -> bool:
    """Whether name and birth date, each where given, could be the study's patient."""
    births = {study.birth_date, birth} - {""}
    return len(births) < 2 and tags.same_name(study.patient_name, name)


def _warn(study: Study, code: str) -> list[Event]:
    """Put the warning on the study, once."""
    if any(notice["code"] == code for notice in study.notices):
        return []
    study.notice(code, WORDS[code])
    return [Event("study.warned", study, {"code": code})]
