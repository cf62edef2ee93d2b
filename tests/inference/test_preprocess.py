"""Views, their affines and the way back, on shapes whose truth is known."""

import csv
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference import preprocess
from inference.preprocess import THESIS, Recipe, restore, tensor, views

LABELS = Path(__file__).with_name("fracatlas_geometry.csv")
OURS = Recipe()
AIR, FLESH, BONE, FILM = 30, 90, 180, 235


FINGERS = [
    ((-18, 50), (-30, 95)),
    ((-6, 55), (-9, 112)),
    ((6, 55), (9, 115)),
    ((18, 50), (28, 100)),
    ((-24, 15), (-55, 55)),
]  # base and tip: (across, towards the fingers), the wrist at (0, 0)


def strokes():
    """(start, end, thickness, grey) of all that makes an arm, flesh first."""
    yield (0, -170), (0, -120), 74, FLESH
    yield (0, -120), (0, 0), 58, FLESH
    yield (0, 0), (0, 48), 62, FLESH
    for base, tip in FINGERS:
        yield base, tip, 17, FLESH
    for side in (-14, 14):
        yield (side, -190), (side, -6), 15, BONE
    for (base, tip), start in product(FINGERS, (0, 0.36, 0.7)):
        finger = np.subtract(tip, base)
        yield base + start * finger, base + (start + 0.25) * finger, 9, BONE
    for across, up in product((-16, 0, 16), (8, 24)):
        yield (across, up), (across + 1, up), 13, BONE


def arm(canvas, wrist, *, degrees=0.0, size=1.0):
    """Draw a forearm with a hand; return its landmarks (x, y): elbow end, wrist, tip.

    degrees: clockwise from fingers up.
    """
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))

    def at(point):
        x, y = size * point[0], -size * point[1]
        return wrist[0] + x * cos - y * sin, wrist[1] + x * sin + y * cos

    for start, end, thickness, grey in strokes():
        ends = [tuple(round(float(v)) for v in at(point)) for point in (start, end)]
        cv2.line(canvas, *ends, grey, max(int(size * thickness), 1), cv2.LINE_AA)
    return np.array([at((0, -150)), at((0, 0)), at((7, 108))])


def radiograph(rows=450, columns=370, *, degrees=0.0, size=1.0, noise=3.0):
    canvas = np.full((rows, columns), AIR, np.uint8)
    marks = arm(canvas, (columns / 2, rows / 2 - 10), degrees=degrees, size=size)
    return noisy(canvas, noise), marks


def two_views(rows=450, columns=640, *, degrees=0.0, noise=3.0):
    canvas = np.full((rows, columns), AIR, np.uint8)
    marks = [
        arm(canvas, (columns * share, rows / 2), degrees=degrees, size=0.85)
        for share in (0.25, 0.75)
    ]
    return noisy(canvas, noise), np.concatenate(marks)


def noisy(canvas, noise):
    rng = np.random.default_rng(7)
    return (canvas + rng.normal(0, noise, canvas.shape)).clip(0, 255).astype(np.uint8)


def mapped(affine, points):
    return points @ affine[:, :2].T + affine[:, 2]


def tilt(view, marks):
    """Degrees of elbow to fingertip from straight up in the view."""
    across, down = np.subtract(*mapped(view.affine, marks[[2, 0]]))
    return abs(np.rad2deg(np.arctan2(across, -down)))


def inside(view, points):
    x, y = mapped(view.affine, points).T
    rows, columns = view.pixels.shape
    return (x > 0) & (y > 0) & (x < columns - 1) & (y < rows - 1)


# --- the way there and back ------------------------------------------------------


@pytest.mark.parametrize("align", [True, False], ids=["aligned", "as it lies"])
@pytest.mark.parametrize("split", [True, False], ids=["split", "in one"])
@pytest.mark.parametrize("inverted", [False, True], ids=["positive", "negative"])
@pytest.mark.parametrize("size", [(341, 512), (300, 200)], ids=str)
@pytest.mark.parametrize("degrees", [0, 25, -110])
@pytest.mark.parametrize("draw", [radiograph, two_views])
@pytest.mark.parametrize("scale", [1, 3], ids=["native", "reduced"])
def test_landmarks_return_through_every_combination_of_steps(
    align, split, inverted, size, degrees, draw, scale
):
    """A blob in the view, where the affine puts a landmark, comes back to it."""
    pixels, marks = draw(degrees=degrees)
    pixels = np.kron(pixels, np.ones((scale, scale), np.uint8))
    marks = marks * scale + (scale - 1) / 2
    recipe = replace(OURS, width=size[0], height=size[1], split=split, align=align)
    found = views(255 - pixels if inverted else pixels, recipe)
    assert all(view.pixels.shape == (size[1], size[0]) for view in found)
    assert {view.inverted for view in found} == {inverted}

    returned = 0
    for view in found:
        one_view_pixel = 1 / np.sqrt(abs(np.linalg.det(view.affine[:, :2])))
        for mark in marks[inside(view, marks)]:
            relevance = bump(view, mapped(view.affine, mark[None])[0])
            back = centre(restore(relevance, view.affine, pixels.shape))
            assert np.hypot(*(back - mark)) <= one_view_pixel
            returned += 1
    assert returned >= 3


def bump(view, place):
    rows, columns = np.ogrid[: view.pixels.shape[0], : view.pixels.shape[1]]
    away = (columns - place[0]) ** 2 + (rows - place[1]) ** 2
    return np.exp(-away / 8).astype(np.float32)


def centre(relevance):
    rows, columns = np.nonzero(relevance)
    weights = relevance[rows, columns]
    return np.array([columns @ weights, rows @ weights]) / weights.sum()


@pytest.mark.parametrize("scale", [1, 4, 7])
@pytest.mark.parametrize("degrees", [0, 40, 155])
def test_pixels_lie_in_the_view_where_the_affine_says(degrees, scale):
    """A metal ball is found in the drawn pixels, not only by arithmetic."""
    pixels, marks = radiograph(degrees=degrees)
    pixels = np.kron(pixels, np.ones((scale, scale), np.uint8))
    mark = np.rint(marks[1] * scale)
    cv2.circle(pixels, tuple(mark.astype(int)), 4 * scale, 255, -1)
    view = views(pixels, OURS)[0]
    ball = np.clip(view.pixels.astype(float) - 200, 0, None)
    assert np.hypot(*(centre(ball) - mapped(view.affine, mark[None])[0])) <= 0.25


def test_restored_relevance_of_one_view_stays_on_its_part():
    pixels, marks = two_views()
    left, right = views(pixels, OURS)
    for view, own, other in ((left, marks[1], marks[4]), (right, marks[4], marks[1])):
        back = restore(view.pixels > 0, view.affine, pixels.shape)
        assert back[tuple(np.rint(own[::-1]).astype(int))] > 0
        assert back[tuple(np.rint(other[::-1]).astype(int))] == 0


def test_what_no_view_shows_gets_no_relevance():
    pixels, _ = radiograph(size=0.5)
    view = views(pixels, OURS)[0]
    back = restore(np.ones(view.pixels.shape), view.affine, pixels.shape)
    assert back.dtype == np.float32 and back.shape == pixels.shape
    assert back[0, 0] == back[-1, -1] == 0 and back.max() == 1


# --- what a view is -----------------------------------------------------------


def test_one_part_has_no_suffix_and_two_have_letters_from_left_to_right():
    assert [view.suffix for view in views(radiograph()[0], OURS)] == [""]
    pixels, marks = two_views()
    found = views(pixels, OURS)
    assert [view.suffix for view in found] == ["a", "b"]
    assert inside(found[0], marks[:3]).all() and inside(found[1], marks[3:]).all()


def test_outside_the_part_a_view_is_black():
    pixels, _ = two_views(degrees=30)
    cv2.putText(pixels, "R", (300, 60), 0, 1.5, FILM, 4)
    for view in views(pixels, OURS):
        assert (view.pixels == 0).mean() > 0.4
        assert view.pixels[[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0


def test_anatomy_is_never_stretched():
    for view in views(radiograph(degrees=33)[0], replace(OURS, width=500, height=300)):
        linear = view.affine[:, :2]
        assert linear @ linear.T == pytest.approx(
            np.eye(2) * np.linalg.det(linear), abs=1e-9
        )
        assert np.linalg.det(linear) > 0, "mirrored"


def test_a_view_of_a_view_is_the_same_view():
    """Each step is idempotent, so the chain is."""
    for degrees in (0, 60, 200):
        first = views(radiograph(degrees=degrees)[0], OURS)[0]
        again = views(first.pixels, OURS)
        assert len(again) == 1 and not again[0].inverted
        corners = np.array([[0, 0], [340, 0], [0, 511], [340, 511.0]])
        moved = mapped(again[0].affine, corners) - corners
        assert np.abs(moved).max() < 12, moved


def test_a_negative_gives_the_view_of_its_positive():
    pixels, _ = radiograph(degrees=20)
    positive, negative = views(pixels, OURS)[0], views(255 - pixels, OURS)[0]
    assert negative.inverted and not positive.inverted
    assert np.allclose(negative.affine, positive.affine)
    assert np.abs(negative.pixels.astype(int) - positive.pixels).max() <= 2


def test_the_tensor_is_normalised_by_the_recipe():
    recipe = replace(OURS, mean=0.25, std=0.5)
    found = views(two_views()[0], recipe)
    stack = tensor(found, recipe)
    assert stack.shape == (2, 1, 512, 341) and stack.dtype == np.float32
    expected = (found[1].pixels / 255 - 0.25) / 0.5
    assert stack[1, 0] == pytest.approx(expected, abs=1e-6)


def test_a_recipe_survives_json():
    import json

    assert Recipe(**json.loads(json.dumps(asdict(THESIS)))) == THESIS


# --- polarity -----------------------------------------------------------------


def frame_it(pixels, level, width):
    pixels = pixels.copy()
    pixels[:width] = pixels[-width:] = level
    pixels[:, :width] = pixels[:, -width:] = level
    return pixels


@pytest.mark.parametrize("level", [0, FILM, 255])
@pytest.mark.parametrize("width", [12, 45])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_frame_of_any_grey_does_not_decide_the_polarity(level, width, inverted):
    pixels, _ = radiograph(size=0.6)
    framed = frame_it(255 - pixels if inverted else pixels, level, width)
    assert {view.inverted for view in views(framed, OURS)} == {inverted}


@pytest.mark.parametrize("inverted", [False, True])
def test_bone_decides_where_a_tight_crop_has_little_air(inverted):
    tight = np.full((300, 200), 120, np.uint8)
    tight[:, :18] = tight[:, -18:] = AIR
    for left, right in ((40, 80), (110, 160)):
        tight[:, left:right] = 135
        tight[:, [left, left + 1, right, right + 1]] = BONE  # the walls of the bone
    tight = noisy(tight, 3)
    assert views(255 - tight if inverted else tight, OURS)[0].inverted == inverted


def test_the_thesis_rule_looks_at_four_corners_and_falls_for_a_frame():
    pixels, _ = radiograph()
    assert not views(pixels, THESIS)[0].inverted
    assert views(255 - pixels, THESIS)[0].inverted
    assert views(frame_it(pixels, FILM, 45), THESIS)[0].inverted
    limit = np.full((100, 100), 99, np.uint8)
    assert not views(limit, THESIS)[0].inverted
    limit[:10, :10] += 4
    assert views(limit, THESIS)[0].inverted


def test_without_a_polarity_rule_the_frame_stays_as_it_is():
    pixels, _ = radiograph()
    assert not views(255 - pixels, replace(OURS, polarity="none"))[0].inverted


# --- parts --------------------------------------------------------------------


def collimated(pixels, *, bottom=0.12, strip=False):
    """White film below and, if asked, a white strip between two pasted films."""
    pixels = pixels.copy()
    rows, columns = pixels.shape
    pixels[int((1 - bottom) * rows) :] = FILM
    if strip:
        middle = columns // 2
        pixels[:, middle - columns // 60 : middle + columns // 60] = FILM
    return pixels


def test_white_film_around_two_arms_does_not_make_them_one():
    pixels, _ = two_views(degrees=0)
    found = views(collimated(pixels, strip=True), OURS)
    assert [view.suffix for view in found] == ["a", "b"]
    # The thesis's splitter sees one bright region, joined by the film.
    thesis = replace(THESIS, polarity="none")
    assert len(views(collimated(pixels, strip=True), thesis)) == 1


def test_a_white_frame_costs_neither_of_two_arms():
    pixels, marks = two_views(columns=700)
    left, right = views(frame_it(pixels, FILM, 50), OURS)
    assert inside(left, marks[1:3]).all() and inside(right, marks[4:]).all()


def test_white_film_is_black_in_the_view():
    pixels, marks = radiograph(degrees=180, size=0.9)
    view = views(collimated(pixels, bottom=0.1), OURS)[0]
    assert tilt(view, marks) < 15
    assert (view.pixels > FILM - AIR).mean() < 0.005


def test_a_strip_of_film_that_ends_within_the_frame_is_a_shutter():
    pixels, _ = two_views()
    pixels[:300, 310:328] = FILM
    blocked = preprocess.collimation.shutters(preprocess.collimation.calmed(pixels))
    assert blocked[5:290, 312:326].mean() > 0.99
    assert blocked.mean() < 0.06


def test_bone_that_reaches_the_edge_is_no_shutter():
    pixels, marks = radiograph(size=1.3)
    view = views(pixels, OURS)[0]
    x, y = np.rint(mapped(view.affine, marks[:1] + np.array([14 * 1.3, 0]))[0]).astype(
        int
    )
    assert view.pixels[y, x] > 100


def test_a_marker_is_no_part():
    pixels, _ = radiograph(columns=500)
    cv2.rectangle(pixels, (30, 40), (70, 80), 255, -1)
    assert len(views(pixels, OURS)) == 1


def test_uneven_air_is_no_part():
    pixels, _ = radiograph(columns=600)
    pixels[:, :150] += 16
    assert len(views(pixels, OURS)) == 1


def test_fingers_hardly_denser_than_air_stay_in_the_view():
    pixels, marks = radiograph(noise=0)
    pixels[:140] = AIR + (pixels[:140].astype(int) - AIR) // 8
    view = views(noisy(pixels, 1), OURS)[0]
    assert inside(view, marks[2:]).all()
    x, y = np.rint(mapped(view.affine, marks[2:])[0]).astype(int)
    assert view.pixels[y - 3 : y + 4, x - 3 : x + 4].mean() > 3


def test_fingers_cut_off_by_a_bandage_stay_in_the_view():
    pixels, marks = radiograph(noise=0)
    pixels[110:130] = AIR
    view = views(noisy(pixels, 2), OURS)[0]
    assert inside(view, marks[2:]).all()
    x, y = np.rint(mapped(view.affine, marks[2:])[0]).astype(int)
    assert view.pixels[y, x] > 30


def test_the_thesis_splitter_crops_each_large_component():
    pixels = np.zeros((200, 300), np.uint8)
    pixels[20:180, 20:80] = 200
    pixels[40:160, 200:290] = 200
    pixels[5:10, 140:150] = 200
    found = views(pixels, replace(THESIS, align=False))
    assert len(found) == 2
    assert mapped(found[0].affine, np.array([[20, 20], [79, 179.0]])) == pytest.approx(
        np.array([[75, 0], [265, 511]]), abs=2.5
    )


def test_without_splitting_all_parts_share_a_view():
    pixels, marks = two_views()
    (view,) = views(pixels, replace(OURS, split=False))
    assert inside(view, marks).all()


# --- alignment ----------------------------------------------------------------


@pytest.mark.parametrize("degrees", range(-180, 180, 30))
@pytest.mark.parametrize("scale", [1, 4])
def test_the_hand_is_up_whichever_way_it_lay(degrees, scale):
    pixels, marks = radiograph(500, 500, degrees=degrees)
    pixels = np.kron(pixels, np.ones((scale, scale), np.uint8))
    assert tilt(views(pixels, OURS)[0], marks * scale) < 8


def test_the_thesis_alignment_knows_no_up():
    pixels, marks = radiograph(500, 500, degrees=170)
    assert tilt(views(pixels, THESIS)[0], marks) > 165
    pixels, marks = radiograph(500, 500, degrees=-40)
    assert tilt(views(pixels, THESIS)[0], marks) < 8


def test_what_is_round_is_not_turned():
    pixels = np.full((400, 400), AIR, np.uint8)
    cv2.ellipse(pixels, (200, 200), (90, 80), 35, 0, 360, FLESH, -1)
    affine = views(noisy(pixels, 2), OURS)[0].affine
    assert affine[0, 1] == affine[1, 0] == 0


def test_a_trunk_that_fills_the_frame_is_not_turned():
    pixels = np.full((400, 330), AIR, np.uint8)
    trunk = np.array([[150, 20], [329, 20], [329, 399], [10, 399]])
    cv2.fillPoly(pixels, [trunk], FLESH)
    cv2.line(pixels, (150, 390), (240, 40), BONE, 30)
    affine = views(noisy(pixels, 2), OURS)[0].affine
    assert affine[0, 1] == affine[1, 0] == 0 and affine[0, 0] > 0


# --- reduced or full size -----------------------------------------------------


@pytest.mark.parametrize("draw", [radiograph, two_views])
@pytest.mark.parametrize("degrees", [0, 35, 190])
def test_the_reduced_analysis_decides_as_the_full_one(draw, degrees, monkeypatch):
    pixels, _ = draw(degrees=degrees, noise=0)
    large = cv2.resize(pixels, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    large = noisy(large, 6)
    reduced = views(large, OURS)
    monkeypatch.setattr(preprocess.geometry, "reduction", lambda shape: 2)
    full = views(large, OURS)
    assert len(reduced) == len(full)
    corners = np.array([[0, 0], [340, 0], [0, 511], [340, 511.0]])
    for one, other in zip(reduced, full):
        back = mapped(cv2.invertAffineTransform(one.affine), corners)
        assert mapped(other.affine, back) == pytest.approx(corners, abs=10)


def test_a_close_decision_is_taken_again_on_the_full_frame(monkeypatch):
    asked = []
    decide = preprocess._decide

    def spy(pixels, recipe, reduced):
        asked.append(reduced)
        return decide(pixels, recipe, reduced)

    monkeypatch.setattr(preprocess, "_decide", spy)
    pixels = np.full((1200, 1200), AIR, np.uint8)
    cv2.ellipse(pixels, (600, 600), (300, 245), 35, 0, 360, FLESH, -1)
    views(pixels, OURS)
    assert asked == [3, 1]
    asked.clear()
    views(np.kron(radiograph()[0], np.ones((3, 3), np.uint8)), OURS)
    assert asked == [3]


# --- degenerate frames --------------------------------------------------------


@pytest.mark.parametrize("recipe", [OURS, THESIS, replace(OURS, polarity="none")])
@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 300), (300, 1), (2, 2), (7, 9), (40, 31), (1000, 900)]
)
def test_an_empty_frame_is_one_view_as_it_lies(shape, level, recipe):
    (view,) = views(np.full(shape, level, np.uint8), recipe)
    assert view.suffix == "" and view.pixels.shape == (512, 341)
    assert view.affine[0, 1] == view.affine[1, 0] == 0
    back = restore(np.ones((512, 341)), view.affine, shape)
    assert back.shape == shape and back.max() == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (5, 3), (30, 30), (400, 20)])
def test_noise_never_crashes(shape):
    for seed in range(5):
        noise = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        for recipe in (OURS, THESIS):
            assert all(np.isfinite(v.affine).all() for v in views(noise, recipe))


# --- real radiographs ---------------------------------------------------------


def test_labelled_radiographs_are_mostly_decided_rightly(sample_data):
    """A floor under tests/benchmarks/decisions.py, on every ninth labelled frame."""
    with LABELS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] in ("", "a")][::9]
    files = {path.stem: path for path in (sample_data / "fracatlas").rglob("*.jpg")}
    upright, parts, positive = [], [], []
    for row in rows:
        pixels = cv2.imread(str(files[row["image_id"]]), cv2.IMREAD_GRAYSCALE)
        found = views(pixels, OURS)
        parts.append(len(found) == int(row["parts"]))
        positive.append(not found[0].inverted)
        if row["hand"] == "visible" and row["parts"] == "1":
            size = np.array(pixels.shape[::-1])
            ends = [
                size * (float(row[f"{end}_x"]), float(row[f"{end}_y"]))
                for end in ("proximal", "proximal", "distal")
            ]
            upright.append(tilt(found[0], np.array(ends)) <= 15)
    assert len(upright) >= 10
    assert np.mean(upright) >= 0.9 and np.mean(parts) >= 0.9
    assert np.mean(positive) >= 0.95
