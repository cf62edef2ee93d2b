"""Where the network looks decides what it says, and relevance follows."""

import torch

from inference.networks.attention import Attention


def looking(share):
    """Suspects a fracture at the one cell whose first channel is bright."""
    attention = Attention(3, share)
    attention.begin()
    attention.marks.weight.data[0, 0] = 50.0
    features = torch.rand(1, 3, 4, 5) / 100
    features[0, 0, 2, 3] = 1.0
    return attention, features


def test_the_mean_becomes_a_mix_of_everywhere_and_where_it_looks():
    attention, features = looking(0.5)
    mixed = attention(features).mean((2, 3))
    expected = (features.mean((2, 3)) + features[:, :, 2, 3]) / 2
    assert torch.allclose(mixed, expected, atol=1e-4)


def test_it_begins_by_looking_everywhere_alike():
    attention = Attention(3, 0.5)
    attention.begin()
    features = torch.rand(2, 3, 4, 5)
    assert torch.allclose(attention(features), features)


def test_a_logit_is_linear_in_what_is_looked_at():
    attention, features = looking(0.5)
    features.requires_grad_()
    logit = attention(features).mean()
    (slope,) = torch.autograd.grad(logit, features)
    assert torch.allclose((slope * features).sum(), logit)
    assert slope[0, 0].argmax() == 2 * 5 + 3
