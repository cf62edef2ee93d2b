"""One name a patient in every data set of this house.

The split is a hash of that name, so whoever is held out of one data set is held out
of all. The salt lies in the data folder: lost, patients of the holdout would be
trained on, and told, names could be guessed. Jobs, data sets and cards keep its mark,
and what was named with another one is refused (`clinic.learning`, `clinic.terms`).
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.utils.crypto import get_random_string

from search.deidentify import Pseudonyms

SALT = "pseudonym_salt"
LENGTH = 64


def names() -> Pseudonyms:
    """With the salt of the data folder, made once. ValueError, in words, if it was
    damaged or cannot be read."""
    try:
        salt = _salt(Path(settings.DATA_ROOT, SALT))
    except OSError as error:
        raise ValueError(
            f"{SALT} cannot be read: let Osteon read it, or bring its backup back."
        ) from error
    if len(salt) != LENGTH:
        raise ValueError(f"{SALT} is not what was written: bring its backup back.")
    return Pseudonyms(salt)


def patient(patient_id: str) -> str:
    """The name under which a patient is kept in every data set of this house."""
    return names().patient(patient_id)


def refuse_others(mark: str | None) -> None:
    """ValueError if patients were named with another salt than now when a job began;
    mark: of that one, None in a job of an older Osteon."""
    if mark and mark != names().mark:
        raise ValueError(
            f"{SALT} is another one than when this job was started: bring its backup "
            "back, and resume the job."
        )


def refuse_foreign(what: str, marks: Iterable[str]) -> None:
    """ValueError if `what`, to be learnt from, names patients by other salts too."""
    if any(mark != names().mark for mark in marks):
        raise ValueError(
            f"{what} names patients by another {SALT} than this Osteon's: those held "
            "out here may be learnt from there. Make it anew with this salt, or bring "
            "the backup of the other one back."
        )


def _salt(kept: Path) -> bytes:
    if not kept.exists():
        _make(kept)
    return kept.read_bytes()


def _make(kept: Path) -> None:
    """Whole or not at all; of several who make one at once, the first is kept."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, prefix=".salt-") as file:
        file.write(get_random_string(LENGTH))
        file.flush()
        try:
            os.link(file.name, kept)
        except FileExistsError:
            return
