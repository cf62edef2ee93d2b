"""What became of every file is counted, and said in words."""

from search.outcome import counted, in_words
from search.table import Table
from search.transform import Made


def row(image, patient):
    return {"image": image, "study": image, "patient": patient, "label": ""}


def made(image, pixels, *dropped):
    return Made(image, 1, dropped, (), ((image, pixels),))


def test_an_error_that_nobody_foresaw_is_told_by_its_class():
    found = [made("a", "x", ("b", "unforeseen OverflowError"), ("c", "blank"))]
    told = counted([row("a", "p")], found, [], Table())
    assert told["dropped"]["unforeseen OverflowError"]["files"] == 1
    assert "1 unforeseen OverflowError: " in in_words(told)


def test_images_are_shared_where_another_patient_has_their_pixels():
    found = [made("a", "x"), made("b", "x"), made("c", "x"), made("d", "y")]
    rows = [row("a", "p"), row("b", "p"), row("c", "p"), row("d", "q")]
    assert counted(rows, found, [], Table())["shared_pixels"] == 0
    rows[2] = row("c", "q")
    assert counted(rows, found, [], Table())["shared_pixels"] == 3
