"""Small radiographs to store and send, every one another patient's."""

import hashlib
from io import BytesIO
from uuid import uuid4

import numpy as np
from pydicom import Dataset, FileDataset

from inference.dx import dx_dataset, uid


def radiograph(study=None, *, pixels=0, name="Doe^Jane", **tags) -> FileDataset:
    """One image. study: what it shares with other images; pixels: a seed."""
    study = study or uuid4().hex
    grey = np.random.default_rng(pixels).integers(0, 4096, (24, 18)).astype(np.uint16)
    identity = {
        "patient_id": f"P-{study}",
        "patient_name": name,
        "study_uid": uid(study),
        "series_uid": uid(study, "series"),
        "sop_uid": tags.pop("sop_uid", uid(uuid4().hex)),
    }
    return dx_dataset(grey, **identity, **tags)


def as_bytes(ds: Dataset) -> bytes:
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def orthanc_ids(ds: Dataset) -> dict[str, str]:
    """Level -> identifier, by the rule that Orthanc's handbook gives."""
    words, found = [], {}
    for level, keyword in [
        ("Patient", "PatientID"),
        ("Study", "StudyInstanceUID"),
        ("Series", "SeriesInstanceUID"),
        ("Instance", "SOPInstanceUID"),
    ]:
        words.append(str(ds[keyword].value))
        digest = hashlib.sha1("|".join(words).encode()).hexdigest()
        found[level] = "-".join(digest[i : i + 8] for i in range(0, 40, 8))
    return found
