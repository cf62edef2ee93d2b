"""Rows as the clinic leaves them, and a PACS small enough to break on purpose."""

import hashlib
import io
import itertools
from contextlib import contextmanager

from django.contrib.auth.models import Group, User

from clinic import search
from clinic.models import (
    ImageReading,
    Instance,
    Job,
    ModelVersion,
    Prediction,
    Review,
    Series,
    Study,
)
from clinic.pacs import (
    Change,
    Changes,
    GoneFromPacs,
    PacsUnavailable,
    RemoteInstance,
)

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
HOSTILE = (
    "",
    "\x00",
    "\x00" * 5000,
    "x" * 100_000,
    "\ud800\udfff",
    "\u202eabc\u2066",
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE clinic_study; --",
    "20241399",
    "00000000",
    "9" * 30,
    "-1",
    "\N{ARABIC-INDIC DIGIT THREE}",
    "\r\n\x1b[31m\x7f\x85",
    "e" + "\N{COMBINING ACUTE ACCENT}" * 500,
    "^=^=^",
    "\U0001f9b4" * 400,
    "1.2." * 40,
    "\\",
)
_count = itertools.count(1)


def make_user(role, name=None):
    user = User.objects.create_user(name or f"{role}{next(_count)}", password="x")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def make_model(name="tester", stage=ModelVersion.Stage.ACTIVE):
    """The active model, or another in another stage."""
    if stage == ModelVersion.Stage.ACTIVE:
        active = ModelVersion.objects.filter(stage=stage).first()
        if active:
            return active
    digest = hashlib.sha256(f"{name}{next(_count)}".encode()).hexdigest()
    return ModelVersion.objects.create(
        digest=digest,
        name=name,
        folder=digest,
        stage=stage,
        served=stage == ModelVersion.Stage.ACTIVE,
    )


def make_study(images=2, **fields):
    """A study with `images` images in one series, waiting unless fields say more."""
    number = next(_count)
    study = Study.objects.create(
        **{
            "pacs_id": pacs_id("study", number),
            "uid": f"1.2.3.{number}",
            "patient_id": f"P{number}",
            "patient_name": f"PATIENT^{number}",
            "state": Study.State.WAITING,
        }
        | fields
    )
    series = Series.objects.create(
        study=study,
        pacs_id=pacs_id("series", number),
        uid=f"1.2.3.{number}.1",
        modality="DX",
        body_part="WRIST",
        number=1,
    )
    for _ in range(images):
        add_instance(study, series)
    return study


def add_instance(study, series=None, **fields):
    number = next(_count)
    return Instance.objects.create(
        **{
            "series": series or study.series.first(),
            "pacs_id": pacs_id("instance", number),
            "uid": f"1.2.3.9.{number}",
            "sop_class": DX,
            "number": number,
            "rows": 300,
            "columns": 200,
            "digest": f"{number:032x}",
            "revision": study.revision,
        }
        | fields
    )


def make_prediction(study=None, probability=0.9, **fields):
    """What the active model said of `study`, which it leaves read."""
    study = study or make_study()
    flagged = probability >= 0.5
    prediction = Prediction.objects.create(
        **{
            "study": study,
            "revision": study.revision,
            "model": make_model(),
            "state": Prediction.State.READ,
            "probability": probability,
            "threshold": 0.5,
            "flagged": flagged,
            "confident_from": 0.95,
            "confident": probability >= 0.95,
            "aggregation": "alo",
        }
        | fields
    )
    for instance in Instance.objects.images().filter(series__study=study):
        ImageReading.objects.create(
            prediction=prediction,
            instance=instance,
            state=Prediction.State.READ,
            probability=probability,
            voted=True,
            views=[{"affine": [[1, 0, 0], [0, 1, 0]], "probability": probability}],
        )
    study.state, study.flagged = Study.State.READ, flagged
    study.confident = prediction.confident
    study.probability = probability
    study.save()
    return prediction


def leave_to_people(prediction, code="unlike_training", reason="Unlike the others."):
    """The model abstained on every image of `prediction`."""
    nothing = {"state": "abstained", "probability": None, "reason": reason}
    prediction.images.update(**nothing, code=code, voted=False, views=[])
    unflagged = nothing | {"flagged": False, "confident": False, "code": code}
    Prediction.objects.filter(pk=prediction.pk).update(**unflagged)
    Study.objects.filter(pk=prediction.study_id).update(**unflagged)
    prediction.refresh_from_db()
    return prediction


def make_review(prediction, radiologist, verdict="fracture", **fields):
    prediction.study.verdict = verdict
    prediction.study.save()
    return Review.objects.create(
        prediction=prediction,
        radiologist=radiologist,
        verdict=verdict,
        **{"overlay_shown": False, "revision": prediction.revision} | fields,
    )


def make_job(**fields):
    """A training of two epochs that waits for a worker."""
    return Job.objects.create(
        **{"parent": make_model(), "parameters": {"epochs": 2, "rate": 1e-4}} | fields
    )


def make_search(by, **wanted):
    """A search of four candidates by two workers; two of the best at length."""
    asked = {"space": "ofa-1.2", "strategy": "evolution", "budget": 4, "workers": 2}
    asked |= {"finals": 2, "parent": make_model(), "by": by, "pack": "0" * 64}
    return search.start(**asked | wanted)


def pacs_id(*parts):
    text = hashlib.sha1("|".join(map(str, parts)).encode()).hexdigest()
    return "-".join(text[i : i + 8] for i in range(0, 40, 8))


class Shelf:
    """A PACS in memory behind the clinic's port, with Orthanc's habits.

    Identifiers are hashes of the patient's ID and the UIDs, storing again repeats
    the changes, deleting takes them out of the feed. `away` makes it unavailable.
    """

    def __init__(self):
        self.objects, self.feed, self.sequence = {}, [], 0
        self.away = ""
        self.calls = []

    def put(self, *, study="1.1", series="1.1.1", sop="1.1.1.1", digest="", **tags):
        said = {
            "PatientID": "P1",
            "PatientName": "DOE^JANE",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SOPInstanceUID": sop,
            "SOPClassUID": DX,
            "Modality": "DX",
        } | tags
        patient = said["PatientID"]
        ids = [
            pacs_id(patient, study),
            pacs_id(patient, study, series),
            pacs_id(patient, study, series, sop),
        ]
        first = not any(o.study_id == ids[0] for o in self.objects.values())
        again = ids[2] in self.objects
        stored = RemoteInstance(
            ids[2],
            ids[1],
            ids[0],
            digest or hashlib.md5(sop.encode()).hexdigest(),
            said,
        )
        self.objects[ids[2]] = stored
        self.tell("NewInstance", "Instance", ids[2])
        if first or again:
            self.tell("NewStudy", "Study", ids[0])
        return stored

    def tell(self, kind, level, id):
        self.sequence += 1
        self.feed.append(Change(self.sequence, kind, level, id))

    def drop(self, id):
        """Delete one object, as a person may at the PACS."""
        del self.objects[id]
        self.feed = [change for change in self.feed if change.id != id]

    def changes(self, since, limit=1000):
        self._answer("changes")
        newer = [change for change in self.feed if change.sequence > since]
        page = tuple(newer[:limit])
        done = len(newer) <= limit
        return Changes(page, self.sequence if done else page[-1].sequence, done)

    def study(self, id):
        return sorted(remote.id for remote in self.instances(id))

    def instances(self, study_id):
        self._answer("instances")
        found = [o for o in self.objects.values() if o.study_id == study_id]
        if not found:
            raise GoneFromPacs(study_id)
        return iter(found)

    def instance(self, id):
        self._answer("instance")
        if id not in self.objects:
            raise GoneFromPacs(id)
        return self.objects[id]

    @contextmanager
    def open(self, instance_id):
        self._answer("open")
        yield io.BytesIO()

    def store(self, file):
        raise NotImplementedError

    def health(self):
        self._answer("health")
        return "a shelf"

    def _answer(self, call):
        self.calls.append(call)
        if self.away:
            raise PacsUnavailable(self.away)
