"""The life of a model: registered, in the shadow, in service, retired, back again.

Promotion is a row, not a deploy: workers follow at their next study. The way into
service leads through the gate (`search.gate`); the way back never does.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from clinic import audit, measuring, pseudonyms, shadows, shelf, tags
from clinic.models import ModelVersion
from inference import artifact
from inference.doubt import Limits
from search.gate import Judgement, judge
from search.holdout import Measured, measured
from search.told import blocks, named_by, numbered, short

Stage = ModelVersion.Stage
WHY = "Say why, for whoever asks later."
ELSEWHERE = (
    "{} names patients by another pseudonym_salt than this Osteon's: whether it has "
    "learnt from the held-out cannot be told. Build its data set anew with this salt "
    "and train again, or bring the backup of the other salt back."
)
FIRST = "not judged: the first model of an empty house, there is none to compare with"


@transaction.atomic
def register(*, folder: Path, by: AbstractBaseUser | None) -> ModelVersion:
    """Keep a copy of an artifact, named by its digest, as a candidate. Idempotent.

    A new one is opened as a reader would open it, which needs torch: for workers
    and commands, not for the web process.
    """
    digest = shelf.whole(folder)
    if not ModelVersion.objects.filter(digest=digest).exists():
        shelf.refuse_what_cannot_read(folder, digest)
    shelf.keep_copy(folder, digest)
    about = {"name": shelf.spec(folder)["name"], "card": artifact.load_card(folder)}
    about["name"] = tags.text(about["name"], 64)
    version, first = ModelVersion.objects.get_or_create(
        digest=digest, defaults=about | {"folder": digest}
    )
    if not first:
        return version
    audit.record("model.registered", version, by, digest=digest, name=version.name)
    return version


@transaction.atomic
def shadow(
    *, version: ModelVersion, by: AbstractBaseUser | None, reason: str
) -> ModelVersion:
    """Have `version` read live studies, seen by no radiologist. Idempotent.

    There is one shadow: whatever stood there goes back to where it came from.
    """
    _ask_why(reason)
    version, others = _locked(version)
    if version.stage == Stage.SHADOW:
        return version
    if version.stage == Stage.ACTIVE:
        raise ValidationError("This model is in service: it reads every study already.")
    shelf.whole(Path(settings.MODEL_ROOT, version.folder), version.digest)
    before = _leave(Stage.SHADOW, others)
    _enter(version, Stage.SHADOW)
    _record("model.shadowed", version, by, before, reason=reason)
    return version


@transaction.atomic
def promote(
    *, version: ModelVersion, by: AbstractBaseUser | None, reason: str
) -> ModelVersion:
    """Put `version` into service, retiring what served. Idempotent.

    ValidationError tells every blocker of the gate, which nobody can override.
    """
    _ask_why(reason)
    version, others = _locked(version)
    if version.stage == Stage.ACTIVE:
        return version
    shelf.whole(Path(settings.MODEL_ROOT, version.folder), version.digest)
    if found := blockers(version):
        raise ValidationError({"version": found})
    before = _leave(Stage.ACTIVE, others)
    _enter(version, Stage.ACTIVE)
    passed = "passed" if before else FIRST
    _record("model.promoted", version, by, before, reason=reason, gate=passed)
    return version


@transaction.atomic
def rollback(
    *, version: ModelVersion, by: AbstractBaseUser | None, reason: str = ""
) -> ModelVersion:
    """Put a model back into service that served before. Idempotent.

    Never gated: who sees a model fail must not have to argue.
    """
    version, others = _locked(version)
    if version.stage == Stage.ACTIVE:
        return version
    if not version.served:
        raise ValidationError("This model never served: it has to be promoted.")
    shelf.whole(Path(settings.MODEL_ROOT, version.folder), version.digest)
    before = _leave(Stage.ACTIVE, others)
    _enter(version, Stage.ACTIVE)
    _record("model.rolled_back", version, by, before, reason=reason)
    return version


@transaction.atomic
def retire(
    *, version: ModelVersion, by: AbstractBaseUser | None, reason: str
) -> ModelVersion:
    """Take a candidate, or the shadow, out of the running. Idempotent."""
    _ask_why(reason)
    version, _ = _locked(version)
    if version.stage == Stage.RETIRED:
        return version
    if version.stage == Stage.ACTIVE:
        raise ValidationError(
            "This model is in service: it retires when another one is promoted."
        )
    before = version.stage
    _enter(version, Stage.RETIRED)
    audit.record(
        "model.retired", version, by, digest=version.digest, was=before, reason=reason
    )
    return version


def active() -> ModelVersion | None:
    """The model in service."""
    return ModelVersion.objects.filter(stage=Stage.ACTIVE).first()


def blockers(version: ModelVersion) -> list[str]:
    """Why `version` may not be promoted, in sentences; empty if it may."""
    serving = active()
    if serving is None:
        return []
    if serving.pk == version.pk:
        return ["This model is in service."]
    return list(judgement(version, serving).blockers)


def judgement(version: ModelVersion, other: ModelVersion) -> Judgement:
    """`version` against `other`, as the gate would judge it were that in service."""
    known = facts(version, beside=other)
    known, troubles = _by_every_name(known, version.card)
    judged = judge(known, facts(other, beside=version))
    return replace(judged, blockers=(*troubles, *judged.blockers))


def facts(version: ModelVersion, beside: ModelVersion | None = None) -> Measured:
    """What the artifact of `version` tells of its holdout.

    beside: another model. What a job measured of the two on one holdout outranks the
    card of `version`, which cannot know of it.
    """
    name = f"{version.name} {version.brief}"
    try:
        spec = shelf.spec(Path(settings.MODEL_ROOT, version.folder))
        card = version.card | measuring.told(version, beside)
        aggregation = str(spec["aggregation"])
        known = measured(name, float(spec["threshold"]), card, aggregation)
        limits, confident = Limits(**spec["limits"]), float(spec["confident"])
        return replace(known, confident=confident, limits=limits)
    except (ValidationError, KeyError, TypeError, ValueError):
        return Measured(name, 0.5, trouble=f"The files of {name} cannot be read.")


def _by_every_name(
    known: Measured, card: Mapping[str, object]
) -> tuple[Measured, list[str]]:
    """`known` with whom it learnt from by their pseudonyms too, and by the names that
    the holdout has for them; and why that cannot be told.

    Verdicts name patients by pseudonyms, tables that people made by their IDs. The
    blocks of FracAtlas, of one or two digits, are nobody's.
    """
    if known.learnt_from is None or known.trouble:
        return known, []
    try:
        names = pseudonyms.names()
    except ValueError as error:
        words = f"Whether {known.name} has learnt from the holdout cannot be checked"
        return known, [f"{words}: {error}"]
    met, judging = known.learnt_from, {case.patient for case in known.cases}
    learnt = met | set(map(names.patient, met - short(met) | numbered(card)))
    held_out = judging - short(judging) if blocks(card) else judging
    learnt |= {name for name in held_out if names.patient(name) in learnt}
    troubles = [ELSEWHERE.format(known.name)] if named_by(card) - {names.mark} else []
    return replace(known, learnt_from=learnt), troubles


# --- Stages ---------------------------------------------------------------------


def _ask_why(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": WHY})


def _locked(version: ModelVersion) -> tuple[ModelVersion, list[ModelVersion]]:
    """The row as it is now, and all the others.

    In the order of their keys, so that two who decide at once wait in line.
    """
    rows = list(ModelVersion.objects.select_for_update().order_by("pk"))
    fresh = next(row for row in rows if row.pk == version.pk)
    return fresh, [row for row in rows if row is not fresh]


def _leave(stage: str, others: list[ModelVersion]) -> ModelVersion | None:
    """Empty `stage`; gives who left it."""
    leaving = next((row for row in others if row.stage == stage), None)
    if leaving:
        _enter(leaving, Stage.RETIRED if leaving.served else Stage.CANDIDATE)
    return leaving


def _enter(version: ModelVersion, stage: str) -> None:
    if version.stage == Stage.SHADOW:
        shadows.end(version)
    version.stage, version.staged_at = stage, timezone.now()
    version.served = version.served or stage == Stage.ACTIVE
    version.save(update_fields=["stage", "staged_at", "served"])


def _record(
    action: str,
    version: ModelVersion,
    by: AbstractBaseUser | None,
    before: ModelVersion | None,
    *,
    reason: str,
    **detail: object,
) -> None:
    """What became of `version`, and in the life of `before` why it had to leave."""
    if before:
        left = {"was": version.get_stage_display(), "reason": reason}
        left |= {"digest": before.digest, "after": f"{version.name} {version.brief}"}
        audit.record("model.left", before, by, **left)
    said = {"digest": version.digest, "before": before.digest if before else None}
    audit.record(action, version, by, **said, reason=reason, **detail)
