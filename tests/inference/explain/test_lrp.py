from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import nn
from torch.nn import functional as F

from inference.explain import bounds
from inference.explain.lrp import COMPOSITES, propagate, ruled
from inference.explain.rules import alpha1beta0
from inference.networks.gate import Gate
from inference.networks.resnet import Add
from inference.preprocess import Recipe

BOUNDS = bounds(Recipe())
CONSERVING = [name for name, composite in COMPOSITES.items() if composite.conserves]


@pytest.fixture
def network(small_network):
    return small_network


@pytest.fixture
def views(small_views):
    return small_views


@pytest.mark.parametrize("name", CONSERVING)
def test_the_relevance_of_all_pixels_adds_up_to_the_logit(name, network, views):
    relevance = propagate(network, views, COMPOSITES[name], BOUNDS)
    logits = network(views)[:, 0]
    assert relevance.sum(dim=(1, 2)).tolist() == pytest.approx(logits.tolist(), 2e-3)


@pytest.mark.parametrize("name", CONSERVING)
def test_a_signed_image_loses_no_relevance_without_the_box_rule(name, network, views):
    """What blocks with signed inputs rely on: after h-swish, say."""
    composite = replace(COMPOSITES[name], boxed=False)
    relevance = propagate(network, views, composite, BOUNDS)
    logits = network(views)[:, 0]
    assert relevance.sum(dim=(1, 2)).tolist() == pytest.approx(logits.tolist(), 2e-3)


@pytest.mark.parametrize("name", COMPOSITES)
def test_the_ruled_copy_gives_the_same_logits(name, network, views):
    copy = ruled(network, COMPOSITES[name], BOUNDS)
    assert torch.allclose(copy(views), network(views), rtol=1e-4, atol=1e-4)


def test_without_damping_lrp_is_gradient_times_input(network, views, monkeypatch):
    """Where there are gates, at what they let through now."""
    views.requires_grad_()
    weights = Gate.weights
    monkeypatch.setattr(Gate, "weights", lambda *seen: weights(*seen).detach())
    monkeypatch.setattr(
        nn.Hardswish, "forward", lambda _, x: x * F.hardsigmoid(x).detach()
    )
    (gradient,) = torch.autograd.grad(network(views).sum(), views)
    expected = (views * gradient)[:, 0].detach()
    relevance = propagate(network, views, COMPOSITES["lrp0"], BOUNDS)
    error = (relevance - expected).abs().max() / expected.abs().max()
    assert error < 1e-4


class Same(nn.Module):
    """An identity that captum takes: it hooks tensors, and needs a new one."""

    def forward(self, x):
        return x.clone()


def captums(network, views, rule):
    """captum's LRP, given what it cannot do without: every sum and identity as a
    module it knows, no bias in the denominators, no pixel below 0."""
    network = deepcopy(network)
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, Add):
                setattr(parent, name, Addition_Module())
            if isinstance(module, nn.Identity):
                setattr(parent, name, Same())
    for module in network.modules():
        if isinstance(module, nn.Flatten | Same):
            module.rule = EpsilonRule()
        elif isinstance(module, nn.Conv2d):
            module.rule = rule()
    return LRP(network).attribute(views.clone(), target=0)[:, 0].detach()


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize(
    ("rule", "composite"),
    [
        (EpsilonRule, COMPOSITES["lrp0"]),
        (
            lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True),
            replace(COMPOSITES["lrp0"], convolutions=alpha1beta0),
        ),
    ],
    ids=["epsilon", "alpha1beta0"],
)
def test_captum_agrees_where_it_is_right(rule, composite, plain_network, views):
    views = views - BOUNDS[0]
    folded = nn.Sequential(ruled(plain_network, composite, BOUNDS))
    for parent in list(folded.modules()):
        for name, module in parent.named_children():
            if hasattr(module, "rule"):
                setattr(parent, name, module.layer)
    ours = propagate(plain_network, views, composite, BOUNDS)
    theirs = captums(folded, views, rule)
    assert torch.cosine_similarity(ours.flatten(1), theirs.flatten(1)).min() > 0.999


def test_a_layer_without_a_rule_is_refused_by_name(network):
    network.head.append(nn.Tanh())
    with pytest.raises(ValueError, match="Tanh"):
        ruled(network, COMPOSITES["gamma"], BOUNDS)


def test_a_batch_norm_that_cannot_be_folded_is_refused(network):
    network.features.append(nn.BatchNorm2d(network.channels))
    with pytest.raises(ValueError, match="BatchNorm2d"):
        ruled(network, COMPOSITES["gamma"], BOUNDS)
