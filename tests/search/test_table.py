"""The table that comes with images is understood, or refused with the line."""

import pytest

from search.table import BadTable, read


def written(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_of_the_study_holds_for_its_images_and_the_image_knows_better(tmp_path):
    found = read(
        written(
            tmp_path,
            "\ufeffimage,study,label,cast\n,1.2.3,1,1\na/./b.dcm,,0,\n,ACC,0,\n",
        )
    )
    assert found.row(("x",), ("1.2.3", ""))["label"] == "1"
    better = found.row(("a/b.dcm", "uid"), ("1.2.3", ""))
    assert (better["label"], better["cast"]) == ("0", "1")
    assert found.row(("x",), ("", "ACC"))["label"] == "0"
    assert found.row(("", "x"), ("", "")) == {}


def test_columns_are_known_however_they_are_written(tmp_path):
    found = read(written(tmp_path, "Image , LABEL,Group\na,1,g\n"))
    assert found.row(("a",), ()) == {"image": "a", "label": "1", "group": "g"}


def test_what_a_sentence_quotes_is_one_printable_line(tmp_path):
    with pytest.raises(BadTable) as refused:
        read(written(tmp_path, 'image,label\n"a\n\x1b[31mb",1\n"a\n\x1b[31mb",0\n'))
    assert str(refused.value).isprintable() and "[31mb" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,label\na,1\n", "neither a column image nor a column study"),
        ("image,label\na,yes\n", "line 2: the label “yes” is neither 0 nor 1"),
        ("image,label\na,1\nb,0\na,0\n", "line 4: “a” is given two labels"),
        ("image,label\n,1\n", "line 2: the row names no image and no study"),
        ("image,label,age\na,1,old\n", "line 2: the age or the boxes"),
        ('image,label,boxes\na,1,"[[1, 2, 3]]"\n', "line 2: the age or the boxes"),
        ("image,label,boxes\na,1,5\n", "line 2: the age or the boxes"),
        ("image,label,boxes\na,1," + "[" * 60_000, "line 2: the age or the boxes"),
        (
            f'image,label,boxes\na,1,"[[{10**400}, 2, 3, 4]]"',
            "line 2: the age or the boxes",
        ),
        (
            'image,label,boxes\na,1,"[[1, 2, 3, 4]]"\na,1,"[[5, 6, 7, 8]]"\n',
            "line 3: of “a” an earlier row says something else: boxes.",
        ),
        ('image,label\na,1\nb,"' + "x" * 200_000, "after line 2: this is no CSV"),
        ("", "neither a column image nor a column study"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, text, reason):
    with pytest.raises(BadTable, match=reason):
        read(written(tmp_path, text))


def test_what_is_no_text_is_refused_in_words(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"image,label\n\xff\xfe,1\n")
    with pytest.raises(BadTable, match=r"labels\.csv.*: this is no CSV"):
        read(path)


def test_the_same_row_twice_is_as_once(tmp_path):
    found = read(written(tmp_path, "image,label,boxes\na,1,[]\na,1,[]\n,,\n"[:-4]))
    assert found.matched(("a", "b"), ("",)) == {2}
