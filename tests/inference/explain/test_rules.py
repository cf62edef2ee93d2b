"""By hand, on one neuron: x = (1, 2, -1), w = (2, -1, 1), so x w = (2, -2, -1)."""

import pytest
import torch
from torch import nn

from inference.explain.rules import alpha1beta0, box, epsilon, gamma

X = torch.tensor([[1.0, 2.0, -1.0]])


def shares(rule, bias, relevance, **options):
    """The relevance R = c z of one neuron, shared out by `rule`."""
    neuron = nn.Linear(3, 1)
    neuron.weight.data, neuron.bias.data = torch.tensor([[2.0, -1, 1]]), torch.ones(1)
    neuron.bias.data *= bias
    with torch.no_grad():
        z = neuron(X)
        return (X * rule(neuron, X, z, relevance / z, **options))[0].tolist()


def test_gamma_favours_the_sign_of_the_output():
    # 2 (1 + 1) - 2 - 1 = 1, and the bias 3, all of it to the one exciting input
    assert shares(gamma, 3, 4.0, strength=1.0) == pytest.approx([7, -2, -1])
    # 2 - (2 + 1) (1 + 1) - 1 = -5, the last 1 the bias, to the inhibiting inputs
    inhibited = shares(gamma, -1, -5.0, strength=1.0)
    assert inhibited == pytest.approx([2, -14 / 3, -7 / 3])


def test_gamma_of_strength_0_shares_by_contribution():
    assert shares(gamma, 0, -1.0, strength=0.0) == pytest.approx([2, -2, -1])
    # The bias 2 of z = 1 goes to the exciting input.
    assert shares(gamma, 2, 1.0, strength=0.0) == pytest.approx([4, -2, -1])


def test_alpha1beta0_shares_among_what_excites():
    assert shares(alpha1beta0, 5, 4.0) == pytest.approx([4, 0, 0])


def test_epsilon_lets_the_bias_take_its_part():
    assert shares(epsilon, 2, 1.0, dampen=0.0) == pytest.approx([2, -2, -1])


def test_damping_takes_a_part_too():
    # One neuron: its root mean square is |z|.
    halved = shares(epsilon, 0, -1.0, dampen=1.0)
    assert halved == pytest.approx([1, -1, -0.5])


@pytest.mark.parametrize("rule", [gamma, alpha1beta0])
def test_nothing_is_lost_when_only_a_bias_carries_the_output(rule):
    options = {"strength": 0.25} if rule is gamma else {}
    neuron = nn.Linear(2, 1)
    neuron.weight.data, neuron.bias.data = -torch.ones(1, 2), 5 * torch.ones(1)
    x, z = torch.ones(1, 2), 3 * torch.ones(1, 1)
    given = x * rule(neuron, x, z, torch.ones(1, 1), **options)
    assert given[0].tolist() == pytest.approx([1.5, 1.5])


def test_a_strong_bias_never_turns_red_into_blue():
    """Without the bias in the denominator, (2, -2, -1) of z = -1 + 4 would share
    R = 3 as (-6, 6, 3)."""
    for strength in (0.0, 0.25, 10.0):
        exciting, *inhibiting = shares(gamma, 4, 3.0, strength=strength)
        assert exciting > 0 > max(inhibiting)


def test_the_box_rule_gives_black_pixels_their_part():
    pixels = nn.Conv2d(1, 1, (1, 2), bias=False)
    pixels.weight.data = torch.tensor([[[[1.0, -1.0]]]])
    x = torch.tensor([[[[1.0, 0.0]]]])
    given = box(pixels, x, pixels(x), torch.ones(1, 1, 1, 1), bounds=(0.0, 1.0))
    # x w - low w+ - high w-: 1 x 1 - 0 and 0 x (-1) - 1 x (-1)
    assert given.flatten().tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("rule", [gamma, alpha1beta0])
def test_what_a_bias_alone_says_goes_to_the_other_channels_of_its_place(rule):
    """Three filters of a channel each; the third is silent at the first place, and
    all are at the second."""
    options = {"strength": 0.25} if rule is gamma else {}
    filters = nn.Conv2d(3, 3, 1, groups=3)
    filters.weight.data, filters.bias.data = torch.ones(3, 1, 1, 1), torch.ones(3)
    x = torch.tensor([[[[2.0, 0]], [[5.0, 0]], [[0.0, 0]]]])
    with torch.no_grad():
        z = filters(x)
        relevance = torch.tensor([[[[1.0, 2]], [[3.0, 0]], [[4.0, 2]]]])
        given = x * rule(filters, x, z, relevance / z, **options)
    # 4 to (1, 3) as 1 : 3, then the 4 of the second place to (2, 6) alike
    assert given[0, :, 0, 0].tolist() == pytest.approx([3, 9, 0])
    assert given[0, :, 0, 1].tolist() == [0, 0, 0]
