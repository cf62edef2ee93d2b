"""A table becomes examples, or it is said in which line and why it does not."""

import pytest

from search import data
from search.example import table
from search.table import BadTable

HEAD = "image,label,study,patient,boxes,weight"


def written(tmp_path, *lines):
    (tmp_path / "examples.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_row_is_an_example(tmp_path):
    said = 'a/b.png,1,s,p,"[[1, 2, 3, 4.5]]",0.5'
    (found,) = table(written(tmp_path, HEAD, said))
    assert (found.image, found.label) == (tmp_path / "a/b.png", 1)
    assert (found.boxes, found.weight) == (((1, 2, 3, 4.5),), 0.5)


def test_one_patient_is_one_however_the_id_is_written(tmp_path):
    lines = ("a,1,s,P3", "b,0,s , P3 ", "c,0,s,P\u200b3", "d,0,s,Mu\u0308ller")
    found = table(written(tmp_path, "Image, LABEL ,study,Patient", *lines))
    assert [e.patient for e in found] == ["P3", "P3", "P3", "M\u00fcller"]
    assert {e.study for e in found} == {"s"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("image,study,patient", "a,s,p"), "examples.csv has no column label."),
        ((HEAD, "a,7,s,p"), "line 2: the label “7” is neither 0 nor 1."),
        ((HEAD, "a,1,s,p", "b,0"), "line 3: the row has no study."),
        ((HEAD, "a,1,s, "), "line 2: the row has no patient."),
        ((HEAD, "a,1,s,\u200b"), "line 2: the row has no patient."),
        (("image,label,Label,study,patient", "a,1,0,s,p"), "the column label twice."),
        ((HEAD, "a,,s,p"), "line 2: the row has no label."),
        ((HEAD, "a,1,s,p,5"), "line 2: the boxes cannot be understood."),
        ((HEAD, 'a,1,s,p,"[[1, 2]]"'), "line 2: the boxes cannot be understood."),
        ((HEAD, 'a,1,s,p,"[""1234""]"'), "line 2: the boxes cannot be understood."),
        ((HEAD, 'a,1,s,p,"[[1, 2, NaN, 4]]"'), "the boxes cannot be understood."),
        ((HEAD, 'a,1,s,p,"[[1, 2, 3, -4]]"'), "the boxes cannot be understood."),
        ((HEAD, "a,1,s,p,[],nan"), "line 2: the weight cannot be understood."),
        ((HEAD, "a,1,s,p,[],much"), "line 2: the weight cannot be understood."),
        ((HEAD, "a,1,s,p,[],0"), "line 2: the weight cannot be understood."),
        ((HEAD, 'a,1,s,"' + "p" * 200_000), "after line 1: this is no CSV"),
        ((HEAD,), "lists no image that has a label."),
        (("",), "examples.csv has no column image."),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, lines, words):
    with pytest.raises(BadTable) as refused:
        data.examples(written(tmp_path, *lines))
    assert words in str(refused.value)
