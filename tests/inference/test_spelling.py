"""One spelling of what anyone may have written."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.spelling import line

ODD = " \t\0ab\u00a0\u00ad\u200b\u200d\u0301\u0308e\u00e9\u202e\ufeff\ud800\u2329"


@given(value=st.text(alphabet=ODD), length=st.integers(1, 60))
def test_what_is_spelled_so_stays(value, length):
    found = line(value, length)
    assert line(found, length) == found
    assert len(found) <= length
    assert found == found.strip() == unicodedata.normalize("NFC", found)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("A  17", "A 17"),
        ("A\u00ad17", "A17"),
        ("e\u0301x", "\u00e9x"),
        ("e\u00ad\u0301x", "\u00e9x"),
        (" \u00a0A17\0", "A17"),
        ("\u00ad \u200b", ""),
    ],
)
def test_one_spelling(written, read):
    assert line(written, 64) == read
