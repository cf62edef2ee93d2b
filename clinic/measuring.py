"""A model measured beside the one in service, on held-out studies that both read.

A card tells of the holdout that its model was made with. Where another model serves
by now, or one has come from elsewhere, the two have none in common, and the gate
cannot judge: then both read the studies of held-out patients as radiologists have
judged them by now. Whoever is held out is so for every model (`search.parts`).
"""

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from clinic import audit, jobs, learning
from clinic.models import Job, ModelVersion

HOLDOUTS = {"candidate": "candidate_holdout", "incumbent": "holdout"}
NOBODY_ELSE = (
    "No other model is in service: there is nothing to measure this one against."
)


@transaction.atomic
def start(*, version: ModelVersion, by: AbstractBaseUser) -> Job:
    """Freeze the verdicts on held-out patients into a measurement of `version`.

    One of each model at a time: whoever asks again is told of it.
    """
    version = ModelVersion.objects.select_for_update().get(pk=version.pk)
    others = ModelVersion.objects.exclude(pk=version.pk)
    if not others.filter(stage=ModelVersion.Stage.ACTIVE).exists():
        raise ValidationError(NOBODY_ELSE)
    jobs.refuse_second_measurement(version)
    chosen = learning.choose(held_out=True)
    if chosen.nothing_to_judge_by:
        raise ValidationError(chosen.nothing_to_judge_by)
    learning.refuse_named_otherwise(version)
    kind = Job.Kind.MEASURE
    job = Job.objects.create(
        by=by, kind=kind, parent=version, verdicts=chosen.to_json()
    )
    said = {"parent": version.digest, "kind": kind, "studies": chosen.studies}
    audit.record("job.started", job, by, **said)
    return job


@transaction.atomic
def finish(*, job: Job, compared: dict[str, object]) -> None:
    """Both are measured; the life of the model says so. Raises jobs.ClaimLost."""
    jobs.finish(job=job, compared=compared)
    said = {"digest": job.parent.digest, "beside": compared["incumbent_digest"]}
    audit.record("model.measured", job.parent, job.by, **said, job=job.pk)


def together(one: ModelVersion, other: ModelVersion) -> Job | None:
    """The latest job that measured both on one holdout: at the end of making one of
    them, or because somebody asked for it. The latest to begin: it has the verdicts
    as they stood then, however often it was resumed."""
    return (
        Job.objects.filter(state=Job.State.DONE)
        .filter(_of(one, other) | _of(other, one))
        .order_by("created", "pk")
        .last()
    )


def told(version: ModelVersion, beside: ModelVersion | None) -> dict[str, object]:
    """Of the card of `version` what a job that measured it together with `beside`
    knows better; empty where none did, or where the card is of that job."""
    job = together(version, beside) if beside else None
    if job is None:
        return {}
    served = job.compared["incumbent_digest"] == version.digest
    holdout = job.compared.get(HOLDOUTS["incumbent" if served else "candidate"])
    # What the card tells beside its holdout is of other images.
    elsewhere = {"pointing": {}, "abstentions": {}}
    return {"holdout": holdout} | elsewhere if holdout else {}


def _of(version: ModelVersion, beside: ModelVersion) -> Q:
    """Jobs that made or measured `version` while `beside` served."""
    made = Q(candidate=version) | Q(parent=version, kind=Job.Kind.MEASURE)
    return made & Q(compared__incumbent_digest=beside.digest)
