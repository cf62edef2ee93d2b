"""The life of a model: registered, promoted, retired, promoted again.

Promotion is a row, not a deploy: workers follow at their next study.
"""

import json
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from clinic import audit, tags
from clinic.models import ModelVersion
from inference import artifact

Stage = ModelVersion.Stage


@transaction.atomic
def register(*, folder: Path, by: AbstractBaseUser | None) -> ModelVersion:
    """Keep a copy of an artifact, named by its digest, as a candidate. Idempotent."""
    digest = _whole(folder)
    _keep_copy(folder, digest)
    about = {"name": _name(folder), "card": artifact.load_card(folder)}
    version, first = ModelVersion.objects.get_or_create(
        digest=digest, defaults=about | {"folder": digest}
    )
    if not first:
        return version
    audit.record("model.registered", version, by, digest=digest, name=version.name)
    return version


@transaction.atomic
def promote(
    *, version: ModelVersion, by: AbstractBaseUser | None, reason: str
) -> ModelVersion:
    """Put `version` into service, retiring what served. Idempotent.

    Going back is promoting the older version again: the same trace.
    """
    if not reason.strip():
        raise ValidationError({"reason": "Say why, for whoever asks later."})
    _whole(Path(settings.MODEL_ROOT, version.folder), version.digest)
    # In the order of their keys, so that two who promote at once wait in line.
    rows = ModelVersion.objects.select_for_update().order_by("pk")
    version = next(row for row in list(rows) if row.pk == version.pk)
    if version.stage == Stage.ACTIVE:
        return version
    before = rows.filter(stage=Stage.ACTIVE).first()
    ModelVersion.objects.filter(stage=Stage.ACTIVE).update(stage=Stage.RETIRED)
    version.stage = Stage.ACTIVE
    version.save(update_fields=["stage"])
    audit.record(
        "model.promoted",
        version,
        by,
        digest=version.digest,
        before=before.digest if before else None,
        reason=reason,
    )
    return version


def _whole(folder: Path, digest: str | None = None) -> str:
    """The digest of an artifact fit to serve; refuses a damaged one in its words."""
    try:
        found = artifact.digest(folder)
        artifact.load_card(folder, digest or found)
    except artifact.DamagedArtifact as error:
        raise ValidationError(str(error)) from error
    return found


def _name(folder: Path) -> str:
    """What the spec calls the model. Read plainly: the checked spec needs torch."""
    try:
        return tags.text(json.loads((folder / artifact.SPEC).read_bytes())["name"], 64)
    except (ValueError, KeyError, TypeError) as error:
        raise ValidationError(
            f"{folder.name}: {artifact.SPEC} names no model"
        ) from error


def _keep_copy(folder: Path, digest: str) -> None:
    """Whole or not at all, at MODEL_ROOT/digest; a damaged copy is replaced."""
    kept = Path(settings.MODEL_ROOT, digest)
    if _is_intact(kept, digest):
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".copy-") as room:
        fresh = Path(room, digest)
        fresh.mkdir()
        for name in artifact.FILES:
            shutil.copyfile(folder / name, fresh / name)
        _whole(fresh, digest)
        if kept.exists():
            kept.rename(Path(room, "damaged"))
        fresh.rename(kept)


def _is_intact(folder: Path, digest: str) -> bool:
    try:
        return artifact.digest(folder) == digest
    except artifact.DamagedArtifact:
        return False
