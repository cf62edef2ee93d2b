"""Models as files: whole or refused, kept under their digest, found by name."""

import json
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

from inference import artifact
from inference.artifact import DamagedArtifact
from search.once import alone

LOCK = ".lock"  # in MODEL_ROOT


def whole(folder: Path, digest: str | None = None) -> str:
    """The digest of an artifact fit to serve; refuses a damaged one in its words."""
    try:
        found = artifact.digest(folder)
        artifact.load_card(folder, digest or found)
    except DamagedArtifact as error:
        raise ValidationError(str(error)) from error
    return found


def refuse_what_cannot_read(folder: Path, digest: str) -> None:
    """Open it as a reader would: spec, network, weights, limits. Needs torch."""
    try:
        artifact.load_network(folder, digest)
        artifact.load_familiar(folder, digest)
    except DamagedArtifact as error:
        raise ValidationError(str(error)) from error


def spec(folder: Path) -> dict[str, object]:
    """As JSON, for who does without torch, which the checked spec needs."""
    try:
        return json.loads((folder / artifact.SPEC).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValidationError(f"{artifact.SPEC} cannot be read.") from error


def keep_copy(folder: Path, digest: str) -> None:
    """Whole or not at all, at MODEL_ROOT/digest; a damaged copy is replaced. Of several
    who keep it at once, one copies and the others wait."""
    kept = Path(settings.MODEL_ROOT, digest)
    if _digest_of(kept) == digest:
        return
    with alone(kept.with_name(LOCK)):
        if _digest_of(kept) != digest:
            _copy(folder, digest, kept)


def _copy(folder: Path, digest: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".copy-") as room:
        fresh = Path(room, digest)
        fresh.mkdir()
        for name in artifact.FILES:
            shutil.copyfile(folder / name, fresh / name)
        whole(fresh, digest)
        if kept.exists():
            kept.rename(Path(room, "damaged"))
        fresh.rename(kept)


def find_model(wanted: str) -> tuple[Path, str]:
    """Folder and digest of a model by its name or the beginning of its digest.

    Knows the shipped models and those registered here. Raises ValueError when it is
    none or several, DamagedArtifact when it is damaged.
    """
    roots = settings.SHIPPED_MODELS, settings.MODEL_ROOT
    folders = [folder for root in roots for folder in sorted(root.glob("[!.]*/"))]
    for folder in folders:
        if folder.name == wanted:
            return folder, artifact.digest(folder)
    # Of copies the first is told, a shipped one: its folder has a name.
    told = reversed(folders)
    known = {digest: folder for folder in told if (digest := _digest_of(folder))}
    fitting = [item for item in known.items() if item[0].startswith(wanted)]
    if len(fitting) != 1:
        what = "Several models begin" if fitting else "No model is called or begins"
        listed = ", ".join(f"{f.name} ({digest[:12]})" for digest, f in known.items())
        raise ValueError(f"{what} with {wanted!r}. There are: {listed or 'none'}.")
    ((digest, folder),) = fitting
    return folder, digest


def _digest_of(folder: Path) -> str:
    try:
        return artifact.digest(folder)
    except DamagedArtifact:
        return ""
