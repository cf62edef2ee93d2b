"""FractNet's rivals as MONAI has them: their size, and nothing lost on the way."""

import json

import pytest
import torch
from monai.networks.nets import DenseNet, EfficientNetBN, resnet152

from inference.networks import Arch
from search.baselines import LINE_UP, build, entrant
from search.lineup import madds
from search.spaces import SPACES
from search.spaces.ofa import SMALLEST

# FractNet's Table 1: millions of parameters, multiply-adds (at 224 pixels).
PAPER = {
    "densenet161": (26.3, 7.7e9),
    "resnet152": (58.2, 11.7e9),
    "efficientnet-b0": (4.0, 0.38e9),
    "efficientnet-b1": (6.5, 0.57e9),
}
THEIRS = {
    "densenet161": lambda: DenseNet(
        2, 1, 1, init_features=96, growth_rate=48, block_config=(6, 12, 36, 24)
    ),
    "resnet152": lambda: resnet152(
        spatial_dims=2,
        n_input_channels=1,
        num_classes=1,
        conv1_t_size=7,
        conv1_t_stride=2,
    ),
    "efficientnet-b0": lambda: EfficientNetBN(
        "efficientnet-b0",
        pretrained=False,
        spatial_dims=2,
        in_channels=1,
        num_classes=1,
    ),
}


@pytest.mark.parametrize("name", PAPER)
def test_they_are_as_large_as_in_the_paper(name):
    network = build(LINE_UP[name]).eval()
    parameters, work = PAPER[name]
    found = sum(weight.numel() for weight in network.parameters()) / 1e6
    assert found == pytest.approx(parameters, rel=0.01)
    assert madds(network, (224, 224)) == pytest.approx(work, rel=0.03)


@pytest.mark.parametrize("name", THEIRS)
def test_their_halves_are_the_whole(name):
    torch.manual_seed(0)
    whole, ours = THEIRS[name]().eval(), build(LINE_UP[name]).eval()
    pairs = zip(ours.parameters(), whole.parameters(), strict=True)
    with torch.no_grad():
        for mine, theirs in pairs:
            mine.copy_(theirs)
        x = torch.randn(2, 1, 48, 64)
        assert torch.allclose(ours(x), whole(x), atol=1e-5)
        assert ours.features(x).shape[1] == ours.channels


def test_others_are_those_that_are_shipped():
    assert type(build(Arch("resnet18"))).__name__ == "ResNet18"
    with pytest.raises(ValueError, match="no network family"):
        build(Arch("vgg"))


@pytest.mark.parametrize("name", SPACES)
def test_a_space_stands_for_its_start(name):
    space = SPACES[name]
    network = build(entrant(name)).eval()
    found = sum(weight.numel() for weight in network.parameters())
    assert found == space.parameters(space.start)
    assert madds(network, (64, 64)) == space.madds(space.start, 64, 64)


def test_a_file_names_an_architecture(tmp_path):
    space, path = SPACES["ofa-1.2"], tmp_path / "best.json"
    path.write_text(json.dumps(space.to_json(SMALLEST)))
    options = dict(entrant(str(path)).options)
    assert (options["width"], options["depths"]) == (1.2, (2,) * 5)
    for text in '{"width": 3}', "{", "[" * 60_000:
        path.write_text(text)
        with pytest.raises(ValueError, match=r"best\.json: no architecture"):
            entrant(str(path))
    with pytest.raises(ValueError, match="no network vgg: resnet18, densenet161"):
        entrant("vgg")


def test_norms_of_all_forget_alike():
    """At MONAI's 0.01 an EfficientNet trained briefly answered every patch alike."""
    for name in LINE_UP:
        norms = [m for m in build(LINE_UP[name]).modules() if hasattr(m, "momentum")]
        assert {norm.momentum for norm in norms} == {0.1}, name
