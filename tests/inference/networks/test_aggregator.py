"""All views of a study, judged together."""

import json
from itertools import permutations

import pytest
import torch
from torch import nn

from inference.explain import bounds
from inference.explain.lrp import COMPOSITES, propagate
from inference.networks import Arch, build
from inference.networks.aggregator import Study
from inference.preprocess import Recipe

BOUNDS = bounds(Recipe())
VIEWS = {
    "rx": Arch("rx", (("hidden", (32, 16)), ("widths", (8, 8, 16, 16)))),
    "resnet18": Arch("resnet18", (("width", 16),)),
    "squeezenet": Arch("squeezenet", (("attention", 0.5),)),
}


@pytest.fixture(params=VIEWS)
def single(request):
    """What was trained on single views."""
    torch.manual_seed(0)
    network = build(VIEWS[request.param]).eval()
    for module in network.modules():
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.3)
    return network


@pytest.fixture
def aggregator(single, request):
    arch = VIEWS[request.node.callspec.params["single"]]
    made = build(Arch("aggregator", (("view", (arch.family, arch.options)),)))
    made.load_state_dict(single.state_dict())
    return made.eval()


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(1)
    return torch.empty(4, 1, 96, 64).uniform_(*BOUNDS, generator=generator)


def test_it_goes_on_from_the_network_of_single_views(aggregator, single, views):
    with torch.no_grad():
        assert torch.equal(aggregator(views), single(views))
        alone = Study(aggregator)(views[:1])
        assert torch.allclose(alone, single(views[:1]), atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_study_has_one_logit_however_many_views(count, aggregator, views):
    with torch.no_grad():
        assert Study(aggregator)(views[:count]).shape == (1, 1)


def test_another_view_may_change_everything(aggregator, views):
    with torch.no_grad():
        found = {Study(aggregator)(views[:count]).item() for count in (1, 2, 3, 4)}
    assert len(found) > 1


def test_the_order_of_views_does_not_count(aggregator, views):
    with torch.no_grad():
        described = aggregator.describe(views)
        found = {
            aggregator.judge(aggregator.seen(described[list(order)])).item()
            for order in permutations(range(4))
        }
    assert len(found) == 1


def test_views_may_come_one_by_one(aggregator, views):
    """And nothing but one description is kept in between."""
    with torch.no_grad():
        described, state = aggregator.describe(views), None
        for count in range(1, 5):
            state = aggregator.seen(described[count - 1 : count], state)
            together = aggregator.seen(described[:count])
            assert torch.equal(state, together)
            wanted = Study(aggregator)(views[:count])
            assert torch.allclose(aggregator.judge(state), wanted, atol=1e-5)
        assert torch.equal(aggregator.seen(described[:2], state), state)


@pytest.mark.parametrize("name", [n for n, c in COMPOSITES.items() if c.conserves])
def test_the_relevance_of_all_views_adds_up_to_the_logit(name, aggregator, views):
    study = Study(aggregator)
    relevance = propagate(study, views, COMPOSITES[name], BOUNDS)
    assert relevance.shape == (4, 96, 64)
    assert relevance.sum().item() == pytest.approx(study(views).item(), 2e-3)


def test_without_damping_it_is_gradient_times_input(aggregator, views):
    study = Study(aggregator)
    relevance = propagate(study, views, COMPOSITES["lrp0"], BOUNDS)
    views.requires_grad_()
    (gradient,) = torch.autograd.grad(study(views).sum(), views)
    expected = (views * gradient)[:, 0].detach()
    assert (relevance - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_view_that_wins_nothing_gets_no_relevance(aggregator, views):
    """Of two equal views and their like that is nowhere stronger, it gets nothing."""
    with torch.no_grad():
        described = aggregator.describe(views[:2])
    described[1] = described[0] - 1
    described.requires_grad_()
    aggregator.judge(aggregator.seen(described)).sum().backward()
    assert described.grad[0].abs().sum() > 0
    assert described.grad[1].abs().sum() == 0


def test_the_architecture_survives_json():
    for arch in VIEWS.values():
        one = Arch("aggregator", (("view", (arch.family, arch.options)),))
        again = Arch.from_json(json.loads(json.dumps(one.to_json())))
        assert again == one and hash(again) == hash(one)


def test_an_unknown_network_of_views_is_refused_by_name():
    with pytest.raises(ValueError, match="resnet81"):
        build(Arch("aggregator", (("view", ("resnet81", ())),)))
