"""Where a fracture might be: read from a detector's file, or seen in a model's maps."""

import json

import cv2
import numpy as np
import pytest
import torch

from inference import artifact
from inference.artifact import Spec
from inference.networks import ARCHS, Arch, build
from inference.preprocess import Recipe, View, views
from search import proposals
from search.example import Example
from search.proposals import AROUND, FLOOR, around, proposed, suspicion

RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)


@pytest.fixture
def found(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        picture = rng.integers(0, 200, (120, 90)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name), picture)
    names = ("a.png", "b.png", "c.png")
    return [Example(tmp_path / name, 0, name, name) for name in names]


def written(tmp_path, said):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(said))
    return path


def test_a_detectors_results_by_name_the_surest_first(tmp_path, found):
    said = [
        {"image_id": "b.png", "bbox": [1, 2, 3, 4], "score": 0.2, "category_id": 1},
        {"image_id": "b.png", "bbox": [5, 6, 7, 8], "score": 0.9},
        {"image_id": "b.png", "bbox": [5, 6, 7, 8], "score": FLOOR},
        {"image_id": "b.png", "bbox": [5, 6, 7, 8], "score": 0.099},
        {"image_id": "elsewhere.png", "bbox": [1, 1, 1, 1], "score": 0.9},
    ]
    assert proposed(written(tmp_path, said), found) == [
        [],
        [((5, 6, 7, 8), 0.9), ((1, 2, 3, 4), 0.2), ((5, 6, 7, 8), FLOOR)],
        [],
    ]


def test_a_detectors_results_by_number(tmp_path, found):
    images = [{"id": 7, "file_name": "images/c.png"}]
    boxes = [{"image_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}]
    said = {"images": images, "annotations": boxes}
    assert proposed(written(tmp_path, said), found)[2] == [((1, 2, 3, 4), 0.5)]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([{"image_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}], "by the number 7"),
        ([{"image_id": "a.png", "bbox": [1, 2, 3, 4]}], "KeyError"),
        ([{"image_id": "a.png", "bbox": [1, 2, 3, 4], "score": 90}], "score 90"),
        ([{"image_id": "a.png", "bbox": [1, 2, 0, 4], "score": 0.9}], "box"),
        ([{"image_id": "z.png", "bbox": [1, 2, 3, 4], "score": 0.9}], "none of these"),
        ({"annotations": []}, "KeyError"),
        (7, "TypeError"),
        ([{"image_id": "a.png", "bbox": [10**400, 2, 3, 4], "score": 1}], "Overflow"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_in_words(
    tmp_path, found, said, words
):
    with pytest.raises(ValueError, match=words):
        proposed(written(tmp_path, said), found)


def test_a_file_that_nests_without_end_is_refused_in_words(tmp_path, found):
    (tmp_path / "deep.json").write_text("[" * 60_000)
    with pytest.raises(ValueError, match=r"deep\.json: no detections in COCO's form"):
        proposed(tmp_path / "deep.json", found)


def model(folder, arch):
    torch.manual_seed(0)
    network = build(arch)
    artifact.save(
        folder,
        Spec("tiny", arch, RECIPE, "alo", threshold=0.5),
        network.state_dict(),
        {},
    )
    return folder


def test_a_model_proposes_where_it_suspects(tmp_path, found, monkeypatch):
    folder = model(tmp_path / "model", ARCHS["squeezenet"])
    said = np.zeros((1, 96, 64), np.float32)
    said[0, 48, 32] = 0.8
    monkeypatch.setattr(proposals, "suspicion", lambda *_: said)
    (found[1].image).write_bytes(b"damaged")
    one, none, _ = proposed(folder, found)
    assert (len(one), none) == (AROUND, [])
    assert all(score == pytest.approx(0.8) for _, score in one)
    middle = np.mean([(x + w / 2, y + h / 2) for (x, y, w, h), _ in one], axis=0)
    scale = 90 / 64  # the frame is as wide as the view, which is centred on it
    assert middle == pytest.approx((44.5 + 0.5 * scale, 59.5 + 0.5 * scale))


def test_marked_boxes_taught_attention_where_to_suspect():
    torch.manual_seed(0)
    network = build(ARCHS["squeezenet"]).eval()
    network.features[-1].marks.weight.data.normal_()
    x = torch.randn(2, 1, 96, 64)
    maps = suspicion(network, x)
    assert maps.shape == (2, 96, 64)
    with torch.no_grad():
        cells = network.features[-1].marks(network.features[:-1](x)).sigmoid()
    step = network.stride
    assert maps[:, ::step, ::step] == pytest.approx(cells[:, 0].numpy(), abs=1e-5)


def test_without_attention_grad_cam_as_high_as_the_chance():
    torch.manual_seed(0)
    network = build(Arch("resnet18", (("width", 16),))).eval()
    x = torch.randn(2, 1, 96, 64)
    maps = suspicion(network, x, temperature=2.0)
    with torch.no_grad():
        chances = torch.sigmoid(network(x)[:, 0] / 2).numpy()
    assert maps.max((1, 2)) == pytest.approx(chances, abs=1e-5)
    assert maps.min() >= 0


def test_boxes_lie_where_the_frame_shows_what_the_view_does():
    """A frame twice as large as its view, turned by a quarter."""
    affine = np.array([[0.0, 0.5, 0.0], [-0.5, 0.0, 149.5]])  # frame -> view
    view = View(np.full((150, 100), 9, np.uint8), affine, False, "")
    seen = np.zeros((150, 100), np.float32)
    seen[40, 30] = 0.9
    boxes = [box for box, _ in around(view, seen)]
    x, y, w, h = boxes[4]  # the middle one of the first size
    assert (x + w / 2, y + h / 2) == pytest.approx((219, 60))
    assert w == h == pytest.approx(2 * 150 * proposals.LATTICES[0][0])
    assert len(boxes) == AROUND


def test_a_plateau_is_one_place_and_air_is_none():
    pixels = np.full((150, 100), 9, np.uint8)
    pixels[:, 60:] = 0
    view = View(pixels, np.eye(2, 3), False, "")
    seen = np.zeros((150, 100), np.float32)
    seen[20:24, 20:24] = 0.5
    seen[100, 80] = 0.9
    seen[120, 20] = FLOOR / 2
    places = list(around(view, seen))
    assert len(places) == AROUND
    assert {score for _, score in places} == {0.5}


def test_two_places_close_to_one_another_are_one():
    view = View(np.full((384, 256), 9, np.uint8), np.eye(2, 3), False, "")
    seen = np.zeros((384, 256), np.float32)
    seen[100, 100], seen[100, 103], seen[100, 140] = 0.5, 0.6, 0.4
    assert sorted({round(s, 1) for _, s in around(view, seen)}) == [0.4, 0.6]


def test_views_and_frames_agree_end_to_end():
    """A bright spot on a frame: the middle box round its place in the view shows it."""
    frame = np.full((400, 260), 30, np.uint8)
    frame[300:306, 50:56] = 255
    (view,) = views(frame, Recipe(width=256, height=384, polarity="none", split=False))
    row, column = np.unravel_index(view.pixels.argmax(), view.pixels.shape)
    seen = np.zeros((384, 256), np.float32)
    seen[row, column] = 1.0
    x, y, w, h = next(box for i, (box, _) in enumerate(around(view, seen)) if i == 4)
    assert (x + w / 2, y + h / 2) == pytest.approx((52.5, 302.5), abs=4)
