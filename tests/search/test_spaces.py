"""What every strategy relies on, whatever the space."""

import json

import numpy as np
import pytest

from search.spaces import SPACES


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_seed_draws_the_same_architectures(space):
    first, second = (
        [space.sample(rng) for rng in [np.random.default_rng(7)] * 5] for _ in range(2)
    )
    assert first == second
    assert len(set(first)) == 5


def test_what_leaves_a_space_is_canonical(space, rng):
    parent = space.sample(rng)
    found = [space.start, parent, space.mutate(parent, 0.2, rng)]
    found += [space.decode(rng.integers(space.choices)) for _ in range(20)]
    for architecture in found:
        assert space.canonical(architecture) == architecture


def test_genes_and_json_come_back(space, rng):
    for architecture in (space.start, *(space.sample(rng) for _ in range(20))):
        genes = space.encode(architecture)
        assert len(genes) == len(space.choices)
        assert all(0 <= g < n for g, n in zip(genes, space.choices, strict=True))
        assert space.decode(genes) == architecture
        text = json.dumps(space.to_json(architecture))
        again = space.from_json(json.loads(text))
        assert again == architecture
        assert hash(again) == hash(architecture)


def test_every_value_of_every_gene_is_drawn(space, rng):
    """Of genes that show, that is."""
    drawn = [set() for _ in space.choices]
    for _ in range(200):
        for gene, values in zip(space.encode(space.sample(rng)), drawn, strict=True):
            values.add(gene)
    assert [len(values) for values in drawn] == list(space.choices)


def test_a_mutation_is_always_another_network(space, rng):
    parent = space.sample(rng)
    for _ in range(300):
        child = space.mutate(parent, 1 / len(space.choices), rng)
        assert child != parent
        parent = child


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(space, share, rng):
    with pytest.raises(ValueError, match="share"):
        space.mutate(space.start, share, rng)


def test_costs_are_told_before_training(space, rng):
    architecture = space.sample(rng)
    assert space.parameters(architecture) > 0
    small, large = (space.madds(architecture, side, side) for side in (64, 128))
    assert 3 * small < large < 5 * small
