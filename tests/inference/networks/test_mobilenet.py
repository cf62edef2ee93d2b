"""Sub-networks are what their blueprints say, and see grey as three colours or one."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inference.blueprint import DEPTHS, EXPANSIONS, KERNELS, WIDTHS, blueprint
from inference.explain.lrp import COMPOSITES, propagate
from inference.networks.mobilenet import MobileNet

SMALL = {"depths": (2,) * 5, "kernels": (3,) * 10, "expansions": (3,) * 10}
# flops@595M_top1@80.0_finetune@75, one number a block
PUBLISHED = {
    "width": 1.2,
    "depths": (3, 4, 4, 4, 4),
    "kernels": (3, 5, 3, 5, 5, 3, 5, 7, 5, 3, 5, 3, 5, 7, 3, 3, 3, 5, 3),
    "expansions": (3, 4, 3, 4, 4, 6, 3, 6, 6, 3, 4, 6, 6, 6, 4, 6, 6, 6, 3),
}


def drawn(seed):
    rng = np.random.default_rng(seed)
    depths = rng.choice(DEPTHS, 5).tolist()
    kernels, expansions = (
        rng.choice(values, sum(depths)).tolist() for values in (KERNELS, EXPANSIONS)
    )
    return {
        "width": rng.choice(WIDTHS).item(),
        "depths": depths,
        "kernels": kernels,
        "expansions": expansions,
    }


def counted(network, height, width):
    """Multiply-adds as torch counts them, without computing anything."""
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 1, height, width, device="meta"))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("seed", range(8))
def test_a_built_network_costs_what_its_blueprint_says(seed):
    genes = drawn(seed)
    plan = blueprint(**genes)
    for colours in (1, 3):
        with torch.device("meta"):
            network = MobileNet(**genes, colours=colours).eval()
        parameters = sum(p.numel() for p in network.parameters())
        assert parameters == plan.parameters(colours)
        for size in ((236, 236), (75, 110)):
            assert counted(network, *size) == plan.madds(*size, channels=colours)


def test_the_published_595_m_are_595_m():
    with torch.device("meta"):
        network = MobileNet(**PUBLISHED, colours=3).eval()
        network.head[-1] = nn.Linear(1536, 1000)
    assert counted(network, 236, 236) / 1e6 == pytest.approx(595.2, abs=0.05)


@pytest.fixture
def coloured():
    torch.manual_seed(0)
    network = MobileNet(1.0, **SMALL, colours=3)
    network(torch.randn(8, 1, 64, 48))
    return network.eval()


def test_three_colours_of_grey_are_one_with_their_weights_added(coloured):
    grey = MobileNet(1.0, **SMALL)
    state = coloured.state_dict()
    first = next(name for name in state if state[name].shape == (16, 3, 3, 3))
    state[first] = state[first].sum(1, keepdim=True)
    grey.load_state_dict(state)
    views = torch.randn(2, 1, 64, 48)
    with torch.no_grad():
        assert torch.allclose(grey.eval()(views), coloured(views), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["gamma", "alpha1beta0"])
def test_relevance_of_three_colours_is_added(name, coloured):
    views = torch.empty(2, 1, 64, 48).uniform_(-0.6, 4.4)
    relevance = propagate(coloured, views, COMPOSITES[name], (-0.6, 4.4))
    logits = coloured(views)[:, 0]
    assert relevance.sum(dim=(1, 2)).tolist() == pytest.approx(logits.tolist(), 2e-3)


def test_wrong_genes_are_refused_in_words():
    with pytest.raises(ValueError, match=r"kernel 4 is none of \(3, 5, 7\)"):
        MobileNet(1.0, **SMALL | {"kernels": (4,) * 10})
