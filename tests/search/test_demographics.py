"""Nobody is lost between the table and the summary."""

import csv
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.demographics import ATTRIBUTES, MOST, REST, rows_of, summary
from search.table import BadTable

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "label": st.sampled_from(["0", "1", ""]),
            "patient": st.sampled_from("abc"),
            "study": st.sampled_from("xyz"),
            "age": st.sampled_from(["", "0.5", "7", "12", "90", "old", "-1"]),
            "sex": st.sampled_from(["", "F", "M", "O"]),
            "maker": st.integers(0, 40).map(str),
            "cast": st.sampled_from(["", "0", "1"]),
        }
    )
)


@given(ROWS)
def test_every_image_is_in_one_group_or_missing(found):
    told = summary(found)
    labels = ("fractured", "not_fractured", "without_label")
    assert told["images"] == len(found) == sum(told[label] for label in labels)
    for attribute in told["attributes"].values():
        groups = attribute["groups"]
        assert sum(group["images"] for group in groups) == attribute["known"]
        assert attribute["known"] + attribute["missing"] == len(found)
        assert len(groups) <= MOST + 1
        for label in labels:
            missing = attribute.get("of_the_missing", {}).get(label, 0)
            assert sum(group[label] for group in groups) + missing == told[label]


def test_ages_are_in_order_and_summed_up():
    ages = ["0.5", "7", "7.5", "12", "70", "", "unknown"]
    told = summary({"age": age, "label": "1"} for age in ages)["attributes"]["age"]
    assert [group["group"] for group in told["groups"]] == [
        "0–1",
        "6–11",
        "12–17",
        "65–89",
    ]
    assert (told["known"], told["missing"]) == (5, 2)
    assert (told["years"]["median"], told["years"]["oldest"]) == (7.5, 70)


def test_quartiles_lie_between_the_youngest_and_the_oldest():
    ages = ({"age": age} for age in ("2", "20"))
    years = summary(ages)["attributes"]["age"]["years"]
    assert (years["lower_quartile"], years["upper_quartile"]) == (6.5, 15.5)


def test_one_age_alone_and_none():
    assert summary([{"age": "9"}])["attributes"]["age"]["years"]["median"] == 9
    assert "years" not in summary([{}])["attributes"]["age"]
    assert summary([])["images"] == 0


def test_many_small_groups_become_one():
    found = [{"maker": str(i % 20)} for i in range(400)]
    groups = summary(found)["attributes"]["maker"]["groups"]
    assert groups[-1]["group"] == REST
    assert groups[-1]["images"] == 20 * (20 - MOST)


def test_a_folder_without_a_known_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no table"):
        rows_of(tmp_path)
    (tmp_path / "dataset.csv").write_text("name,age\nx,3\n")
    with pytest.raises(ValueError, match="no column image"):
        rows_of(tmp_path)


def test_grazpedwri_is_told_as_published(sample_data):
    path = sample_data / "grazpedwri" / "dataset.csv"
    with path.open(encoding="utf-8-sig") as file:
        published = list(csv.DictReader(file))
    told = summary(rows_of(path))
    assert told == summary(rows_of(path.parent))
    assert told["images"] == len(published)
    assert told["patients"] == len({row["patient_id"] for row in published})
    assert told["fractured"] == sum(row["fracture_visible"] == "1" for row in published)
    sexes = {g["group"]: g["images"] for g in told["attributes"]["sex"]["groups"]}
    assert sexes == Counter(row["gender"] for row in published)
    casts = {g["group"]: g["images"] for g in told["attributes"]["cast"]["groups"]}
    assert casts["yes"] == sum(row["cast"] == "1" for row in published)


def test_fracatlas_says_what_was_not_published(sample_data):
    told = summary(rows_of(sample_data / "fracatlas"))
    missing = {n for n in ATTRIBUTES if not told["attributes"][n]["known"]}
    assert missing == {"age", "sex", "side", "maker", "cast"}
    assert told["patients"] == 49


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"t.csv": "filestem,age\na,3\n"}, "t.csv has no column patient_id."),
        ({"t.csv": "file,age\na,3\n"}, "t.csv has no column image."),
        ({"t.csv": 'image\n"' + "x" * 200_000}, "this is no CSV"),
        (
            {"split_info.csv": "block\n1\n", "dataset.csv": "hand\n1\n"},
            "dataset.csv has no column image_id.",
        ),
    ],
)
def test_a_table_of_another_kind_is_refused_in_words(tmp_path, files, words):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BadTable) as refused:
        rows_of(tmp_path / "t.csv" if "t.csv" in files else tmp_path)
    assert words in str(refused.value)
