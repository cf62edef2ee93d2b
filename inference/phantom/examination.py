"""A phantom's two views as a study of DICOM objects, named so that none is mistaken."""

from datetime import datetime, timedelta

import numpy as np
from pydicom import FileDataset

from inference.dx import dx_dataset, uid
from inference.phantom.radiograph import Phantom, phantom
from inference.phantom.scene import stream
from inference.phantom.skeleton import Person, person

VIEWS = {"pa": "PA", "lateral": "LL"}
EPOCH = datetime(2024, 1, 8, 7, 30)
WORDS = (  # BodyPartExamined, StudyDescription, as departments write them
    ("WRIST", "Wrist 2 views"),
    ("WRIST", "XR WRIST PA AND LATERAL"),
    ("HANDGELENK", "Handgelenk in 2 Ebenen"),
    ("POIGNET", "Poignet face et profil"),
    ("MUÑECA", "Radiografía de muñeca"),
    ("POLSO", "Polso 2 proiezioni"),
    ("EXTREMITY", "Håndled"),
    ("HAND", "Pols AP/lateraal"),
)


def study(
    seed: int,
    *,
    fractured: bool | None = None,
    rows: int = 1024,
    columns: int = 800,
    **options: bool | float,
) -> list[FileDataset]:
    """Both views of the wrist that `seed` stands for, as 12-bit DX.

    options: as for `phantom`. Same arguments, same UIDs and bytes: pushed twice,
    it is one study.
    """
    drawn = {"fractured": fractured, "rows": rows, "columns": columns, **options}
    words = [str(seed), *(f"{key}={drawn[key]}" for key in sorted(drawn))]
    owner = person(stream(seed, "person"))
    visit = _visit(seed, owner)
    return [
        _image(
            phantom(seed, view=view, **drawn),
            view,
            number,
            words,
            visit | _laterality(owner, bool(options.get("both_wrists"))),
        )
        for number, view in enumerate(VIEWS, 1)
    ]


def _image(
    drawn: Phantom, view: str, number: int, words: list[str], visit: dict[str, object]
) -> FileDataset:
    low, high = np.percentile(drawn.pixels[::4, ::4], (0.5, 99.7))
    return dx_dataset(
        drawn.pixels,
        study_uid=uid("phantom", *words),
        series_uid=uid("phantom", *words, "series"),
        sop_uid=uid("phantom", *words, view),
        SeriesNumber=1,
        InstanceNumber=number,
        ViewPosition=VIEWS[view],
        ImagerPixelSpacing=[round(drawn.spacing, 4)] * 2,
        WindowCenter=round((low + high) / 2),
        WindowWidth=max(round(high - low), 64),
        **visit,
    )


def _visit(seed: int, owner: Person) -> dict[str, object]:
    """Who came when, and what the department called it."""
    rng = stream(seed, "visit")
    body, description = WORDS[rng.integers(len(WORDS))]
    when = EPOCH + timedelta(
        days=int(rng.integers(900)), minutes=int(rng.integers(660))
    )
    years = int(rng.integers(5, 15) if owner.child else rng.integers(19, 93))
    born = when - timedelta(days=365 * years + int(rng.integers(360)))
    day, minute = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    return {
        "patient_id": f"PHANTOM-{seed:04d}",
        "patient_name": f"PHANTOM^{seed:04d}",
        "PatientSex": "F" if owner.scale < 0.95 else "M",
        "PatientBirthDate": born.strftime("%Y%m%d"),
        "PatientAge": f"{years:03d}Y",
        "AccessionNumber": f"PH{seed:06d}",
        "StudyID": f"{seed:04d}",
        "StudyDate": day,
        "SeriesDate": day,
        "AcquisitionDate": day,
        "ContentDate": day,
        "StudyTime": minute,
        "ContentTime": minute,
        "BodyPartExamined": body,
        "StudyDescription": description,
        "InstitutionName": "Phantom Hospital",
        "ManufacturerModelName": "Phantom",
        "KVP": int(rng.integers(48, 60)),
        "ImageComments": "Synthetic radiograph, no patient",
    }


def _laterality(owner: Person, both: bool) -> dict[str, object]:
    return {"ImageLaterality": "B" if both else "R" if owner.right else "L"}
