"""Patches: by overlap a fracture, none or neither; cut where their boxes are."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from inference.preprocess import Recipe, views
from search import patches
from search.aufroc import MISSED, OVERLAP
from search.example import Example
from search.patches import ALIKE, APART, Patches, cut, known, prepare, ranked, standing
from search.samples import Samples

PLAIN = Recipe(width=32, height=32, polarity="none", split=False, align=False)
MARK = (100.0, 100.0, 40.0, 40.0)


def example(path, name, label=1, boxes=(MARK,), study=None, weight=1.0):
    return Example(
        path / name, label, study or name, study or name, boxes=boxes, weight=weight
    )


def draw(path, name):
    """A frame of grey noise with a bright square where MARK is."""
    rng = np.random.default_rng(len(name))
    pixels = rng.integers(20, 60, (300, 240)).astype(np.uint8)
    pixels[100:140, 100:140] = 220
    cv2.imwrite(str(path / name), pixels)


@pytest.fixture
def detected(tmp_path):
    """A fractured and a sound image, and what a detector says of them."""
    for name in ("a.png", "b.png"):
        draw(tmp_path, name)
    shifted = [(MARK[0] + by, *MARK[1:]) for by in (0, 5, 20, 30, 40)]
    said = [
        {"image_id": name, "bbox": box, "score": 0.9 - 0.1 * place}
        for name in ("a.png", "b.png")
        for place, box in enumerate(shifted)
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(said))
    return path, [example(tmp_path, "a.png"), example(tmp_path, "b.png", 0, ())]


def prepared(detected, cache, **changes):
    source, found = detected
    return prepare(found, source, PLAIN, cache, **changes)


def test_overlap_says_what_a_patch_shows(detected, tmp_path):
    made, reasons = prepared(detected, tmp_path / "cache")
    assert made.overlaps[:5] == pytest.approx([1, 7 / 9, 1 / 3, 1 / 7, 0])
    assert made.samples.labels.tolist() == [1, 1, 0, 0, 0] + [0] * 5
    assert made.scores.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5] * 2
    learnt = made.learnt()
    assert learnt.labels.tolist() == [1, 1, 0, 0] + [0] * 5  # a third: neither
    assert learnt.owners.tolist() == [0] * 4 + [1] * 5
    assert not reasons


def laid_out(overlaps):
    count = len(overlaps)
    none = (np.zeros((0, 4), np.float32),) * count
    pixels, zeros = np.zeros((count, 2, 2), np.uint8), np.zeros(count, int)
    samples = Samples(pixels, zeros, zeros, none)
    return Patches((), samples, np.zeros((count, 4)), zeros, np.array(overlaps))


def test_the_edges_are_neither():
    rows = [0, APART - 1e-9, APART, OVERLAP, OVERLAP + 1e-9]
    assert len(laid_out(rows).learnt()) == 3
    assert len(laid_out([APART, OVERLAP]).learnt()) == 0


def test_only_the_surest_are_cut(detected, tmp_path):
    made, _ = prepared(detected, tmp_path / "cache", most=2)
    assert made.scores.tolist() == [0.9, 0.8] * 2


def test_to_learn_from_there_are_all_fractures_and_some_others(
    tmp_path, detected, monkeypatch
):
    monkeypatch.setattr(patches, "SOUND", 2)
    made, _ = prepared(detected, tmp_path / "cache", most=None)
    first = made.samples.owners == 0
    assert made.overlaps[first] == pytest.approx([1, 7 / 9, 1 / 7, 0])
    assert made.scores[~first].tolist() == pytest.approx([0.9, 0.6])  # of five, evenly
    assert len(made.learnt()) == len(made.samples)


def test_a_glimpse_has_all_fractures_and_some_others(monkeypatch):
    made = laid_out([0] * 50)
    samples = replace(
        made.samples, labels=np.arange(50) % 10 // 9, owners=np.arange(50)
    )
    monkeypatch.setattr(patches, "GLIMPSE", 20)
    seen = replace(made, samples=samples).glimpse()
    assert seen.owners[seen.labels == 1].tolist() == [9, 19, 29, 39, 49]
    assert 10 <= (seen.labels == 0).sum() <= 20


def test_fractured_images_without_a_mark_say_nothing(tmp_path, detected):
    source, found = detected
    unmarked = replace(found[0], boxes=())
    assert known([unmarked, found[1]]) == [found[1]]
    made, _ = prepare([unmarked, found[1]], source, PLAIN, tmp_path / "cache")
    assert made.examples == (found[1],)
    assert set(made.samples.owners) == {0}


def test_what_is_kept_is_what_was_made_and_nothing_else(
    detected, tmp_path, monkeypatch
):
    cache = tmp_path / "cache"
    first, _ = prepared(detected, cache)

    def never(*_):
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(patches, "_write", never)
        again, _ = prepared(detected, cache)
        assert (again.samples.pixels == first.samples.pixels).all()
        marked = [replace(e, boxes=(MARK, (0, 0, 9, 9))) for e in detected[1]]
        prepare(marked, detected[0], PLAIN, cache)  # marks are not kept with them
        for changed in ({"most": 3}, {"recipe": replace(PLAIN, width=16)}):
            with pytest.raises(AssertionError):
                prepare(
                    *reversed(detected), **{"recipe": PLAIN, "cache": cache} | changed
                )
    detected[0].write_text(detected[0].read_text().replace("0.9", "0.95"))
    made, _ = prepared(detected, cache)
    assert made.scores[0] == 0.95


def test_a_damaged_image_is_set_aside_by_its_reason(detected, tmp_path):
    source, found = detected
    found[0].image.write_bytes(b"damaged")
    made, reasons = prepare(found, source, PLAIN, tmp_path / "cache")
    assert (made.examples, reasons.total()) == ((found[1],), 1)
    assert set(made.samples.owners) == {0}


def test_a_patch_shows_its_box_with_some_of_what_is_round_it():
    frame = np.full((300, 240), 40, np.uint8)
    frame[100:140, 100:140] = 220
    patch = cut(frame, views(frame, PLAIN), MARK, PLAIN)
    side = 32 / patches.CONTEXT  # pixels of the patch
    assert patch.shape == (32, 32)
    assert (patch > 130).sum() == pytest.approx(side**2, rel=0.1)
    rows, columns = np.nonzero(patch > 130)
    assert (rows.mean(), columns.mean()) == pytest.approx((15.5, 15.5), abs=0.5)


def test_a_patch_is_as_bright_and_as_upright_as_its_view():
    frame = np.full((300, 240), 240, np.uint8)
    frame[40:260, 100:140] = 60  # dark bone on white
    view = replace(views(frame, PLAIN)[0], inverted=True)
    patch = cut(frame, [view], (80.0, 80.0, 100.0, 100.0), PLAIN)
    assert patch[16, 13] > 150 > 100 > patch[16, 30]
    turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 299.0]]) * 64 / 300
    turned = cut(frame, [replace(view, affine=turn)], (0.0, 0.0, 240.0, 240.0), PLAIN)
    bone = turned > 150
    assert np.ptp(np.nonzero(bone)[1]) > np.ptp(np.nonzero(bone)[0])  # it lies down


def test_the_surest_of_those_alike_stands():
    boxes = [(0.0, 0.0, 10.0, 10.0), (1.0, 0.0, 10.0, 10.0), (6.0, 0.0, 10.0, 10.0)]
    found = list(zip(boxes, (0.5, 0.9, 0.4), strict=True))
    assert standing(found) == [found[1]]  # the third overlaps it by a third
    assert 0.25 < ALIKE < 1 / 3
    far = ((90.0, 0.0, 5.0, 5.0), 0.1)
    assert standing([*found, far]) == [found[1], far]


def test_the_marks_of_one_rank_are_the_same_fracture_of_a_study():
    large, small = (0.0, 0.0, 9.0, 9.0), (20.0, 0.0, 3.0, 3.0)
    assert ranked([small, large]) == ranked([large, small]) == {0: large, 1: small}


def test_a_study_is_judged_over_all_of_its_images(tmp_path):
    far, hit = (200.0, 10.0, 20.0, 20.0), (101.0, 100.0, 40.0, 40.0)
    marked = [example(tmp_path, f"{i}.png", study="s") for i in range(2)]
    sound = example(tmp_path, "2.png", 0, (), study="t")
    boxes = np.array([hit, far, far, far])
    samples = replace(laid_out([0] * 4).samples, owners=np.array([0, 0, 1, 2]))
    made = Patches((*marked, sound), samples, boxes, np.zeros(4), np.zeros(4))
    one, other = made.judged(np.array([2.0, 1.0, 3.0, 4.0]))
    assert (one.images, one.found, sorted(one.false)) == (2, (2.0,), [1.0, 3.0])
    assert (other.images, other.found, other.false) == (1, (), (4.0,))
    assert made.patients == ["s", "t"]
    # Found below all false ones, of which there are 3 on 3 images: never within 0.5.
    assert made.area(np.array([0.0, 1.0, 3.0, 4.0])) == 0
    assert made.area(np.array([9.0, 1.0, 3.0, 4.0])) == 1


def test_the_ceiling_is_what_any_proposal_hits(tmp_path):
    far, hit = (200.0, 10.0, 20.0, 20.0), (101.0, 100.0, 40.0, 40.0)
    pair = example(tmp_path, "0.png", boxes=(MARK, (0.0, 0.0, 9.0, 9.0)), study="s")
    missed = example(tmp_path, "1.png", study="t")
    whole = example(tmp_path, "2.png", study="u")
    samples = replace(laid_out([0] * 3).samples, owners=np.array([0, 1, 2]))
    boxes = np.array([hit, far, hit])
    made = Patches((pair, missed, whole), samples, boxes, np.ones(3), np.zeros(3))
    told = made.ceiling()
    assert (told["studies"], told["fractures"]) == (3, 4)
    assert told["by_fracture"] == 2 / 4
    assert told["by_study"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert told["an_image"] == 1
    assert MISSED in made.judged(made.scores)[1].found
