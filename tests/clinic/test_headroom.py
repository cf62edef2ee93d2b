"""What does not fit into memory is told before a search begins."""

import pytest

from clinic import headroom


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(headroom, "memory", lambda: 16_000_000_000)


def test_a_batch_that_took_more_than_there_is_is_told_with_one_that_fits():
    told = headroom.warning(128, (256, 384))
    assert "128 views of 256×384 takes about 19 GB" in told
    assert "this machine has 16:" in told and told.endswith("of 107 at most.")
    assert headroom.warning(107, (256, 384)) == ""
    assert headroom.warning(108, (256, 384))


def test_views_that_are_smaller_may_be_more():
    assert headroom.warning(1024, (64, 64)) == ""
    assert "of 2 at most" in headroom.warning(32, (2048, 2048))


def test_this_machine_has_some(monkeypatch):
    monkeypatch.undo()
    assert headroom.memory() > 1e8
