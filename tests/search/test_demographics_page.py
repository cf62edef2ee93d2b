"""The page stands alone, says what the numbers say, and trusts no text."""

import json
import re

import pytest

from search.demographics import summary
from search.demographics_page import page, write

ROWS = [
    {"label": "1", "patient": "a", "age": "7", "sex": "F", "maker": "A & B"},
    {"label": "0", "patient": "b", "age": "71", "sex": "", "maker": "x"},
    {"label": "", "patient": "b", "age": "", "sex": "M", "maker": "x"},
]


def test_every_number_is_in_a_table():
    text = page(summary(ROWS), "A title")
    assert '<th scope="row">F</th><td>1</td><td>1</td><td>1</td>' in text
    assert "missing</th><td>1</td>" in text
    assert "100%" in text
    assert "Not known of any image" in text
    assert text.count("<img ") == text.count("<table>") == 3


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x>', "$\\frac{", "a & b", "€ß手"]
)
def test_text_of_a_header_is_only_text(text):
    found = page(summary([{"maker": text, "label": "1"}]), text)
    assert "<script" not in found
    assert "<img src=x" not in found
    assert re.search(r'<img alt="[^"<>]*" src="data:image/svg\+xml;base64,', found)


def test_nothing_comes_from_elsewhere():
    found = page(summary(ROWS), "A title")
    assert "http" not in re.sub(r'src="data:[^"]*"', "", found)


def test_both_files_are_written_and_are_the_same_again(tmp_path):
    told = summary(ROWS)
    for name in "ab":
        write(tmp_path / name, told, "A title")
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab"
    )
    assert first == second
    assert json.loads(first["demographics.json"]) == told
