"""Examples become views, and views become augmented batches."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from inference import picture
from inference.phantom import phantom
from inference.preprocess import Recipe, views
from search.data import Example
from search.samples import Samples, _jitter, augmented, batches, prepare

RECIPE = Recipe(width=86, height=128, polarity="none", split=False, align=False)


def picture_of(made):
    return (made.pixels >> 4).astype(np.uint8)


@pytest.fixture
def found(tmp_path):
    """Two phantoms, the first one fractured; a file cut short; one of no picture."""
    for seed, fractured in (1, True), (2, False), (3, False):
        made = phantom(seed, fractured=fractured, rows=256, columns=200)
        cv2.imwrite(str(tmp_path / f"{seed}.png"), picture_of(made))
    cut = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "4.png").write_bytes(b"not a picture")
    box = phantom(1, fractured=True, rows=256, columns=200).box
    return [
        Example(tmp_path / "1.png", 1, "1", "1", boxes=(box,)),
        Example(tmp_path / "2.png", 0, "2", "2"),
        Example(tmp_path / "3.png", 0, "3", "3"),
        Example(tmp_path / "4.png", 0, "4", "4"),
    ]


def test_views_keep_label_owner_and_box(found, tmp_path):
    samples, _ = prepare(found, RECIPE, tmp_path / "cache")
    assert samples.pixels.shape == (2, 128, 86)
    assert samples.labels.tolist() == [1, 0]
    assert samples.owners.tolist() == [0, 1]
    x, y, width, height = found[0].boxes[0]
    view = views(picture.frame(found[0].image).pixels, RECIPE)[0]
    corners = view.affine @ [[x, x + width], [y, y + height], [1, 1]]
    assert samples.boxes[0][0] == pytest.approx(corners.T.ravel(), abs=1e-3)
    assert len(samples.boxes[1]) == 0


def test_what_does_not_decode_is_set_aside_with_its_reason(found, tmp_path):
    _, reasons = prepare(found, RECIPE, tmp_path / "cache")
    assert reasons["truncated"] == 1
    assert sum(reasons.values()) == 2


def test_a_second_time_the_views_come_from_the_cache(found, tmp_path, monkeypatch):
    first, _ = prepare(found, RECIPE, tmp_path / "cache")
    monkeypatch.setattr("search.samples.picture.frame", None)
    second, reasons = prepare(found, RECIPE, tmp_path / "cache")
    assert np.array_equal(first.pixels, second.pixels)
    assert sum(reasons.values()) == 2


def test_another_picture_of_the_same_name_and_size_is_not_served_from_it(
    found, tmp_path
):
    before = sum(prepare(found, RECIPE, tmp_path / "cache")[1].values())
    size = found[0].image.stat().st_size
    found[0].image.write_bytes(b"x" * size)
    after = sum(prepare(found, RECIPE, tmp_path / "cache")[1].values())
    assert after == before + 1


@pytest.mark.parametrize("change", [{"width": 64}, {"polarity": "corners"}])
def test_another_recipe_is_not_served_from_the_cache(found, tmp_path, change):
    prepare(found, RECIPE, tmp_path / "cache")
    other = Recipe(**(json.loads(json.dumps(vars(RECIPE))) | change))
    prepare(found, other, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


def test_only_the_view_that_shows_the_fracture_is_labelled_fractured(tmp_path):
    made = phantom(2, fractured=True, both_wrists=True, rows=512, columns=700)
    cv2.imwrite(str(tmp_path / "both.png"), picture_of(made))
    marked = Example(tmp_path / "both.png", 1, "1", "1", boxes=(made.box,))
    unmarked = Example(tmp_path / "both.png", 1, "1", "1")
    samples, _ = prepare([marked, unmarked], Recipe(), tmp_path / "cache")
    first = samples.owners == 0
    assert sorted(samples.labels[first]) == [0, 1]
    assert [len(b) for b in samples.boxes if len(b)] == [1]
    assert set(samples.labels[~first]) == {1}


def test_a_fracture_that_no_view_shows_is_one_all_the_same(found, tmp_path):
    """Marked where the view was cropped, or not on the picture at all."""
    away = replace(found[0], boxes=((-900.0, -900.0, 20.0, 20.0),))
    samples, _ = prepare([away, *found[1:]], RECIPE, tmp_path / "cache")
    assert samples.labels.tolist() == [1, 0]
    assert not any(map(len, samples.boxes))


def blob(x=40, y=80, side=6):
    """A black view with one white square, and the box around it."""
    pixels = np.zeros((128, 86), np.uint8)
    pixels[y : y + side, x : x + side] = 255
    return pixels, np.array([[x, y, x + side, y + side]], np.float32)


@pytest.mark.parametrize("seed", range(30))
def test_boxes_follow_what_they_mark(seed):
    pixels, boxes = blob()
    moved, there = augmented(pixels, boxes, np.random.default_rng(seed))
    rows, columns = np.nonzero(moved > 0.4)
    left, top, right, bottom = there[0]
    assert left - 1 <= columns.min() and columns.max() <= right + 1
    assert top - 1 <= rows.min() and rows.max() <= bottom + 1
    assert (left + right) / 2 == pytest.approx(columns.mean(), abs=1.5)
    assert (top + bottom) / 2 == pytest.approx(rows.mean(), abs=1.5)


def test_augmentation_turns_flips_and_lights():
    pixels, boxes = blob(x=10)
    moved = [augmented(pixels, boxes, np.random.default_rng(s)) for s in range(40)]
    sides = [there[0, 0] > 43 for _, there in moved]
    assert 8 < sum(sides) < 32
    assert len({round(float(image.max()), 3) for image, _ in moved}) > 10
    assert all(image.min() >= 0 and image.max() <= 1 for image, _ in moved)


def test_augmentation_crops_by_a_few_hundredths_everywhere():
    """How large views become, and where their middle goes, mirrored or not."""
    rng = np.random.default_rng(0)
    affines = np.array([_jitter(86, 128, rng) for _ in range(400)])
    zooms = np.sqrt(np.abs(np.linalg.det(affines[:, :, :2])))
    assert 0.949 < zooms.min() < 0.96 and 1.11 < zooms.max() < 1.121
    moved = affines @ [43, 64, 1] - [42.5, 64]
    for way, side in enumerate((86, 128)):
        far = np.abs(moved[:, way])
        assert 0.035 * side < far.max() < 0.04 * side + 0.6


def test_smaller_views_keep_their_boxes_in_place():
    pixels, boxes = blob()
    nothing = np.zeros(1, np.int64)
    samples = Samples(pixels[None], nothing, nothing, (boxes,)).scaled(0.5)
    assert samples.pixels.shape == (1, 64, 43)
    rows, columns = np.nonzero(samples.pixels[0] > 100)
    left, top, right, bottom = samples.boxes[0][0]
    assert left - 1 <= columns.min() and columns.max() <= right + 1
    assert top - 1 <= rows.min() and rows.max() <= bottom + 1


def test_batches_hold_every_drawn_sample_once_and_depend_on_the_seed_only():
    pixels, boxes = blob()
    samples = Samples(
        np.stack([pixels] * 7), np.arange(7) % 2, np.arange(7), (boxes,) * 7
    )
    order = np.array([6, 0, 3, 5, 1])
    one, two = (
        list(batches(samples, order, 2, np.random.default_rng(3))) for _ in range(2)
    )
    assert [b.labels.tolist() for b in one] == [[0, 0], [1, 1]]
    assert all(b.images.shape == (2, 1, 128, 86) for b in one)
    for first, second in zip(one, two):
        assert np.array_equal(first.images, second.images)


def test_parts_of_a_batch_make_the_whole_one():
    pixels = np.random.default_rng(0).integers(0, 255, (6, 40, 30)).astype(np.uint8)
    boxes = tuple(np.array([[5, 5, 9, 9 + i]], np.float32) for i in range(6))
    found = Samples(pixels, np.arange(6) % 2, np.arange(6), boxes)

    def made(part):
        rng = np.random.default_rng(1)
        return next(batches(found, rng.permutation(6), 6, rng, 0.5, part))

    whole, parts = made(slice(None)), [made(slice(i, None, 2)) for i in range(2)]
    for i, part in enumerate(parts):
        assert np.array_equal(part.images, whole.images[i::2])
        assert part.labels.tolist() == whole.labels[i::2].tolist()
        for mine, all_of_it in zip(part.boxes, whole.boxes[i::2], strict=True):
            assert np.array_equal(mine, all_of_it)
