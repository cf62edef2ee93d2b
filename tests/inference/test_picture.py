"""Pictures are decoded strictly, or refused with the reason."""

import csv
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inference.picture import frame
from inference.unreadable import UnreadableFrame

GREY = (np.add.outer(np.arange(90), np.arange(70)) * 255 / 158).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    mode = options.pop("mode", None)
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadableFrame) as caught:
        frame(data)
    assert caught.value.reason.endswith(".")
    return caught.value.code


def test_a_grey_png_comes_out_as_it_went_in(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(GREY, "PNG"))
    for source in (path, path.read_bytes()):
        found = frame(source, "2.25.3")
        assert found.uid == "2.25.3" and found.pixels.dtype == np.uint8
        assert (found.pixels == GREY).all()


def test_a_jpeg_is_decoded():
    found = frame(encoded(GREY, "JPEG", quality=95)).pixels
    assert np.abs(found.astype(int) - GREY).max() < 8


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_equal_channels_are_grey(kind, mode):
    if kind == "JPEG" and mode != "RGB":
        mode = "CMYK" if mode == "RGBA" else "L"
    pixels = frame(encoded(GREY, kind, mode=mode)).pixels
    assert np.abs(pixels.astype(int) - GREY).max() < 12


def test_a_coloured_picture_is_refused():
    photo = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)
    assert refusal(encoded(photo, "PNG")) == "colour"
    assert refusal(encoded(photo, "JPEG", quality=90)) == "colour"


def test_a_coloured_dot_is_forgiven():
    marked = np.stack([GREY] * 3, axis=2)
    marked[3:5, 3:6] = (255, 0, 0)
    assert frame(encoded(marked, "PNG")).pixels.shape == GREY.shape


def test_sixteen_bits_are_stretched_over_eight():
    deep = (GREY.astype(np.uint16) * 40) + 3000
    found = frame(encoded(deep, "PNG")).pixels
    assert found.min() == 0 and found.max() == 255
    assert np.abs(found.astype(int) - GREY).max() < 12


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_short_is_never_filled_up(kind, share):
    noisy = np.random.default_rng(0).integers(0, 255, (200, 150)).astype(np.uint8)
    data = encoded(noisy, kind)
    assert refusal(data[: int(len(data) * share)]) == "truncated"


def test_a_jpeg_without_its_last_two_bytes_is_cut_short():
    noisy = np.random.default_rng(0).integers(0, 255, (200, 150)).astype(np.uint8)
    assert refusal(encoded(noisy, "JPEG")[:-40]) == "truncated"


@pytest.mark.parametrize(
    "data", [b"", b"text", b"GIF89a" + b"\0" * 99, b"\xff\xd8" + b"\0" * 99], ids=repr
)
def test_what_is_no_picture_is_undecodable(data):
    assert refusal(data) in {"undecodable", "truncated"}


def test_why_a_picture_is_not_read_is_said_in_fixed_sentences():
    noisy = np.random.default_rng(0).integers(0, 255, (200, 150)).astype(np.uint8)
    said = set()
    for data in b"text", b"\xff\xd8" + b"\0" * 99, encoded(noisy, "PNG")[:9000]:
        with pytest.raises(UnreadableFrame) as caught:
            frame(data)
        said.add(caught.value.reason)
    assert said == {"The picture cannot be decoded.", "The picture ends early."}


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_give_a_frame_or_a_reason(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(GREY, ("PNG", "JPEG")[seed % 2]))
    for at in rng.integers(2, len(data), 8):
        data[at] = rng.integers(256)
    try:
        assert frame(bytes(data)).pixels.ndim == 2
    except UnreadableFrame as error:
        assert error.reason


def test_one_grey_all_over_is_blank():
    assert refusal(encoded(np.full((40, 40), 9, np.uint8), "PNG")) == "blank"


@pytest.mark.parametrize("side", [8100, 60000])
def test_a_small_file_that_promises_a_huge_picture_is_refused(side):
    data = bytearray(encoded(GREY, "PNG"))
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert refusal(bytes(data)) == "too_large"


def test_a_missing_file_is_not_the_files_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        frame(tmp_path / "gone.png")


def test_the_truncated_files_of_fracatlas_are_found(sample_data):
    """Every one of them is healthy: read leniently, they would teach a label."""
    folder = sample_data / "fracatlas"
    with (folder / "split_info.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    images = {path.name: path for path in (folder / "images").rglob("*.jpg")}
    cut = [row["image_id"] for row in rows if row["truncated"] == "1"]
    whole = [row["image_id"] for row in rows if row["truncated"] == "0"][::40]
    assert len(cut) > 10
    assert {refusal(images[name].read_bytes()) for name in cut} == {"truncated"}
    for name in whole:
        assert frame(images[name]).pixels.std() > 5
