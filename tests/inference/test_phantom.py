"""Phantoms are only worth something if what they claim about themselves is true."""

from io import BytesIO

import cv2
import numpy as np
import pytest

from inference.anatomy import judge, tags_of
from inference.dicom import frame, open_dataset
from inference.phantom import phantom, study

SEEDS = range(8)
VIEWS = ("pa", "lateral")


def spans(
    box: tuple[int, int, int, int], shape: tuple[int, int], margin: int
) -> np.ndarray:
    """Mask of `box` grown by `margin` pixels."""
    x, y, width, height = box
    mask = np.zeros(shape, bool)
    mask[
        max(y - margin, 0) : y + height + margin,
        max(x - margin, 0) : x + width + margin,
    ] = True
    return mask


def away(point: tuple[float, float], other: tuple[float, float]) -> np.ndarray:
    return np.array(point) - np.array(other)


def direction(marks: dict[str, tuple[float, float]]) -> float:
    """Degrees clockwise from upright in which the fingers point."""
    x, y = away(marks["fingers"], marks["forearm"])
    return float(np.degrees(np.arctan2(x, -y)))


@pytest.mark.parametrize("view", VIEWS)
def test_the_same_seed_gives_the_same_bytes(view):
    first, again, other = (phantom(seed, view=view) for seed in (3, 3, 4))
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert (first.box, first.landmarks) == (again.box, again.landmarks)
    assert first.pixels.tobytes() != other.pixels.tobytes()


@pytest.mark.parametrize("shape", [(512, 400), (300, 420), (1400, 1100)])
def test_pixels_are_twelve_bits_of_the_shape_asked_for(shape):
    found = phantom(5, rows=shape[0], columns=shape[1])
    assert found.pixels.shape == shape and found.pixels.dtype == np.uint16
    assert found.pixels.max() <= 4095 and found.pixels.std() > 100


def test_about_half_of_the_seeds_are_fractured():
    broken = [phantom(seed, rows=96, columns=80).fractured for seed in range(80)]
    assert 25 < sum(broken) < 55


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("seed", SEEDS)
class TestFracture:
    """What is broken is marked, and only that is different."""

    def test_a_box_lies_in_the_image(self, seed, view):
        found = phantom(seed, view=view, fractured=True)
        x, y, width, height = found.box
        rows, columns = found.pixels.shape
        assert 0 <= x < x + width <= columns and 0 <= y < y + height <= rows
        assert 6 <= width < columns / 2 and 4 <= height < rows / 3
        assert phantom(seed, view=view, fractured=False).box is None

    def test_it_changes_only_its_surroundings(self, seed, view):
        broken, whole = (
            phantom(seed, view=view, fractured=state) for state in (True, False)
        )
        change = np.abs(broken.pixels.astype(int) - whole.pixels)
        near = spans(broken.box, change.shape, margin=round(22 / broken.spacing))
        assert change[~near].max() <= 40  # scatter from the missing bone, of 4095
        assert change[near].max() > 150

    def test_the_box_holds_the_line(self, seed, view):
        """The bone's density drops most where it is cut."""
        broken, whole = (
            phantom(seed, view=view, fractured=state, noise=0.0)
            for state in (True, False)
        )
        loss = whole.pixels.astype(np.float32) - broken.pixels
        inside = spans(broken.box, loss.shape, margin=1)
        near = spans(broken.box, loss.shape, margin=round(12 / broken.spacing))
        assert np.abs(loss)[inside].mean() > 3 * np.abs(loss)[near & ~inside].mean()


@pytest.mark.parametrize("view", VIEWS)
def test_breaks_can_be_told_from_whole_bones(view):
    """A detector that knows nothing but dark lines finds more of them in breaks."""
    scores = {True: [], False: []}
    for seed in range(20):
        for state in scores:
            found = phantom(seed, view=view, fractured=state)
            box = phantom(seed, view=view, fractured=True).box
            pixels = cv2.GaussianBlur(found.pixels.astype(np.float32), (0, 0), 0.8)
            hat = cv2.morphologyEx(pixels, cv2.MORPH_BLACKHAT, np.ones((9, 9)))
            scores[state].append(np.percentile(hat[spans(box, hat.shape, 0)], 95))
    better = np.array(scores[True]) > np.array(scores[False]) * 1.1
    assert better.mean() >= 0.5


@pytest.mark.parametrize("view", VIEWS)
class TestOptions:
    """Each option does what its name says."""

    def test_a_cast_adds_density_around_the_arm(self, view):
        bare, cast = (
            phantom(8, view=view, fractured=False, cast=state)
            for state in (False, True)
        )
        change = cast.pixels.astype(int) - bare.pixels
        assert (change > 60).mean() > 0.05
        assert (change < -60).mean() < 0.01

    @pytest.mark.parametrize("seed", range(6))
    def test_metal_is_the_brightest_thing_there_is(self, seed, view):
        bare, metal = (
            phantom(seed, view=view, fractured=False, metal=state)
            for state in (False, True)
        )
        bright = np.percentile(bare.pixels, 99) * 1.15
        added = (metal.pixels > bright) & (metal.pixels > bare.pixels.astype(int) + 300)
        assert 0.0008 < added.mean() < 0.06

    def test_two_wrists_are_two_arms(self, view):
        found = phantom(9, view=view, both_wrists=True, columns=760)
        row = cv2.GaussianBlur(found.pixels, (0, 0), 6)[
            int(found.pixels.shape[0] * 0.8)
        ]
        dense = row > (row.min() + row.max()) / 2
        assert np.count_nonzero(np.diff(dense.astype(int)) == 1) >= 2

    def test_inverted_is_the_negative(self, view):
        plain, negative = (
            phantom(2, view=view, inverted=state) for state in (False, True)
        )
        assert (plain.pixels + negative.pixels == 4095).all()

    @pytest.mark.parametrize("degrees", [-120.0, -30.0, 45.0, 90.0, 180.0])
    def test_landmarks_turn_with_the_image(self, view, degrees):
        upright, turned = (
            phantom(6, view=view, rotated=angle, rows=500, columns=500)
            for angle in (0.0, degrees)
        )
        delta = direction(turned.landmarks) - direction(upright.landmarks) - degrees
        assert abs((delta + 180) % 360 - 180) < 1e-6
        assert abs(direction(upright.landmarks)) < 15

    def test_the_picture_turns_as_the_landmarks_do(self, view):
        """Noise aside, turning back the turned image gives the upright one."""
        options = {"view": view, "rows": 500, "columns": 500, "noise": 0.0}
        upright, turned = (
            phantom(6, fractured=False, rotated=angle, **options)
            for angle in (0.0, 40.0)
        )
        marks = ("forearm", "fingers", "metacarpal_5")
        there = np.array([turned.landmarks[name] for name in marks], np.float32)
        here = np.array([upright.landmarks[name] for name in marks], np.float32)
        back = cv2.getAffineTransform(there, here)
        found = cv2.warpAffine(turned.pixels.astype(np.float32), back, (500, 500))
        middle = np.zeros((500, 500), np.uint8)
        centre = np.mean(
            [upright.landmarks["radius"], upright.landmarks["ulna"]], axis=0
        )
        cv2.circle(middle, tuple(int(v) for v in centre), 90, 1, -1)
        a, b = found[middle > 0], upright.pixels[middle > 0]
        assert np.corrcoef(a, b)[0, 1] > 0.97

    def test_noise_is_as_much_as_asked_for(self, view):
        grain = []
        for amount in (0.0, 1.0, 4.0):
            pixels = phantom(3, view=view, noise=amount).pixels.astype(np.float32)
            grain.append(np.median(np.abs(cv2.Laplacian(pixels, cv2.CV_32F))))
        assert grain[0] * 2 < grain[1] and grain[1] * 2.5 < grain[2]

    @pytest.mark.parametrize("seed", range(6))
    def test_a_frame_whitens_the_border(self, seed, view):
        bare, framed = (
            phantom(seed, view=view, framed=state) for state in (False, True)
        )
        edge = np.ones(bare.pixels.shape, bool)
        edge[4:-4, 4:-4] = False
        assert (framed.pixels[edge] > 3500).mean() > 0.15
        assert (bare.pixels[edge] > 3500).mean() < 0.15

    def test_landmarks_are_on_bone(self, view):
        found = phantom(12, view=view, fractured=False, noise=0.0)
        air = np.percentile(found.pixels, 5)
        for name in ("lunate", "capitate", "metacarpal_3"):
            x, y = (round(value) for value in found.landmarks[name])
            assert found.pixels[y, x] > air + 600, name


class TestStudy:
    """Two views, as DICOM."""

    def test_two_views_of_one_patient(self):
        views = study(7, rows=400, columns=320)
        assert [ds.ViewPosition for ds in views] == ["PA", "LL"]
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID"):
            assert len({ds[keyword].value for ds in views}) == 1
        assert len({ds.SOPInstanceUID for ds in views}) == 2
        assert {str(ds.PatientName) for ds in views} == {"PHANTOM^0007"}
        for ds in views:
            assert (ds.BitsStored, ds.Modality) == (12, "DX")
            assert ds.ImageLaterality in "LR" and ds.AccessionNumber == "PH000007"
            assert 0.1 < ds.ImagerPixelSpacing[0] < 1.5

    @pytest.mark.parametrize("seed", SEEDS)
    def test_it_is_a_study_for_us(self, seed):
        for ds in study(seed, rows=128, columns=100):
            assert judge(tags_of(ds)).ours

    def test_pushed_twice_it_is_the_same_study(self):
        first, again = (study(4, rows=200, columns=160) for _ in range(2))
        for one, two in zip(first, again):
            assert one.SOPInstanceUID == two.SOPInstanceUID
            assert one.PixelData == two.PixelData
        other = study(4, rows=200, columns=160, cast=True)
        assert other[0].SOPInstanceUID != first[0].SOPInstanceUID

    @pytest.mark.parametrize("inverted", [False, True])
    def test_the_frame_shows_the_phantom(self, inverted):
        views = study(5, rows=512, columns=400, inverted=inverted, fractured=True)
        for ds, view in zip(views, VIEWS):
            buffer = BytesIO()
            ds.save_as(buffer, enforce_file_format=True)
            buffer.seek(0)
            shown = frame(open_dataset(buffer))
            drawn = phantom(5, view=view, inverted=inverted, fractured=True)
            assert shown.uid == ds.SOPInstanceUID
            inside = (shown.pixels > 3) & (shown.pixels < 252)
            assert inside.mean() > 0.5
            window = np.polyfit(drawn.pixels[inside], shown.pixels[inside], 1)
            straight = np.polyval(window, drawn.pixels[inside])
            assert np.abs(straight - shown.pixels[inside]).max() < 1
            assert window[0] > 0

    def test_both_views_agree_on_the_fracture(self):
        assert all(
            phantom(seed, view="pa", rows=96, columns=80).fractured
            == phantom(seed, view="lateral", rows=96, columns=80).fractured
            for seed in range(30)
        )
