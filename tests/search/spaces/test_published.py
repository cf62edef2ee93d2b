"""OFA's own files, in and out."""

import json
from copy import deepcopy

import numpy as np
import pytest

from search.spaces import SPACES
from search.spaces.ofa import PUBLISHED
from search.spaces.published import config

SPACE = SPACES["ofa-1.2"]


@pytest.fixture
def written():
    return json.loads(json.dumps(config(SPACE.blueprint(PUBLISHED))))


@pytest.mark.parametrize("name", SPACES)
def test_every_architecture_survives(name):
    space, rng = SPACES[name], np.random.default_rng(0)
    for architecture in (space.start, *(space.sample(rng) for _ in range(10))):
        assert space.from_json(config(space.blueprint(architecture))) == architecture


def test_the_layers_are_the_published_ones(written):
    """Some lines of flops@595M_top1@80.0_finetune@75 as published."""
    assert written["first_conv"]["out_channels"] == 24
    assert len(written["blocks"]) == 20
    assert written["blocks"][0]["mobile_inverted_conv"] == {
        "name": "MBInvertedConvLayer",
        "in_channels": 24,
        "out_channels": 24,
        "kernel_size": 3,
        "stride": 1,
        "expand_ratio": 1,
        "mid_channels": None,
        "act_func": "relu",
        "use_se": False,
    }
    assert written["blocks"][13]["mobile_inverted_conv"] == {
        "name": "MBInvertedConvLayer",
        "in_channels": 136,
        "out_channels": 136,
        "kernel_size": 5,
        "stride": 1,
        "expand_ratio": 6,
        "mid_channels": 816,
        "act_func": "h_swish",
        "use_se": True,
    }
    skips = [block["shortcut"] is not None for block in written["blocks"]]
    assert [i for i, skip in enumerate(skips) if not skip] == [1, 4, 8, 12, 16]
    assert written["final_expand_layer"]["out_channels"] == 1152
    assert written["feature_mix_layer"]["out_channels"] == 1536


def test_newer_names_are_read_too(written):
    for block in written["blocks"]:
        block["conv"] = block.pop("mobile_inverted_conv")
        block["conv"]["mid_channels"] = None
    assert SPACE.from_json(written) == PUBLISHED


def another_family(config):
    config["name"] = "ProxylessNASNets"
    return "ProxylessNASNets"


def another_kernel(config):
    config["blocks"][3]["mobile_inverted_conv"]["kernel_size"] = 9
    return "kernel 9"


def another_middle(config):
    config["blocks"][3]["mobile_inverted_conv"]["mid_channels"] = 99
    return "block 3: mid_channels is 99, Once-For-All's is 96"


def another_width(config):
    config["first_conv"]["out_channels"] = 40
    return "40 channels"


def too_deep(config):
    config["blocks"].append(deepcopy(config["blocks"][-1]))
    return "depth 5"


def half_of_it(config):
    del config["blocks"][5]["mobile_inverted_conv"]["stride"]
    return "stride"


def no_layers(config):
    config["blocks"] = 3
    return "no net.config"


@pytest.mark.parametrize(
    "change",
    [
        another_family,
        another_kernel,
        another_middle,
        another_width,
        too_deep,
        half_of_it,
        no_layers,
    ],
)
def test_what_is_no_sub_network_is_refused_in_words(change, written):
    said = change(written)
    with pytest.raises(ValueError, match=said):
        SPACE.from_json(written)
