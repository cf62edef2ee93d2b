"""The viewer: original pixels, and explanations that lie on them."""

import re

import cv2
import imagecodecs
import numpy as np
import pytest
from playwright.sync_api import expect
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from clinic.models import Instance, Prediction
from inference import grayscale
from tests.browser.scenes import landmark_dx, landmark_png
from tests.browser.screen import open_study, painted, pixels, ready
from tests.clinic.factories import SR, add_instance

SOON = 10_000  # ms: a page looks every second


def centres(picture, is_marked):
    """(x, y) of each marked region of `picture` that lies wholly inside it."""
    marked = is_marked(picture.astype(int)).astype(np.uint8)
    marked[:32] = marked[-32:] = 0  # the pane's own words
    count, _, stats, centroids = cv2.connectedComponentsWithStats(marked)
    rows, columns = marked.shape
    found = []
    for (x, y, width, height, area), centre in zip(stats[1:count], centroids[1:count]):
        inside = x > 1 and y > 33 and x + width < columns - 1 and y + height < rows - 33
        if inside and area > 20:
            found.append(centre)
    return found


def white(picture):
    return picture.min(axis=2) > 150


def green(picture):
    return (picture[..., 1] > 150) & (picture[..., 0] < 110) & (picture[..., 2] < 110)


VIEWS = {
    "as it opens": "",
    "zoomed out": "- -",
    "panned": "Shift+ArrowLeft Shift+ArrowUp",
    "zoomed in and panned": "+ + + Shift+ArrowRight Shift+ArrowRight Shift+ArrowDown",
    "turned": "t",
    "mirrored": "h",
    "turned, mirrored and zoomed": "t h - Shift+ArrowUp",
    "two panes": "2",
    "four panes": "4",
}


@pytest.mark.parametrize(
    ("window", "rows", "spacing"),
    [
        ((1366, 768), 2000, [0.15, 0.15]),
        ((1600, 1000), 2000, [0.3, 0.2]),
        ((1366, 768), 120, [0.15, 0.15]),
    ],
    ids=["fine", "large window, oblong pixels", "coarse: half a pixel shows"],
)
def test_the_overlay_lies_on_the_anatomy(page, sign_in, scene, window, rows, spacing):
    """Bright landmarks of the image and green ones of its overlay, on the screen."""
    study = scene.push(landmark_dx(rows, rows * 3 // 4, ImagerPixelSpacing=spacing))
    scene.explain(scene.read(study), landmark_png)
    sign_in()
    page.set_viewport_size({"width": window[0], "height": window[1]})
    open_study(page, study)
    for _ in range(4):
        page.keyboard.press("]")
    worst, compared = 0.0, 0
    for name, keys in VIEWS.items():
        image, overlay = landmarks_seen(page, keys.split())
        assert image and len(image) == len(overlay), name
        for one in image:
            distance = min(float(np.hypot(*(one - other))) for other in overlay)
            assert distance <= 2, (name, one, overlay)
            worst, compared = max(worst, distance), compared + 1
    print(f"{compared} landmarks compared, at most {worst:.2f} screen pixels apart")


def landmarks_seen(page, keys):
    """Centres of the landmarks of image and overlay, after `keys` from a fresh pane."""
    page.keyboard.press("1")
    page.keyboard.press("r")
    ready(page)
    for key in keys:
        page.keyboard.press(key)
    painted(page)
    pane = page.locator(".pane").first
    image = centres(pixels(pane), white)
    page.keyboard.press("l")
    painted(page)
    overlay = centres(pixels(pane), green)
    page.keyboard.press("o")
    return image, overlay


def plain(ds):
    return ds


def monochrome1(ds):
    """The same picture, written with low values as white."""
    ds.set_pixel_data(4095 - ds.pixel_array, "MONOCHROME1", 12)
    ds.PresentationLUTShape = "INVERSE"
    return ds


def table(ds):
    """Only the VOI LUT tells that everything below 3400 is background."""
    pixels = ds.pixel_array.copy()
    pixels[pixels == 300] = 3000
    pixels[0, 0] = 0
    ds.set_pixel_data(pixels, "MONOCHROME2", 12)
    del ds.WindowCenter, ds.WindowWidth
    lut = Dataset()
    lut.LUTDescriptor = [696, 3400, 16]
    lut.LUTData = np.linspace(0, 65535, 696).astype("<u2").tobytes()
    lut["LUTData"].VR = "OW"
    ds.VOILUTSequence = Sequence([lut])
    return ds


def jpeg2000(pixels):
    return imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k")


def jpeg(pixels):
    return imagecodecs.jpeg8_encode(pixels, 95)


def compressed(syntax, encode):
    def compress(ds):
        ds.PixelData = encapsulate([encode(ds.pixel_array)])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = syntax
        return ds

    return compress


def deflated(ds):
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return ds


def rle(ds):
    ds.compress(RLELossless, generate_instance_uid=False)
    return ds


def baseline(ds):
    eight = (ds.pixel_array >> 4).astype(np.uint8)
    ds.set_pixel_data(eight, "MONOCHROME2", 8, generate_instance_uid=False)
    ds.WindowCenter, ds.WindowWidth = 128, 256
    return compressed(JPEGBaseline8Bit, jpeg)(ds)


ENCODED = {
    "JPEG lossless": (JPEGLosslessSV1, imagecodecs.ljpeg_encode),
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode),
    "JPEG 2000": (JPEG2000Lossless, jpeg2000),
}


@pytest.mark.parametrize(
    "written",
    [
        *(plain, monochrome1, table, deflated, rle, baseline),
        *(compressed(*way) for way in ENCODED.values()),
    ],
    ids=["plain", "MONOCHROME1", "VOI LUT", "deflated", "RLE", "JPEG", *ENCODED],
)
def test_bone_is_bright_however_it_was_written(page, sign_in, scene, written):
    study = scene.push(written(landmark_dx()))
    sign_in()
    open_study(page, study)
    painted(page)
    picture = pixels(page.locator(".pane"))
    assert len(centres(picture, white)) == 3
    assert np.median(picture) < 60
    page.keyboard.press("i")
    painted(page)
    assert np.median(pixels(page.locator(".screen"))[:, 300:700]) > 150


STEPS = np.linspace(0, 4095, 12).astype(np.uint16)  # stored values, band by band


def lut(values, first, bits, vr="US"):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    data = np.asarray(values).astype("<u2")
    item.add_new("LUTData", vr, data.tobytes() if vr == "OW" else data.tolist())
    return [item]


def curve(power, entries, bits):
    """A table that rises by a power: far from any window."""
    top = 2**bits - 1
    return np.rint(np.linspace(0, 1, entries) ** power * top)


TABLES = {
    "VOI LUT": {"VOILUTSequence": lut(curve(3, 4096, 12), 0, 12)},
    "VOI LUT over a part, as words": {
        "VOILUTSequence": lut(curve(0.4, 2000, 16), 1000, 16, "OW"),
        "WindowCenter": 100,  # the table goes before the window
        "WindowWidth": 50,
    },
    "VOI LUT of MONOCHROME1": {
        "VOILUTSequence": lut(curve(2, 4096, 10), 0, 10),
        "PhotometricInterpretation": "MONOCHROME1",
        "PresentationLUTShape": "INVERSE",
    },
    "VOI LUT after a slope": {
        "VOILUTSequence": lut(curve(2, 4096, 12), 1000, 12),
        "RescaleSlope": 2,
        "RescaleIntercept": 500,
    },
    "Modality LUT, then a window": {
        "ModalityLUTSequence": lut(curve(0.5, 4096, 16), 0, 16),
        "WindowCenter": 40000,
        "WindowWidth": 30000,
    },
    "Modality LUT that falls, then a VOI LUT": {
        "ModalityLUTSequence": lut(curve(2, 4096, 16)[::-1], 0, 16),
        "VOILUTSequence": lut(curve(0.5, 60000, 8), 2000, 8, "OW"),
    },
}


DARK = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
GREYS = {
    "no window, and outliers": {**NO_WINDOW, "outlier": 65000},
    "no window, MONOCHROME1": {**NO_WINDOW, **DARK, "outlier": 65000},
    "a modality LUT and no window": {
        **NO_WINDOW,
        "ModalityLUTSequence": lut(curve(0.5, 4096, 16), 0, 16),
    },
    "a window that misses the picture": {"WindowCenter": 50000, "WindowWidth": 100},
    "a window that shows padding alone": {
        **{"WindowCenter": 50000, "WindowWidth": 100},
        "PixelPaddingValue": 4095,
    },
    "a window without width": {"WindowCenter": 2000, "WindowWidth": 0},
    "several windows": {"WindowCenter": [1500, 3000], "WindowWidth": [1000, 50]},
    "LINEAR_EXACT": {"VOILUTFunction": "LINEAR_EXACT", "WindowWidth": 9},
    "SIGMOID": {"VOILUTFunction": "SIGMOID", "WindowWidth": 1500},
    "INVERSE of MONOCHROME2": {"PresentationLUTShape": "INVERSE"},
    "INVERSE and no window": {**NO_WINDOW, "PresentationLUTShape": "INVERSE"},
    "padding that is brightest": {"PixelPaddingValue": 4095},
    "padding in the middle, no window": {**NO_WINDOW, "PixelPaddingValue": 1489},
    "padding of MONOCHROME1": {**DARK, "PixelPaddingValue": 0},
    "a range of padding": {
        **NO_WINDOW,
        "PixelPaddingValue": 3350,
        "PixelPaddingRangeLimit": 4095,
    },
    "padding before a slope": {
        "PixelPaddingValue": 4095,
        "RescaleSlope": 0.5,
        "RescaleIntercept": -100,
        "WindowCenter": 900,
        "WindowWidth": 2000,
    },
    "padding before a VOI LUT": {
        "PixelPaddingValue": 4095,
        "VOILUTSequence": lut(curve(2, 4096, 12), 0, 12),
    },
    "negative padding": {**NO_WINDOW, "signed": True, "PixelPaddingValue": -2048},
}


def banded(*, outlier=0, signed=False, **tags):
    """Upright bands of rising stored value."""
    ds = landmark_dx(480, 480)
    pixels = np.repeat(STEPS, 40)[None].repeat(480, axis=0)
    if outlier:
        pixels[:10, :10] = outlier
    if signed:
        pixels = pixels.astype(np.int16) - 2048
    bits = 16 if outlier else 12
    ds.set_pixel_data(pixels, "MONOCHROME2", bits, generate_instance_uid=False)
    if "ModalityLUTSequence" in tags:
        del ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType
        tags["ModalityLUTSequence"][0].ModalityLUTType = "US"
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
        if value is None:
            delattr(ds, keyword)
    return ds


def drawn(page):
    """The grey in the middle of each band, on the screen."""
    matrix = page.locator("img.overlay").first.evaluate("e => e.style.transform")
    a, _, _, d, e, f = map(float, re.findall(r"-?[\d.e-]+", matrix.split("(")[1]))
    picture = pixels(page.locator(".screen").first)
    row = round(d * 240 + f)
    return [int(picture[row, round(a * (40 * i + 20) + e), 0]) for i in range(12)]


def given(ds):
    """The greys of the bands as the model is given them."""
    words = ds.pixel_array.view(np.uint16)
    return grayscale.display(words, ds)[240, 20::40].astype(int)


@pytest.mark.parametrize("tags", TABLES.values(), ids=TABLES)
def test_tables_draw_the_greys_that_the_model_is_given(page, sign_in, scene, tags):
    ds = banded(**tags)
    wanted = given(ds)
    study = scene.push(ds)
    sign_in()
    open_study(page, study)
    for _ in range(2):
        painted(page)
        assert np.abs(np.array(drawn(page)) - wanted).max() <= 2, (drawn(page), wanted)
        page.keyboard.press("r")  # once more, from cornerstone's cache
        ready(page)


def test_people_see_first_the_greys_that_the_model_is_given(page, sign_in, scene):
    """Padding, INVERSE, and what has no window that shows it."""
    sign_in()
    wrong = {}
    for number, (name, tags) in enumerate(GREYS.items()):
        ds = banded(**tags)
        ds.StudyInstanceUID = f"1.2.3.5.{number}"
        ds.SeriesInstanceUID = f"1.2.3.5.{number}.1"
        ds.SOPInstanceUID = f"1.2.3.5.{number}.1.1"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        open_study(page, scene.push(ds))
        painted(page)
        wanted, seen = given(ds), np.array(drawn(page))
        if np.abs(seen - wanted).max() > 2:
            wrong[name] = f"{seen.tolist()} is not {wanted.tolist()}"
    assert not wrong


def test_dragging_the_mouse_changes_the_window(page, sign_in, scene):
    study = scene.push(landmark_dx())
    sign_in()
    open_study(page, study)
    figures = page.locator(".pane-figures")
    expect(figures).to_contain_text("W 4096 L 2048")
    page.mouse.move(500, 400)
    page.mouse.down()
    page.mouse.move(560, 460, steps=5)
    page.mouse.up()
    expect(figures).not_to_contain_text("W 4096 L 2048")
    page.keyboard.press("r")
    expect(figures).to_contain_text("W 4096 L 2048")


def test_the_wheel_zooms_and_a_shift_drag_pans(page, sign_in, scene):
    study = scene.push(landmark_dx())
    sign_in()
    open_study(page, study)
    painted(page)
    before = centres(pixels(page.locator(".pane")), white)
    page.mouse.move(500, 400)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(540, 430, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    painted(page)
    after = centres(pixels(page.locator(".pane")), white)
    assert np.abs(after[0] - before[0] - [40, 30]).max() < 2
    zoom = page.locator(".pane-figures").inner_text()
    page.mouse.wheel(0, -300)
    expect(page.locator(".pane-figures")).not_to_have_text(zoom)


def test_what_cannot_be_drawn_is_listed_with_its_reason(page, sign_in, scene):
    study = scene.phantom(1, probability=0.3)
    add_instance(study, sop_class=SR, role=Instance.Role.OTHER)
    broken = study.prediction.images.first()
    broken.state, broken.probability = Prediction.State.UNREADABLE, None
    broken.reason = "The pixel data ends early."
    broken.save()
    sign_in()
    open_study(page, study)
    expect(page.locator(".pane")).to_have_count(1)
    expect(page.locator(".images")).to_contain_text("The pixel data ends early.")
    expect(page.locator(".images")).to_contain_text(
        "Not an image: Basic Text SR Storage"
    )


def test_pixels_that_do_not_decode_are_a_sentence(page, sign_in, scene, complaints):
    ds = compressed(*ENCODED["JPEG-LS"])(landmark_dx())
    ds.PixelData = encapsulate([b"\xff\xd8 this is no picture \xff\xd9"])
    study = scene.push(ds)
    sign_in()
    open_study(page, study, panes=0)
    expect(page.locator(".pane-message")).to_contain_text("could not be decoded")
    complaints.clear()  # cornerstone says so on the console, too


def test_an_image_that_left_the_pacs_is_a_sentence(
    page, sign_in, scene, complaints, settings
):
    study = scene.push(landmark_dx())
    for file in (settings.EMBEDDED_ROOT / "files").rglob("*.dcm"):
        file.unlink()
    sign_in()
    open_study(page, study, panes=0)
    expect(page.locator(".pane-message")).to_contain_text("has this image no more")
    complaints.clear()


def test_the_explanation_appears_when_it_has_been_computed(page, sign_in, scene):
    study = scene.phantom(2)
    prediction = scene.read(study, explanation=Prediction.Explanation.WAITING)
    sign_in()
    open_study(page, study, panes=2)
    page.keyboard.press("l")
    expect(page.locator("#reading")).to_contain_text("explanation is being computed")
    expect(page.locator(".pane-figures").first).to_contain_text("no LRP map")
    scene.explain(prediction)
    expect(page.locator("img.overlay:visible")).to_have_count(2, timeout=SOON)
    expect(page.locator("#reading")).not_to_contain_text("being computed", timeout=SOON)


def test_a_study_opened_before_it_is_read_shows_the_reading_by_itself(
    page, sign_in, scene
):
    study = scene.phantom(3)
    sign_in()
    open_study(page, study, panes=2)
    expect(page.locator("#reading")).to_contain_text("Not read yet")
    expect(page.locator("#verdict-form")).to_have_count(0)
    scene.read(study, 0.87)
    expect(page.locator("#reading h2").first).to_contain_text("87 %", timeout=SOON)
    expect(page.locator("#verdict-form")).to_have_count(1)
