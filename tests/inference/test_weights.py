import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from inference import weights
from inference.doubt import Familiar
from inference.networks import Arch, build

ARCH = Arch("rx", (("hidden", (8,)), ("widths", (2, 3))))
KNOWN = Familiar(np.arange(3.0), np.eye(3) * 2)


@pytest.fixture
def data():
    return weights.written(build(ARCH).state_dict(), KNOWN)


def test_what_is_familiar_comes_back_and_is_no_weight_of_the_network(data):
    found = weights.familiar(data)
    assert found.mean.tolist() == [0, 1, 2]
    assert found.whitening.tolist() == KNOWN.whitening.tolist()
    assert (
        weights.network(ARCH, data).state_dict().keys()
        == build(ARCH).state_dict().keys()
    )


def test_a_model_need_not_say_what_is_familiar():
    assert weights.familiar(weights.written(build(ARCH).state_dict(), None)) is None


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_half_of_it_is_refused(data, change):
    state = load(data)
    if change == "missing":
        del state["familiar/mean"]
    else:
        state["familiar/whitening"] = torch.eye(2)
    with pytest.raises(ValueError, match="in part"):
        weights.familiar(save(state))


def test_what_is_not_finite_is_not_written():
    broken = Familiar(np.array([np.nan]), np.eye(1))
    with pytest.raises(ValueError, match="familiar/mean"):
        weights.written({}, broken)
