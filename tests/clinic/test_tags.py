"""What anyone may have written, as rows may hold it."""

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic import tags


@given(value=st.text(alphabet=st.characters()), length=st.integers(1, 60))
def test_text_is_one_printable_line_that_fits(value, length):
    found = tags.text(value, length)
    assert len(found) <= length
    assert found == found.strip()
    found.encode()
    unsafe = {"Cc", "Cs", "Zl", "Zp"}
    assert not unsafe & {unicodedata.category(char) for char in found}
    assert tags.text(found, length) == found


@pytest.mark.parametrize(
    "mark", "\u202a\u202b\u202d\u202e\u2066\u2067\u200e\u200f\ufeff"
)
def test_no_mark_turns_the_direction_of_what_follows(mark):
    assert tags.text(f"left{mark}right", 64) == "leftright"


@pytest.mark.parametrize("word", ["محمد", "می‌خواهم", "佐藤^太郎", "Łukasz", "Ελένη"])
def test_names_of_every_script_stay_as_they_are(word):
    assert tags.text(word, 64) == unicodedata.normalize("NFC", word)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("20240229", date(2024, 2, 29)),
        ("2024.02.29", date(2024, 2, 29)),
        ("2024-02-29", date(2024, 2, 29)),
        (" 19000101 ", date(1900, 1, 1)),
        ("20230229", None),
        ("00000000", None),
        ("2024", None),
        ("20240101-20240201", None),
        ("", None),
        ("٢٠٢٤٠١٠١", None),
    ],
)
def test_days(written, day):
    assert tags.day(written) == day


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("7", 7),
        (" -3 ", -3),
        ("+5", 5),
        ("1.5", None),
        ("", None),
        ("2147483647", 2147483647),
        ("2147483648", None),
        ("٣", None),
        ("1 2", None),
    ],
)
def test_numbers(written, number):
    assert tags.number(written) == number


@pytest.mark.parametrize(
    ("written", "size"), [("2500", 2500), ("0", None), ("-1", None), ("65536", None)]
)
def test_sizes(written, size):
    assert tags.size(written) == size


@pytest.mark.parametrize(
    ("written", "uid"),
    [
        ("1.2.840.1", "1.2.840.1"),
        ("1.2\x00", "1.2"),
        ("1.2<b>", ""),
        ("1" * 64, "1" * 64),
        ("1" * 65, ""),
        ("", ""),
    ],
)
def test_uids(written, uid):
    assert tags.uid(written) == uid


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("DOE^JANE", "Doe^Jane", True),
        ("DOE^JANE", "Jane Doe", True),
        ("DOE^JANE", "", True),
        ("DOE^JANE=佐藤^太郎", "DOE^JANE", True),
        ("MÜLLER^ÉVA", "Muller^Eva", True),
        ("DOE^JANE", "DOE^JOHN", False),
        ("DOE^JANE", "DOE", False),
        ("佐藤^太郎", "佐藤^花子", False),
    ],
)
def test_names(one, other, same):
    assert tags.same_name(one, other) is same
    assert tags.same_name(other, one) is same
