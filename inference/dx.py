"""From plain pixels to a digital radiograph as DICOM: phantoms, and pictures to push.

The object is a Digital X-Ray Image Storage - For Presentation (PS3.3 A.26), with
every attribute filled that its mandatory modules want filled.
"""

import hashlib
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np
from pydicom import FileDataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from inference import picture

NAMESPACE = UUID("6f3c1c1e-5a0b-4d8e-9b57-05e30a0051ee")  # ours alone
JPEG = b"\xff\xd8"

# Attributes of type 1 and 2 in the modules of PS3.3 A.26.3 that say the same for
# every image; an empty one is of type 2. Spacing, orientation and laterality must
# not be empty, so they are nominal until the caller knows better.
NOMINAL: dict[str, object] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "ImageType": ["ORIGINAL", "PRIMARY", ""],
    "StudyDate": "",
    "StudyTime": "",
    "ContentDate": "",
    "ContentTime": "",
    "AccessionNumber": "",
    "Modality": "DX",
    "PresentationIntentType": "FOR PRESENTATION",
    "Manufacturer": "Osteon",
    "ReferringPhysicianName": "",
    "AnatomicRegionSequence": [],
    "PatientBirthDate": "",
    "PatientSex": "",
    "DetectorType": "",
    "ImagerPixelSpacing": [0.15, 0.15],  # mm; between rows, between columns
    "StudyID": "",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
    "PatientOrientation": ["L", "F"],
    "ImageLaterality": "U",
    "AcquisitionContextSequence": [],
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,  # dense is bright: less X-ray, higher value
    "RescaleIntercept": 0,
    "RescaleSlope": 1,
    "RescaleType": "US",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PresentationLUTShape": "IDENTITY",
}


def uid(*seed: str) -> str:
    """The same UID for the same words, below 2.25 (PS3.5 B.2)."""
    return f"2.25.{uuid5(NAMESPACE, '|'.join(seed)).int}"


def dx_dataset(
    pixels: np.ndarray,
    *,
    patient_id: str,
    patient_name: str,
    study_uid: str,
    series_uid: str,
    sop_uid: str,
    bits_stored: int | None = None,
    **tags: object,
) -> FileDataset:
    """One radiograph, ready for `save_as(…, enforce_file_format=True)`.

    pixels: uint8 or uint16 (rows, columns), dense is bright, [0, 2**bits_stored).
    bits_stored: 8 for uint8; 12 for uint16 unless said otherwise. tags: DICOM
    keywords that replace or add attributes, BodyPartExamined="WRIST". The window
    covers the whole range. Raises ValueError for pixels that do not fit, and for
    an unknown keyword.
    """
    if pixels.ndim != 2:
        raise ValueError(f"expected (rows, columns), not {pixels.shape}")
    bits = 8 if pixels.dtype == np.uint8 else bits_stored or 12
    ds = _shell(sop_uid)
    ds.set_pixel_data(pixels, "MONOCHROME2", bits, generate_instance_uid=False)
    identity = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": sop_uid,
        "StudyInstanceUID": study_uid,
        "SeriesInstanceUID": series_uid,
        "PatientID": patient_id,
        "PatientName": patient_name,
    }
    window = {"WindowCenter": 1 << (bits - 1), "WindowWidth": 1 << bits}
    for keyword, value in (NOMINAL | window | identity | tags).items():
        if tag_for_keyword(keyword) is None:
            raise ValueError(f"{keyword} is no DICOM keyword")
        setattr(ds, keyword, value)
    return ds


def wrap(path: Path) -> FileDataset:
    """A PNG or JPEG file as a study of its own, named by its content.

    Wrapped again, under whatever name, it keeps its UIDs. The accession number is
    the head of the file's name, so that a person finds it. Raises UnreadableFrame.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    pixels = picture.frame(data).pixels
    return dx_dataset(
        pixels,
        patient_id=f"PICTURE-{digest[:12].upper()}",
        patient_name="",
        study_uid=uid(digest, "study"),
        series_uid=uid(digest, "series"),
        sop_uid=uid(digest, "image"),
        AccessionNumber=path.stem.replace("\\", "_")[:16],
        BurnedInAnnotation="YES",  # nobody has looked
        **_lossy(data, pixels.nbytes),
    )


def _shell(sop_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return FileDataset(
        "", {}, preamble=b"\0" * 128, file_meta=meta, is_implicit_VR=False
    )


def _lossy(data: bytes, plain_bytes: int) -> dict[str, object]:
    """What PS3.3 C.8.11.3 wants said of pixels that went through JPEG."""
    if not data.startswith(JPEG):
        return {}
    return {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": round(max(plain_bytes / len(data), 1), 2),
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
