"""From stored values to what a radiologist would see, against pydicom as oracle."""

import numpy as np
import pytest
from pydicom import Dataset, Sequence
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from inference.grayscale import display
from inference.unreadable import UnreadableFrame

SHAPE = (64, 64)
PIXELS = np.random.default_rng(4).integers(0, 4096, SHAPE).astype(np.uint16)


def header(**tags: object) -> Dataset:
    ds = Dataset()
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelRepresentation = 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def table(data: list[int], first: int, bits: int, kind: str | None = None) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(data), first, bits]
    item.add_new("LUTData", "US", data)
    if kind:
        item.ModalityLUTType = kind
    return Sequence([item])


def shown(
    ds: Dataset, low: float, high: float, pixels: np.ndarray = PIXELS
) -> np.ndarray:
    """pydicom's rendering, its output range [low, high] brought to [0, 255]."""
    units = apply_modality_lut(pixels, ds)
    return (apply_voi_lut(units, ds, index=0).astype(float) - low) / (high - low) * 255


def agree(pixels: np.ndarray, expected: np.ndarray) -> bool:
    return np.abs(pixels - expected).max() <= 0.51


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("center", "width"), [(2000, 1500), (300.5, 2), (4000, 900)])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.5, -100), (2, 30)])
def test_a_window_is_applied_as_the_standard_says(
    function, center, width, slope, intercept
):
    ds = header(
        WindowCenter=center * slope + intercept,
        WindowWidth=max(width * slope, 2),
        RescaleSlope=slope,
        RescaleIntercept=intercept,
    )
    if function:
        ds.VOILUTFunction = function
    low, high = intercept, 4095 * slope + intercept
    assert agree(display(PIXELS, ds), shown(ds, low, high))


def test_of_several_windows_the_first_counts():
    several = header(WindowCenter=[1000, 3000], WindowWidth=[500, 900])
    one = header(WindowCenter=1000, WindowWidth=500)
    assert (display(PIXELS, several) == display(PIXELS, one)).all()


def test_a_width_of_one_is_a_threshold():
    pixels = display(PIXELS, header(WindowCenter=2048, WindowWidth=1))
    assert (pixels == np.where(PIXELS > 2047.5, 255, 0)).all()


@pytest.mark.parametrize("signed", [False, True])
def test_a_voi_table_goes_before_a_window(signed):
    steps = (np.linspace(0, 1, 2000) ** 2 * 1023).astype(int).tolist()
    ds = header(VOILUTSequence=table(steps, 700, 10), WindowCenter=1, WindowWidth=2)
    assert agree(display(PIXELS, ds), shown(ds, 0, 1023))


def test_a_modality_table_comes_first():
    steps = (np.sqrt(np.linspace(0, 1, 4096)) * 65535).astype(int).tolist()
    ds = header(
        ModalityLUTSequence=table(steps, 0, 16, "US"),
        WindowCenter=40000,
        WindowWidth=30000,
    )
    units = apply_modality_lut(PIXELS, ds).astype(float)
    expected = ((units - 39999.5) / 29999 + 0.5).clip(0, 1) * 255
    assert agree(display(PIXELS, ds), expected)


@pytest.mark.parametrize("kind", ["US", "OW"])
def test_a_long_table_of_eight_bits_rises_to_its_end(kind):
    """pydicom 3.0 takes its indices modulo 256."""
    steps = np.rint(np.linspace(0, 255, 4096)).astype(int).tolist()
    long = table(steps, 0, 8)
    if kind == "OW":
        data = np.asarray(steps, "<u2").tobytes()
        long[0].add_new("LUTData", "OW", data)
    expected = np.asarray(steps)[PIXELS]
    assert agree(display(PIXELS, header(VOILUTSequence=long)), expected)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_modality_table_may_have_any_depth(bits):
    steps = np.rint(np.linspace(0, 2**bits - 1, 4096)).astype(int).tolist()
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
    ds = header(ModalityLUTSequence=table(steps, 0, bits, "US"), **window)
    assert agree(display(PIXELS, ds), np.asarray(steps)[PIXELS] / (2**bits - 1) * 255)


def test_the_first_value_of_a_signed_table_may_be_written_unsigned():
    signed = (PIXELS.astype(np.int16) - 2048).view(np.uint16) & np.uint16(0x0FFF)
    steps = (np.linspace(0, 1, 4096) ** 2 * 4095).astype(int).tolist()
    ds = header(PixelRepresentation=1, VOILUTSequence=table(steps, 65536 - 2048, 12))
    same = header(VOILUTSequence=table(steps, 0, 12))
    assert (display(signed, ds) == display(PIXELS, same)).all()


def test_signed_values_are_signed():
    signed = (PIXELS.astype(np.int16) - 2048).view(np.uint16) & np.uint16(0x0FFF)
    ds = header(PixelRepresentation=1, WindowCenter=0, WindowWidth=2000)
    same = header(WindowCenter=2048, WindowWidth=2000)
    assert (display(signed, ds) == display(PIXELS, same)).all()


@pytest.mark.parametrize(
    ("photometric", "shape", "dark"),
    [
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_dense_is_bright_however_it_was_stored(photometric, shape, dark):
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    ds = header(PhotometricInterpretation=photometric, **window)
    if shape:
        ds.PresentationLUTShape = shape
    plain = display(PIXELS, header(**window))
    assert (display(PIXELS, ds) == (255 - plain if dark else plain)).all()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_moves_no_window(photometric):
    padded = PIXELS // 4 + 500
    padded[:, :20] = 4000
    ds = header(PixelPaddingValue=4000, PhotometricInterpretation=photometric)
    pixels = display(padded, ds)
    assert (pixels[:, :20] == 0).all()
    assert pixels[:, 20:].max() == 255 and 100 < pixels[:, 20:].mean() < 155


def test_a_range_of_padding_is_black():
    ds = header(PixelPaddingValue=0, PixelPaddingRangeLimit=1000)
    pixels = display(PIXELS, ds)
    assert (pixels[PIXELS <= 1000] == 0).all()
    assert pixels[PIXELS > 1400].min() > 0


def test_without_a_window_a_few_hot_pixels_do_not_darken_the_rest():
    flat = PIXELS // 16 + 1000
    flat[0, :2] = 4095
    pixels = display(flat, header())
    assert pixels[8:].max() >= 250 and pixels[8:].min() <= 5


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 60000, "WindowWidth": 10},
        {"WindowCenter": -60000, "WindowWidth": 10},
        {"WindowCenter": 2000, "WindowWidth": 0},
        {"WindowCenter": 2000, "WindowWidth": -5},
        {"WindowCenter": 2000},
        {"WindowCenter": "", "WindowWidth": ""},
    ],
    ids=str,
)
def test_a_window_that_shows_nothing_is_disregarded(window):
    assert (display(PIXELS, header(**window)) == display(PIXELS, header())).all()


def test_padding_makes_no_picture_of_a_window_that_shows_nothing():
    ds = header(WindowCenter=50000, WindowWidth=100, PixelPaddingValue=0)
    padded = PIXELS.copy()
    padded[:20] = 0
    found = display(padded, ds)
    assert (found[:20] == 0).all()
    assert len(np.unique(found[20:])) > 200


def test_an_image_of_padding_alone_is_blank():
    ds = header(PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    with pytest.raises(UnreadableFrame, match="nothing but padding"):
        display(PIXELS, ds)


def test_what_lies_between_the_lines_of_the_sample_is_seen():
    ds = header(PixelPaddingValue=0)
    padded = np.zeros((512, 512), np.uint16)
    padded[1::4] = np.tile(PIXELS, (2, 8))
    assert len(np.unique(display(padded, ds))) > 200
