import numpy as np
import pytest

from search.spaces import SPACES
from search.spaces.ofa import LARGEST, PUBLISHED, SMALLEST, Architecture

SPACE = SPACES["ofa-1.2"]


def altered(architecture, name, place, value):
    genes = list(getattr(architecture, name))
    genes[place] = value
    known = vars(architecture) | {name: tuple(genes)}
    return Architecture(**known)


def test_there_are_45_genes_of_three_values():
    assert SPACE.choices == (3,) * 45


def test_genes_of_blocks_that_are_not_there_fold_away():
    # The first stage has three blocks: place 3 is empty.
    for name in ("kernels", "expansions"):
        silent = altered(PUBLISHED, name, 3, max(getattr(PUBLISHED, name)))
        assert silent != PUBLISHED
        assert SPACE.canonical(silent) == PUBLISHED
        assert SPACE.parameters(silent) == SPACE.parameters(PUBLISHED)
        spoken = altered(PUBLISHED, name, 2, 4 if name == "expansions" else 5)
        assert SPACE.canonical(spoken) != PUBLISHED


def test_half_of_the_genes_differ_if_half_may_change():
    rng = np.random.default_rng(0)
    start = np.array(SPACE.encode(LARGEST))
    shown = []
    for _ in range(200):
        child = SPACE.mutate(LARGEST, 0.5, rng)
        genes, there = np.array(SPACE.encode(child)), ~SPACE._dormant(child)
        shown.append((genes != start)[there].mean())
    assert np.mean(shown) == pytest.approx(0.5, abs=0.03)


def test_a_new_block_is_not_always_the_smallest():
    """Its genes slept; folded, they would all wake as 3."""
    rng = np.random.default_rng(0)
    grown = [SPACE.mutate(SMALLEST, 1 / 45, rng) for _ in range(300)]
    kernels = {c.kernels[2] for c in grown if c.depths[0] == 3}
    assert kernels == {3, 5, 7}


@pytest.mark.parametrize(
    ("genes", "said"),
    [
        (((2,) * 4, (3,) * 20, (3,) * 20), "5 depths"),
        (((2,) * 5, (3,) * 19, (3,) * 20), "20 kernels"),
        (((5,) * 5, (3,) * 20, (3,) * 20), "5 where only"),
        (((2,) * 5, (3,) * 20, (5,) * 20), r"5 where only \(3, 4, 6\)"),
        (((2,) * 5, (3.0,) * 20, (3,) * 20), "3.0 where only"),
    ],
)
def test_what_is_no_architecture_is_refused_in_words(genes, said):
    with pytest.raises(ValueError, match=said):
        Architecture(*genes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 1.0}, "width 1.0"),
        ({"d": None}, "lists"),
        ({"ks": [3] * 19}, "20 kernels"),
        ({"e": ["3"] * 20}, "'3' where only"),
    ],
)
def test_json_of_another_thing_is_refused_in_words(change, said):
    with pytest.raises(ValueError, match=said):
        SPACE.from_json(SPACE.to_json(PUBLISHED) | change)
    with pytest.raises(ValueError, match="ks missing"):
        SPACE.from_json({"width": 1.2, "d": [2] * 5, "e": [3] * 20})


def test_without_a_head_the_sizes_are_the_published_ones():
    """Width 1.2 spans 3.07 to 9.16 M, the start is 7.599 M; width 1 ends at 6.384."""

    def headless(width, architecture):
        space = SPACES[f"ofa-{width}"]
        plan = space.blueprint(architecture)
        return plan.parameters(channels=3, classes=0) / 1e6

    found = [headless(1.2, a) for a in (SMALLEST, PUBLISHED, LARGEST)]
    assert found == pytest.approx([3.07, 7.599, 9.16], abs=0.005)
    assert headless(1.0, LARGEST) == pytest.approx(6.384, abs=0.0005)


def test_multiply_adds_are_the_published_ones():
    plan = SPACE.blueprint(PUBLISHED)
    found = [plan.madds(side, side, 3, 1000) / 1e6 for side in (224, 236, 240)]
    assert found == pytest.approx([512.9, 595.2, 599.7], abs=0.05)
    ends = [SPACE.blueprint(a).madds(224, 224, 3, 1000) for a in (SMALLEST, LARGEST)]
    assert np.array(ends) / 1e6 == pytest.approx([193, 843], abs=0.5)
