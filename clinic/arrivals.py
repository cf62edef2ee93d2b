"""From DICOM objects as the PACS lists them to studies, series and instances.

What came twice changes nothing; what came late, or changed, makes a new revision
of its study, which is read again and asks for a verdict again.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from clinic import patients, tags
from clinic.audit import Event
from clinic.models import ImageReading, Instance, Series, Study
from clinic.pacs import RemoteInstance

Role = Instance.Role
VIEW = Instance._meta.get_field("view").max_length
LATERALITY = Instance._meta.get_field("laterality").max_length


@dataclass
class Arrival:
    """What is new about one study. changed: rows whose object now is another."""

    study: Study
    first: bool
    new: list[RemoteInstance] = field(default_factory=list)
    changed: list[tuple[Instance, RemoteInstance]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def new_images(self) -> int:
        return sum(_role(remote) == Role.IMAGE for remote in self.new)

    @property
    def changed_images(self) -> int:
        kinds = [{row.role, _role(remote)} for row, remote in self.changed]
        return sum(Role.IMAGE in kind for kind in kinds)


def take_in(remotes: Iterable[RemoteInstance]) -> list[Event]:
    """Make rows of what is new among `remotes`, and give what to put on record."""
    by_study = defaultdict(list)
    for remote in remotes:
        by_study[remote.study_id].append(remote)
    events = []
    for study_id, found in by_study.items():
        known = Study.objects.select_for_update().filter(pacs_id=study_id).first()
        arrival = _compare(known, found)
        if arrival.new or arrival.changed:
            _keep(arrival)
        events += arrival.events
    return events


def _compare(study: Study | None, remotes: list[RemoteInstance]) -> Arrival:
    if study is None:
        return Arrival(_new_study(remotes[0]), first=True, new=remotes)
    rows = Instance.objects.filter(series__study=study)
    known = {row.pacs_id: row for row in rows}
    arrival = Arrival(study, first=False)
    for remote in remotes:
        row = known.get(remote.id)
        if row is None:
            arrival.new.append(remote)
        elif row.role != Role.OWN and row.digest != remote.digest:
            arrival.changed.append((row, remote))
    return arrival


def _keep(arrival: Arrival) -> None:
    study = arrival.study
    if arrival.new_images or arrival.changed_images:
        _expect_more(arrival)
    if arrival.new:
        _add(arrival)
        arrival.events += patients.compare_within(study, arrival.new)
    if arrival.first:
        arrival.events += patients.compare_across(study)
    for row, remote in arrival.changed:
        arrival.events.append(_replace(row, remote, study.revision))
    study.save()
    # A study that is to be read again has them set aside by that reading.
    current = study.prediction
    if current and current.revision == study.revision:
        ImageReading.objects.complete(current)


def _expect_more(arrival: Arrival) -> None:
    """Have the study read once no more images have come for a moment."""
    study, now = arrival.study, timezone.now()
    late = arrival.new_images if _begun(study) else 0
    if late or arrival.changed_images:
        _reopen(study, late, arrival.changed_images)
    study.state, study.last_arrival = Study.State.RECEIVING, now
    study.due_at = now + timedelta(seconds=settings.QUIET_SECONDS)


def _begun(study: Study) -> bool:
    """Whether a reader may have seen the images of this revision already."""
    untouched = study.state in (Study.State.RECEIVING, Study.State.WAITING)
    current = study.predictions.filter(revision=study.revision)
    return not untouched or study.attempts > 0 or current.exists()


def _reopen(study: Study, late: int, changed: int) -> None:
    judged = " The verdict was given before that: judge again." if study.verdict else ""
    if late:
        words = f"{_images(late)} arrived after reading had begun.{judged}"
        study.notice("late_images", words)
    if changed:
        words = f"{_images(changed)} replaced by other content of the same number."
        study.notice("replaced_images", words + judged)
    study.revision += 1
    study.code = study.reason = study.verdict = ""
    study.attempts, study.lease_until, study.disputed = 0, None, False


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"


def _new_study(remote: RemoteInstance) -> Study:
    said = remote.tags
    birth = tags.day(said.get("PatientBirthDate", ""))
    return Study.objects.create(
        pacs_id=remote.study_id,
        uid=tags.uid(said.get("StudyInstanceUID", "")),
        birth_date=birth.isoformat() if birth else "",
        taken_on=tags.day(said.get("StudyDate", "")),
        due_at=timezone.now() + timedelta(seconds=settings.QUIET_SECONDS),
        **_texts(
            Study,
            said,
            patient_id="PatientID",
            patient_name="PatientName",
            sex="PatientSex",
            accession="AccessionNumber",
            description="StudyDescription",
        ),
    )


def _texts(
    model: type[models.Model], said: dict[str, str], **keywords: str
) -> dict[str, str]:
    """Column -> cleaned text of the tag, cut to what the column holds."""
    length = {field: model._meta.get_field(field).max_length for field in keywords}
    return {
        field: tags.text(said.get(keyword, ""), length[field])
        for field, keyword in keywords.items()
    }


def _add(arrival: Arrival) -> None:
    study = arrival.study
    known = {series.pacs_id: series for series in study.series.all()}
    rows = []
    for remote in arrival.new:
        if remote.series_id not in known:
            known[remote.series_id] = _new_series(study, remote)
        rows.append(_row(remote, known[remote.series_id], study.revision))
    Instance.objects.bulk_create(rows)
    detail = {"objects": len(rows), "images": arrival.new_images}
    detail["revision"] = study.revision
    arrival.events.append(Event("study.received", study, detail))


def _new_series(study: Study, remote: RemoteInstance) -> Series:
    return Series.objects.create(
        study=study,
        pacs_id=remote.series_id,
        uid=tags.uid(remote.tags.get("SeriesInstanceUID", "")),
        number=tags.number(remote.tags.get("SeriesNumber", "")),
        **_texts(
            Series,
            remote.tags,
            modality="Modality",
            body_part="BodyPartExamined",
            description="SeriesDescription",
        ),
    )


def _row(remote: RemoteInstance, series: Series, revision: int) -> Instance:
    said = remote.tags
    return Instance(
        series=series,
        pacs_id=remote.id,
        uid=tags.uid(said.get("SOPInstanceUID", "")),
        sop_class=tags.uid(said.get("SOPClassUID", "")),
        role=_role(remote),
        number=tags.number(said.get("InstanceNumber", "")),
        view=tags.first(said, VIEW, "ViewPosition", "ViewCodeSequence"),
        laterality=tags.first(said, LATERALITY, "ImageLaterality", "Laterality"),
        rows=tags.size(said.get("Rows", "")),
        columns=tags.size(said.get("Columns", "")),
        digest=remote.digest,
        revision=revision,
    )


def _role(remote: RemoteInstance) -> str:
    return Role.IMAGE if tags.holds_an_image(remote.tags) else Role.OTHER


def _replace(row: Instance, remote: RemoteInstance, revision: int) -> Event:
    """Keep the row, its identifier is the same; take over what it now stands for."""
    detail = {"before": row.digest, "now": remote.digest, "revision": revision}
    fresh = _row(remote, row.series, revision)
    fresh.pk, fresh.arrived = row.pk, row.arrived
    fresh.save()
    return Event("instance.replaced", fresh, detail)
