import cv2
import numpy as np
import pytest

from inference.overlay import BLUE, OPAQUE, RED, peak, render

HEIGHT, WIDTH = 512, 341
FRAME = 3000, 2500  # rows, columns


def affine(angle: float, scale: float, middle: tuple[float, float]) -> np.ndarray:
    """Turn by `angle` degrees and scale so that frame (x, y) `middle` is the view's."""
    matrix = cv2.getRotationMatrix2D(middle, angle, scale)
    matrix[:, 2] += np.array([WIDTH / 2, HEIGHT / 2]) - middle
    return matrix


def delta(x: int, y: int, value: float = 1.0) -> np.ndarray:
    relevance = np.zeros((HEIGHT, WIDTH), np.float32)
    relevance[y, x] = value
    return relevance


def decoded(overlay) -> np.ndarray:
    data = np.frombuffer(overlay.png, np.uint8)
    bgra = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA)


def centre(alpha: np.ndarray) -> tuple[float, float]:
    """(x, y) in frame pixels of what is drawn."""
    rows, columns = np.indices(alpha.shape)
    x = (columns * alpha).sum() / alpha.sum() + 0.5
    y = (rows * alpha).sum() / alpha.sum() + 0.5
    return x * FRAME[1] / alpha.shape[1] - 0.5, y * FRAME[0] / alpha.shape[0] - 0.5


@pytest.mark.parametrize("at", [(170, 256), (60, 400), (300, 90)])
@pytest.mark.parametrize("angle", [0, 25, -90, 180])
def test_relevance_lands_on_the_frame_pixel_it_is_about(angle, at):
    to_view = affine(angle, 0.16, (1300, 1450))
    x, y = cv2.invertAffineTransform(to_view) @ (*at, 1)
    overlay = render([(delta(*at), to_view)], FRAME)
    # Half a view pixel is 3 pixels of this frame.
    assert overlay.peak == pytest.approx((x, y), abs=1)
    assert centre(decoded(overlay)[..., 3].astype(float)) == pytest.approx(
        (x, y), abs=3
    )


def test_red_speaks_for_and_blue_against():
    to_view = affine(0, 0.16, (1250, 1500))
    relevance = delta(100, 100) + delta(250, 400, -1.0)
    picture = decoded(render([(relevance, to_view)], FRAME))
    colours = {tuple(c) for c in picture[picture[..., 3] > 0][:, :3]}
    assert colours == {RED, BLUE}
    rows, _ = np.nonzero((picture[..., :3] == RED).all(axis=2))
    assert rows.max() < picture.shape[0] / 2


def test_nothing_is_drawn_over_what_does_not_matter():
    relevance = np.full((HEIGHT, WIDTH), 0.05, np.float32)
    relevance[200:300, 100:200] = 1
    picture = decoded(render([(relevance, affine(0, 0.16, (1250, 1500)))], FRAME))
    assert (picture[..., 3] == 0).mean() > 0.8
    assert picture[..., 3].max() == OPAQUE


def test_an_image_without_relevance_is_clear_and_has_no_peak():
    overlay = render([(np.zeros((HEIGHT, WIDTH)), affine(0, 0.16, (1, 1)))], FRAME)
    assert overlay.peak is None
    assert not decoded(overlay).any()


def test_what_only_speaks_against_has_no_peak():
    overlay = render([(delta(99, 99, -1.0), affine(0, 0.16, (1250, 1500)))], FRAME)
    assert overlay.peak is None
    assert decoded(overlay)[..., 3].any()


@pytest.mark.parametrize("shape", [(3000, 2500), (2500, 3000), (300, 200), (5000, 40)])
def test_the_picture_covers_the_frame(shape):
    """Up to the rounding of the shorter side to a whole pixel."""
    rows, columns = decoded(render([(delta(1, 1), affine(0, 1, (9, 9)))], shape)).shape[
        :2
    ]
    assert max(rows, columns) == min(1024, max(shape))
    assert rows == pytest.approx(shape[0] * columns / shape[1], abs=shape[0] / shape[1])


def test_two_views_share_one_picture_and_the_stronger_has_the_peak():
    left, right = affine(0, 0.16, (700, 1500)), affine(0, 0.16, (1900, 1500))
    middle = WIDTH // 2, HEIGHT // 2
    overlay = render([(delta(*middle, 1.0), left), (delta(*middle, 2.0), right)], FRAME)
    assert overlay.peak == pytest.approx((1900, 1500), abs=5)
    alpha = decoded(overlay)[..., 3]
    half = alpha.shape[1] // 2
    assert 0 < alpha[:, :half].max() < alpha[:, half:].max()


def test_colours_do_not_depend_on_the_unit_of_relevance():
    relevance = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    to_view = affine(10, 0.16, (1250, 1500))
    one, other = (render([(relevance * k, to_view)], FRAME) for k in (1, 2**-20))
    assert one.png == other.png
    assert one.peak == other.peak


def test_the_peak_is_where_most_is_and_not_the_brightest_speck():
    relevance = delta(50, 50, 3.0)
    relevance[300:310, 200:210] = 1
    x, y, _ = peak(relevance)
    assert (x, y) == pytest.approx((204.5, 304.5), abs=2)


def test_the_peak_stays_on_the_frame():
    """Padding belongs to the view, not to the frame."""
    overlay = render([(delta(2, 2), affine(0, 0.1, (0, 0)))], FRAME)
    assert overlay.peak == (0, 0)


@pytest.mark.parametrize("grey", range(0, 256, 15))
@pytest.mark.parametrize("colour", [RED, BLUE], ids=["red", "blue"])
def test_colours_stand_out_from_every_grey(colour, grey):
    """By 40 units of CIELAB; 2.3 is the least difference that is noticed."""
    drawn = np.array(colour) * OPAQUE / 255 + grey * (1 - OPAQUE / 255)
    pair = np.array([[drawn, (grey,) * 3]], np.float32) / 255
    lab = cv2.cvtColor(pair, cv2.COLOR_RGB2LAB)[0]
    assert np.linalg.norm(lab[0] - lab[1]) > 40
