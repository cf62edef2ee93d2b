"""A checkpoint with the published names and shapes, and random numbers inside."""

import csv
import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from inference.networks import build
from inference.preprocess import Recipe
from search.published_weights import MEANS, STDS, supernet
from search.spaces.ofa import LARGEST, PUBLISHED
from search.supernet import recalibrate

NAMES = Path(__file__).with_name("once_for_all.csv")
RECIPE = Recipe(mean=0.2, std=0.3)


def tensor(shape, draw):
    if not shape:
        return torch.tensor(7)
    sides = [int(side) for side in shape.split("x")]
    fan = max(1, torch.tensor(sides[1:]).prod().item())
    return torch.randn(sides, generator=draw) / fan**0.5 + (len(sides) == 1)


def checkpoint(width):
    draw = torch.Generator().manual_seed(0)
    with NAMES.open() as file:
        found = {row["name"]: tensor(row[width], draw) for row in csv.DictReader(file)}
    for name, value in found.items():
        if name.endswith("running_var"):
            value.abs_().add_(0.1)
    return found


def saved(folder, state):
    path = folder / "ofa_mbv3_d234_e346_k357"
    torch.save({"state_dict": state}, path)
    return path


@pytest.mark.parametrize("width", ["1.0", "1.2"])
def test_all_475_tensors_find_their_place(width, tmp_path):
    state = checkpoint(width)
    assert len(state) == 475
    path = saved(tmp_path, state)
    made, digest = supernet(path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.space.width == float(width)
    fresh = {"head.8.weight", "head.8.bias", "features.1.0.weight"}
    ours = made.largest.state_dict()
    kept = sum(v.double().sum() for k, v in ours.items() if k not in fresh)
    kept += sum(p.double().sum() for p in made.kernels.parameters())
    left = ("classifier", "first_conv.conv", "first_conv.bn.running_mean")
    given = sum(v.double().sum() for k, v in state.items() if not k.startswith(left))
    shifted = ours["features.1.1.running_mean"].double().sum()
    assert (kept - shifted).item() == pytest.approx(given.item(), rel=1e-6)


def test_a_block_goes_where_it_belongs(tmp_path):
    state = checkpoint("1.0")
    made, _ = supernet(saved(tmp_path, state))
    block, theirs = made.largest.head[0][1], "blocks.18.mobile_inverted_conv"
    filters, gate = f"{theirs}.depth_conv", f"{theirs}.depth_conv.se.fc"
    for ours, name in (
        (block.widen[0][0].weight, f"{theirs}.inverted_bottleneck.conv.conv.weight"),
        (block.widen[0][1].bias, f"{theirs}.inverted_bottleneck.bn.bn.bias"),
        (block.filter[0][0].weight, f"{filters}.conv.conv.weight"),
        (block.filter[0][1].running_var, f"{filters}.bn.bn.running_var"),
        (block.gate.mask[1].weight, f"{gate}.reduce.weight"),
        (block.gate.mask[3].bias, f"{gate}.expand.bias"),
        (block.narrow[0].weight, f"{theirs}.point_linear.conv.conv.weight"),
        (made.kernels[17].five, f"{filters}.conv.7to5_matrix"),
        (made.kernels[17].three, f"{filters}.conv.5to3_matrix"),
    ):
        assert torch.equal(ours.detach(), state[name]), name


def test_newer_names_are_read_too(tmp_path):
    state = checkpoint("1.0")
    newer = {
        name.replace(".mobile_inverted_conv.", ".conv.").replace(".bn.bn.", ".bn."): v
        for name, v in state.items()
    }
    made, _ = supernet(saved(tmp_path, newer))
    other, _ = supernet(saved(tmp_path, state))
    pairs = zip(made.kernels.parameters(), other.kernels.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("colours", [1, 3])
def test_grey_is_seen_as_the_photograph_it_is(colours, tmp_path):
    state = checkpoint("1.0")
    made, _ = supernet(saved(tmp_path, state), colours)
    grey = torch.rand(2, 1, 16, 16)
    network = made.largest.eval()
    with torch.no_grad():
        network.load_state_dict(made.weights(LARGEST, RECIPE))
        ours = network.features[:2]((grey - RECIPE.mean) / RECIPE.std)
        means, stds = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEANS, STDS))
        weight = state["first_conv.conv.weight"]
        theirs = nn.functional.conv2d(
            (grey.expand(-1, 3, -1, -1) - means) / stds, weight, stride=2, padding=1
        )
        norm = (state[f"first_conv.bn.{k}"] for k in ("running_mean", "running_var"))
        affine = (state[f"first_conv.bn.{k}"] for k in ("weight", "bias"))
        theirs = nn.functional.batch_norm(theirs, *norm, *affine)
    inside = (..., slice(1, None), slice(1, None))  # the padding is ours alone
    assert torch.allclose(ours[inside], theirs[inside], rtol=1e-4, atol=1e-4)


def test_a_sub_network_can_be_cut_out_and_reads(tmp_path):
    made, _ = supernet(saved(tmp_path, checkpoint("1.2")))
    network = build(made.arch(PUBLISHED))
    network.load_state_dict(made.cut(PUBLISHED))
    views = torch.randn(4, 1, 64, 48)
    recalibrate(network, [views])
    with torch.no_grad():
        assert network(views).isfinite().all()
        assert made.arch(LARGEST) != made.arch(PUBLISHED)


def without_one(state):
    del state["blocks.7.mobile_inverted_conv.depth_conv.conv.7to5_matrix"]
    return r"blocks.7.conv.depth_conv.conv.7to5_matrix are missing"


def of_another_shape(state):
    state["final_expand_layer.conv.weight"] = torch.zeros(960, 161, 1, 1)
    return r"final_expand_layer.conv.weight have shape \[960, 161, 1, 1\]"


def with_one_more(state):
    state["blocks.21.conv.weight"] = torch.zeros(3)
    return "1 tensors are unknown, among them blocks.21"


def not_finite(state):
    state["classifier.linear.bias"][3] = torch.nan
    return "classifier.linear.bias are not finite"


def of_another_family(state):
    state["first_conv.conv.weight"] = torch.zeros(40, 3, 3, 3)
    return "no weights of Once-For-All"


def empty(state):
    state.clear()
    return "something else"


@pytest.mark.parametrize(
    "change",
    [
        without_one,
        of_another_shape,
        with_one_more,
        not_finite,
        of_another_family,
        empty,
    ],
)
def test_another_file_is_refused_in_words(change, tmp_path):
    state = checkpoint("1.0")
    said = change(state)
    with pytest.raises(ValueError, match=said):
        supernet(saved(tmp_path, state))


def test_what_would_run_code_is_refused_unread(tmp_path):
    path, ran = tmp_path / "weights", tmp_path / "ran"
    torch.save({"state_dict": Malicious(str(ran))}, path)
    with pytest.raises(ValueError, match="tensors alone"):
        supernet(path)
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(ValueError, match="tensors alone"):
        supernet(path)
    assert not ran.exists()


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")
