from io import BytesIO

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from inference import dicom
from inference.dx import NOMINAL, dx_dataset, uid, wrap
from inference.unreadable import UnreadableFrame

# PS3.3 A.26.3: attributes of type 1 in the mandatory modules of this object.
TYPE_1 = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality "
    "PresentationIntentType ImageLaterality ImageType SamplesPerPixel "
    "PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit "
    "PixelRepresentation PixelIntensityRelationship PixelIntensityRelationshipSign "
    "RescaleIntercept RescaleSlope RescaleType PresentationLUTShape "
    "LossyImageCompression PatientOrientation BurnedInAnnotation ImagerPixelSpacing "
    "WindowCenter WindowWidth PixelData"
)
TYPE_2 = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime "
    "ReferringPhysicianName StudyID AccessionNumber SeriesNumber InstanceNumber "
    "Manufacturer DetectorType AnatomicRegionSequence AcquisitionContextSequence"
)


def made(pixels, **tags):
    identity = {
        "patient_id": "P1",
        "patient_name": "Müller^Жанна",
        "study_uid": uid("study"),
        "series_uid": uid("series"),
        "sop_uid": uid("image"),
    }
    return dx_dataset(pixels, **identity, **tags)


def read_back(ds):
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


@pytest.fixture
def twelve_bit():
    pixels = np.random.default_rng(5).integers(0, 4096, (31, 47)).astype(np.uint16)
    pixels.flat[:2] = 0, 4095
    return pixels


def test_every_mandatory_attribute_is_there(twelve_bit):
    ds = read_back(made(twelve_bit))
    missing = [k for k in TYPE_1.split() if k not in ds or ds[k].is_empty]
    assert not missing
    assert not [k for k in TYPE_2.split() if k not in ds]


@pytest.mark.parametrize("shape", [(31, 47), (30, 40)])
def test_twelve_bits_come_back_as_they_went_in(shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    ds = read_back(made(pixels))
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (16, 12, 11)
    assert (ds.pixel_array == pixels).all()


def test_eight_bits_stay_eight_bits_even_where_their_number_is_odd():
    pixels = np.arange(3 * 5, dtype=np.uint8).reshape(3, 5)
    ds = read_back(made(pixels))
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (8, 8, 7)
    assert (ds.pixel_array == pixels).all()


def test_the_whole_range_is_shown(twelve_bit):
    shown = dicom.frame(made(twelve_bit)).pixels
    assert shown.flat[0] == 0
    assert shown.flat[1] == 255


def test_names_in_any_script_survive(twelve_bit):
    assert str(read_back(made(twelve_bit)).PatientName) == "Müller^Жанна"


def test_a_tag_given_replaces_the_nominal_one(twelve_bit):
    ds = made(twelve_bit, BodyPartExamined="WRIST", ImageLaterality="R")
    assert (ds.BodyPartExamined, ds.ImageLaterality) == ("WRIST", "R")
    assert NOMINAL["ImageLaterality"] == "U"


def test_a_misspelt_keyword_is_refused(twelve_bit):
    with pytest.raises(ValueError, match="BodyPart"):
        made(twelve_bit, BodyPart="WRIST")


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((4, 4), 4096, np.uint16),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.float32),
    ],
)
def test_pixels_that_do_not_fit_are_refused(pixels):
    with pytest.raises(ValueError):
        made(pixels)


def test_the_same_words_make_the_same_valid_uid():
    assert uid("a", "b") == uid("a", "b") != uid("a", "c")
    assert uid("a", "b") != uid("ab")
    assert uid("a").startswith("2.25.")
    assert len(uid("a")) <= 64


@pytest.fixture
def picture(tmp_path):
    def save(name, seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 30)).astype(np.uint8)
        path = tmp_path / name
        cv2.imwrite(str(path), pixels)
        return path

    return save


def test_a_wrapped_png_holds_the_pixels_of_the_file(picture):
    path = picture("IMG0000123.png")
    ds = read_back(wrap(path))
    assert (ds.pixel_array == cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).all()
    assert ds.AccessionNumber == "IMG0000123"
    assert ds.LossyImageCompression == "00"


def test_a_wrapped_jpeg_says_that_it_lost_something(picture):
    ds = read_back(wrap(picture("x.jpg")))
    assert ds.LossyImageCompression == "01"
    assert ds.LossyImageCompressionRatio >= 1
    assert ds.LossyImageCompressionMethod == "ISO_10918_1"


def test_a_picture_is_known_by_its_content_alone(picture):
    one, again, other = (
        wrap(picture(*args)) for args in [("a.png",), ("b.png",), ("c.png", 1)]
    )
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID")
    for keyword in uids:
        assert one[keyword] == again[keyword] != other[keyword]
    assert len({one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID}) == 3


def test_a_file_name_of_any_length_and_spelling_is_taken(picture):
    ds = read_back(wrap(picture("röntgen\\" + "x" * 60 + ".png")))
    assert ds.AccessionNumber == "röntgen_xxxxxxxx"


def test_a_truncated_picture_is_not_wrapped(picture, tmp_path):
    short = tmp_path / "short.jpg"
    short.write_bytes(picture("whole.jpg").read_bytes()[:-200])
    with pytest.raises(UnreadableFrame):
        wrap(short)
