"""Tables for a person."""

from search.draws import Interval
from search.markdown import figure, in_words, markdown


def test_columns_are_as_wide_as_their_widest_cell():
    told = markdown(("a", "long"), iter([("wide", "b"), ("", "c")]))
    assert told.splitlines() == [
        "| a    | long |",
        "| ---- | ---- |",
        "| wide | b    |",
        "|      | c    |",
    ]


def test_an_interval_in_words():
    found = Interval(0.8413, -0.1, 0.9)
    assert in_words(found) == "0.841 [-0.100, 0.900]"
    assert in_words(found, "+") == "+0.841 [-0.100, +0.900]"
    assert in_words(None) == "not measurable"


def test_a_figure_that_nobody_could_measure():
    assert (figure(0.123), figure(0.123, 1), figure(None)) == (
        *("0.12", "0.1"),
        "not measurable",
    )
