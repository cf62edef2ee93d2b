"""Neighbouring images become studies, without a look at what is to be learned."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data import examples, split
from search.studies import LONGEST, PARTS, VIEWS, studies

TRUTH = Path(__file__).with_name("fracatlas_studies.csv")


def row(number, view="frontal", part="hand", *, block="1", multiscan=False):
    views, parts = view.split(), part.split()
    return {
        "image_id": f"IMG{number:07}.jpg",
        "block": block,
        "multiscan": str(int(multiscan)),
        **{name: str(int(name in views)) for name in VIEWS},
        **{name: str(int(name in parts)) for name in PARTS},
    }


def together(*rows):
    """The sizes of the studies, in order."""
    return list(Counter(studies(rows).values()).values())


def test_a_frontal_view_begins_and_others_go_on():
    views = ["frontal", "lateral", "frontal", "oblique", "lateral"]
    assert together(*(row(i, view) for i, view in enumerate(views))) == [2, 3]


def test_a_study_is_named_by_its_first_image():
    found = studies([row(8, "lateral"), row(7)])
    assert found == {"IMG0000007.jpg": "IMG0000007", "IMG0000008.jpg": "IMG0000007"}


@pytest.mark.parametrize(
    "following",
    [
        row(9, "lateral"),  # an image lies between
        row(8, "lateral", block="2"),
        row(8, "lateral", "leg"),
        row(8, "frontal"),
        row(8, "frontal lateral"),
        row(8, "lateral", multiscan=True),
    ],
)
def test_what_is_another_examination(following):
    assert together(row(7), following) == [1, 1]


def test_the_raised_arm_goes_on_once():
    arms = [row(i, "frontal", "hand shoulder") for i in range(4)]
    assert together(*arms) == [2, 2]
    assert together(arms[0], row(1, "frontal", "hand")) == [1, 1]


def test_several_views_in_one_image_are_a_study():
    both = row(7, "frontal lateral", multiscan=True)
    assert together(both, row(8, "lateral")) == [1, 1]
    hands = row(7, multiscan=True), row(8, "oblique", multiscan=True)
    assert together(*hands) == [2]


def test_no_study_is_longer_than_any_examination():
    assert together(*(row(i, "lateral") for i in range(6))) == [LONGEST, 2]


ROWS = st.lists(
    st.builds(
        row,
        st.integers(0, 40),
        st.sampled_from(["frontal", "lateral", "oblique", "frontal lateral"]),
        st.sampled_from(["hand", "hand shoulder", "leg", "leg hip"]),
        block=st.sampled_from("12"),
        multiscan=st.booleans(),
    ),
    unique_by=lambda row: row["image_id"],
)


@given(ROWS, st.randoms())
def test_neither_order_nor_fractures_matter(rows, random):
    labelled = [dict(r, fractured=random.choice("01")) for r in rows]
    random.shuffle(labelled)
    assert studies(labelled) == studies(rows)


@pytest.fixture(scope="module")
def fracatlas(sample_data):
    return examples(sample_data / "fracatlas")


def test_no_study_is_on_both_sides_of_a_split(fracatlas):
    blocks = defaultdict(set)
    for example in fracatlas:
        blocks[example.study].add(example.patient)
    assert all(len(found) == 1 for found in blocks.values())
    rest, held = split(fracatlas, 0.25, "test")
    assert not {e.study for e in rest} & {e.study for e in held}


def test_studies_are_right_where_somebody_looked(fracatlas):
    """On the pairs that had no part in making the rule."""
    study = {e.image.name: e.study for e in fracatlas}
    with TRUTH.open(newline="") as file:
        pairs = [
            (study[r["first"]] == study[r["second"]], r["same_person"] == "yes")
            for r in csv.DictReader(file)
            if r["sample"] == "check" and r["same_person"] != "unclear"
        ]
    found = Counter(pairs)
    assert found[True, True] / (found[True, True] + found[True, False]) > 0.85
    assert found[True, True] / (found[True, True] + found[False, True]) > 0.85
