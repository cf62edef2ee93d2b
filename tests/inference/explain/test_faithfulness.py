import numpy as np
import pytest
import torch
from torch import nn

from inference.explain.faithfulness import (
    curves,
    inside,
    positive_mass,
    randomisation,
    shuffled,
)


@pytest.fixture
def relevance() -> np.ndarray:
    """Most for at (x, y) = (20, 40), even more against at (50, 10)."""
    relevance = np.zeros((96, 64), np.float32)
    relevance[40, 20], relevance[10, 50] = 1, -5
    return relevance


def test_the_margin_is_in_pixels():
    assert inside((9.1, 5), (10, 0, 10, 10), margin=1)
    assert not inside((8.9, 5), (10, 0, 10, 10), margin=1)
    assert not inside((5, 11.1), (0, 0, 100, 10), margin=1)


def test_positive_mass_leaves_out_what_speaks_against(relevance):
    relevance[90, 60] = 3
    assert positive_mass(relevance, (15, 35, 10, 10)) == pytest.approx(0.25)
    assert positive_mass(relevance, (-5, -5, 100, 120)) == pytest.approx(1)
    assert positive_mass(-np.abs(relevance), (0, 0, 64, 96)) == 0


class Corner(nn.Module):
    """Sees a fracture where the upper left 16x16 pixels are bright."""

    def forward(self, x):
        return 200 * x[:, :, :16, :16].mean(dim=(2, 3)) - 180


def test_taking_away_what_matters_first_ends_the_fracture_at_once():
    view = torch.zeros(1, 1, 96, 64)
    view[..., :16, :16] = 1
    right, wrong = torch.zeros(96, 64), torch.zeros(96, 64)
    right[:16, :16], wrong[80:, 48:] = 1, 1
    wrong[:16, :16] = -1
    good, bad = (curves(Corner(), view, relevance) for relevance in (right, wrong))
    assert good.deletion < 0.1 and good.insertion > 0.9
    assert bad.deletion > 0.9 and bad.insertion < 0.1


def test_a_map_that_ignores_the_network_fails_the_randomisation(
    small_network, small_views
):
    network, view = small_network, small_views[:1]
    assert randomisation(lambda n, x: x[:, 0], network, view, seed=0) == pytest.approx(
        1
    )


def test_shuffling_keeps_each_layers_weights_and_the_network(small_network):
    before = {k: v.clone() for k, v in small_network.state_dict().items()}
    every = dict(shuffled(small_network, seed=3).named_parameters())
    last = dict(shuffled(small_network, seed=3, last=True).named_parameters())
    names = [name for name, p in small_network.named_parameters() if p.dim() > 1]
    for name in names:
        assert (
            every[name]
            .flatten()
            .sort()
            .values.equal(before[name].flatten().sort().values)
        )
        assert not every[name].equal(before[name])
        assert last[name].equal(before[name]) == (name != names[-1])
    for name, value in small_network.state_dict().items():
        assert value.equal(before[name])
