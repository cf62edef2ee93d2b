"""What a row of a table tells becomes the groups that models are judged by."""

import pytest

from search import traits
from search.example import table


@pytest.mark.parametrize(
    ("name", "value", "group"),
    [
        ("age", "0.5", "0–1"),
        ("age", "17", "12–17"),
        ("age", "18.0", "18–39"),
        ("age", "90", "90 and older"),
        ("age", "old", ""),
        ("age", "-1", ""),
        ("age", "nan", ""),
        ("age", None, ""),
        ("sex", " F ", "F"),
        ("metal", "1", "yes"),
        ("cast", "0", "no"),
        ("metal", "yes", "yes"),
        ("view", "", ""),
    ],
)
def test_a_value_has_its_group(name, value, group):
    assert traits.group(name, value) == group


def test_examples_of_a_table_carry_what_it_tells(tmp_path):
    head = "image,label,study,patient,part,age,sex,side,view,maker,metal,date"
    said = "a.png,1,s,p,wrist,9,F,L,frontal,Agfa,1,20240101"
    (tmp_path / "examples.csv").write_text(f"{head}\n{said}\nb.png,0,s,p{',' * 8}\n")
    first, second = table(tmp_path)
    assert dict(first.traits) == {
        "age": "6–11",
        "sex": "F",
        "side": "L",
        "view": "frontal",
        "maker": "Agfa",
        "metal": "yes",
    }
    assert second.traits == ()
