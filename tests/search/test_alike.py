"""Images with the same pixels are of one group, whatever a table says of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import dataset
from search.alike import united
from search.build import build, in_words
from search.data import examples
from search.deidentify import Pseudonyms
from search.parts import Parts, is_held_out
from search.transform import Made
from tests.search.archive import content, fill, radiograph, save

SALT = b"salt"
IMAGES = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("vwxyz")))


def told(images):
    """images: (group, pixels) of each. -> what a build knows of them."""
    rows = [{"image": str(i), "group": group} for i, (group, _) in enumerate(images)]
    pixels = tuple((str(i), same) for i, (_, same) in enumerate(images))
    return rows, [Made("s", len(images), (), (), pixels)]


def groups(images):
    return [row["group"] for row in united(*told(images))]


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (["ax", "bx"], "aa"),
        (["bx", "ax", "cy"], "aac"),
        (["cx", "bx", "cy", "ay", "dz"], "aaaad"),
        (["ax", "ay", "bz"], "aab"),
        ([], ""),
    ],
)
def test_groups_that_share_pixels_become_one(images, found):
    assert groups(images) == list(found)


@given(IMAGES, st.randoms())
def test_nobody_is_alike_across_groups_in_whatever_order_they_come(images, random):
    found = dict(zip(images, groups(images), strict=True))
    for (group, same), one in found.items():
        alike = {v for (g, s), v in found.items() if g == group or s == same}
        assert alike == {one}
    mixed = random.sample(images, len(images))
    assert dict(zip(mixed, groups(mixed), strict=True)) == found


@given(IMAGES)
def test_without_pixels_in_common_rows_stay_what_they_are(images):
    apart = [(group, group + same) for group, same in images]
    assert united(*told(apart)) == told(apart)[0]


def on_both_sides(source, same):
    """One judges, one trains; their radiographs have the same pixels or not. -> the
    studies of both."""
    names, found = Pseudonyms(SALT), {}
    for person in (f"P{number}" for number in range(200)):
        found.setdefault(is_held_out(names.patient(person)), person)
    pixels = {"PixelData": radiograph("P", 1).PixelData} if same else {}
    for person in found.values():
        save(radiograph(person, 1, **pixels), source / person)
    return [f"A{person}1" for person in found.values()]


def labelled(path, studies, said):
    rows = [f"{s},1,{group}" for s, group in zip(studies, said, strict=True)]
    path.write_text("\n".join(["study,label,group", *rows]))
    return path


@pytest.mark.parametrize("said", [("", ""), ("a", "b"), ("b", "")])
@pytest.mark.parametrize(("same", "sides"), [(True, (0, 1)), (False, (1, 1))])
def test_the_same_image_under_two_patients_is_on_one_side_and_told(
    tmp_path, same, sides, said
):
    studies = on_both_sides(tmp_path / "in", same)
    labels = labelled(tmp_path / "labels.csv", studies, said)
    out = tmp_path / "out"
    found = build(tmp_path / "in", out, salt=SALT, labels=labels, jobs=1)
    parts = Parts.of(examples(out))
    assert (len([*parts.training, *parts.validation]), len(parts.test)) == sides
    assert found.report["shared_pixels"] == (2 if same else 0)
    told = "2 images have the pixels of another patient's" in in_words(found.report)
    assert told == same


def test_a_build_that_goes_on_unites_the_same(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    studies = on_both_sides(source, same=True)
    labels = labelled(tmp_path / "labels.csv", studies, "ab")
    first = build(source, out, salt=SALT, labels=labels, jobs=2)
    before = content(out)
    assert build(source, out, salt=SALT, labels=labels, jobs=1) == first
    for name in dataset.MANIFEST, dataset.EXAMPLES:
        (out / name).unlink()
    next((out / dataset.STUDIES).iterdir()).rename(tmp_path / "lost")
    assert build(source, out, salt=SALT, labels=labels, jobs=1) == first
    assert content(out) == before
    assert dataset.verify(out)["digest"] == first.digest


def without_pixels(study):
    """As a study was left before the pixels of its images had a name."""
    told = json.loads((study / "study.json").read_text())
    del told["pixels"]
    (study / "study.json").write_text(json.dumps(told, indent=1))
    rows = dataset.rows_of(study / "study.csv")
    dataset.write_rows(study / "study.csv", [row | {"group": ""} for row in rows])


def test_a_build_that_was_begun_before_pixels_had_names_ends_as_one_from_now(tmp_path):
    source, out = fill(tmp_path / "in", 3, views=1), tmp_path / "out"
    first = build(source, out, salt=SALT, jobs=1)
    (out / dataset.MANIFEST).unlink()
    without_pixels(next((out / dataset.STUDIES).iterdir()))
    assert build(source, out, salt=SALT, jobs=1) == first


def test_a_data_set_from_before_pixels_had_names_stays_what_it_is(tmp_path):
    source, out = fill(tmp_path / "in", 3, views=1), tmp_path / "out"
    build(source, out, salt=SALT, jobs=1)
    for study in (out / dataset.STUDIES).iterdir():
        without_pixels(study)
    told = json.loads((out / "report.json").read_text())
    del told["shared_pixels"]
    (out / "report.json").write_text(json.dumps(told))
    frozen = dataset.freeze(out)["digest"]
    again = build(source, out, salt=SALT, jobs=1)
    assert again.digest == frozen
    assert in_words(again.report).startswith("3 images")
