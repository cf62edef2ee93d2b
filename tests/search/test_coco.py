"""Boxes of a COCO file go to the files that they were drawn on, or are refused."""

import json

import pytest

from search import coco

HERE, THERE = (1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0)


@pytest.fixture
def written(tmp_path):
    def with_(**boxes):
        return text(json.dumps(boxes))

    def text(said):
        path = tmp_path / "boxes.json"
        path.write_text(said)
        return path

    with_.text = text
    return with_


def listed(names):
    """names: of files, with the box that was drawn on each, or None."""
    marked = {i: box for i, box in enumerate(names.values()) if box}
    return {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [{"image_id": i, "bbox": box} for i, box in marked.items()],
    }


def test_numbers_written_as_words_are_numbers(written):
    said = listed({"x": ["1", "2.5", "3", "4"]})
    assert coco.boxes(written(**said), ["x"]) == {"x": ((1.0, 2.5, 3.0, 4.0),)}


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ((), (HERE, THERE)),
        (("finding", "other"), (HERE, THERE)),
        (("metal", "Fractured"), (THERE,)),
    ],
)
def test_only_what_is_called_a_fracture_is_one_where_anything_is(written, kinds, found):
    said = listed({"x": HERE})
    said["annotations"] += [{"image_id": 0, "bbox": THERE}]
    for number, annotation in enumerate(said["annotations"]):
        annotation["category_id"] = number
    if kinds:
        said["categories"] = [{"id": i, "name": kind} for i, kind in enumerate(kinds)]
    assert coco.boxes(written(**said), ["x"]) == {"x": found}


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        ({"a/x": HERE, "b/x": THERE}, ["b/x", "a/x"], [(THERE,), (HERE,)]),
        ({"a/x": HERE, "b/x": None}, ["a/x", "b/x"], [(HERE,), ()]),
        ({"./a/x": HERE, "b/x": THERE}, ["a/./x"], [(HERE,)]),
        ({"a/x": HERE, "b/x": THERE}, ["a/x", "b/x", "c/x"], [(HERE,), (THERE,), ()]),
        ({"x": HERE}, ["a/x", "y"], [(HERE,), ()]),
        ({"a/x": HERE}, ["x"], [(HERE,)]),
        ({"x": HERE}, ["a/x", "a/x"], [(HERE,), (HERE,)]),
        ({"a/x": None, "b/x": None}, ["x"], [()]),
    ],
)
def test_a_file_has_the_boxes_of_its_full_name_or_of_its_only_one(
    written, names, asked, found
):
    marked = coco.boxes(written(**listed(names)), asked)
    assert [marked[name] for name in asked] == found


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ({"a/x": HERE, "b/x": THERE}, ["x"]),
        ({"a/x": HERE, "b/x": None}, ["x"]),
        ({"x": HERE}, ["a/x", "b/x"]),
    ],
)
def test_boxes_that_may_be_another_files_are_refused(written, names, asked):
    with pytest.raises(ValueError, match=r"boxes\.json: whose boxes those of .*x are"):
        coco.boxes(written(**listed(names)), asked)


def several(*images):
    """images: (id, name); one box is drawn on the first of them."""
    return {
        "images": [{"id": i, "file_name": name} for i, name in images],
        "annotations": [{"image_id": images[0][0], "bbox": HERE}],
    }


@pytest.mark.parametrize("asked", ["a.png", "x/a.png"])
@pytest.mark.parametrize("again", [(1, "a.png"), (1, "./a.png"), (0, "b.png")])
def test_an_image_with_boxes_that_is_listed_as_two_is_refused(written, asked, again):
    path = written(**several((0, "a.png"), again))
    with pytest.raises(ValueError, match=r"boxes\.json: .*cannot be told: several"):
        coco.boxes(path, [asked])


def test_images_that_are_listed_as_two_and_have_no_boxes_do_no_harm(written):
    path = written(**several((0, "a"), (1, "b"), (2, "./b"), (0, "a")))
    assert coco.boxes(path, ["a", "b"]) == {"a": (HERE,), "b": ()}


@pytest.mark.parametrize("box", [[1, 2, 3], list("abcd"), [1, 2, -3, 4], 5, [10**400]])
def test_boxes_that_are_none_are_refused_in_words(written, box):
    path = written(**listed({"x": box * 4 if box == [10**400] else box}))
    with pytest.raises(ValueError, match=r"boxes\.json is no COCO file"):
        coco.boxes(path, ["x"])


@pytest.mark.parametrize("said", ["", "[]", "{}", "[" * 60_000])
def test_what_is_no_coco_file_is_refused_in_words(written, said):
    with pytest.raises(ValueError, match=r"boxes\.json is no COCO file"):
        coco.boxes(written.text(said), ["x"])
