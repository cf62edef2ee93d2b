"""Cards of any shape: what they do not tell is missing."""

import pytest

from search import told


@pytest.mark.parametrize("odd", [None, "0.5", True, float("nan"), float("inf"), [1]])
def test_what_is_no_finite_number_is_no_figure(odd):
    assert told.figure(odd) is None
    assert told.figure(3) == 3.0


@pytest.mark.parametrize("odd", [None, 3, {}, {"training": {"patients": 3}}])
def test_who_was_learnt_from_is_unknown_where_no_list_says_so(odd):
    assert told.learnt_from(odd) is None
    assert told.learnt_from({"training": {"patients": [7]}}) == {"7"}
