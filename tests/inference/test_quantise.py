import numpy as np
import openvino as ov
import pytest
import torch
from torch import nn

from inference import quantise, runtime
from tests.inference import tiny

SIZE = 192, 128


class Last(nn.Module):
    """(1, 1, H, W) -> what a ReLU makes of it, and of that a convolution's mean."""

    def __init__(self, stride=16, kernel=3, behind=None):
        super().__init__()
        torch.manual_seed(0)
        self.behind = behind or nn.ReLU()
        self.before = nn.Conv2d(1, 4, 3, stride // 2, padding=1)
        self.deep = nn.Conv2d(4, 8, kernel, 2, padding=kernel // 2)

    def forward(self, x):
        entering = self.behind(self.before(x))
        return self.deep(entering).mean((1, 2, 3)), entering.mean((2, 3))


@pytest.fixture(scope="module")
def probes():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (4, 1, *SIZE)).astype(np.float32)


def converted(network, probes):
    return runtime._converted(network.eval(), probes[:1])


def reader(model):
    return runtime._openvino(ov.Core(), model, "f32")


def reach(model, probes):
    told = map(reader(quantise.watched(model)), probes[:, None])
    return [np.max(of_one, axis=0) for of_one in zip(*told, strict=True)]


def kinds(model):
    return [node.get_type_name() for node in model.get_ordered_ops()]


@pytest.mark.parametrize(
    "network",
    [
        Last(stride=8),
        Last(kernel=1),
        Last(behind=nn.Identity()),
        Last(behind=nn.Hardswish()),
    ],
    ids=["near to the pixels", "of one pixel", "nothing before", "may be negative"],
)
def test_what_is_left_as_it_is(network, probes):
    assert quantise.watched(converted(network, probes)) is None


def test_resnet_is_changed_from_stride_16_on(probes):
    model = converted(runtime.Both(tiny.network()), probes)
    names = [node.get_friendly_name() for node in quantise._deep(model)]
    assert len(names) == 8
    assert all("features.6" in name or "head.0" in name for name in names)
    assert not any("skip" in name for name in names)


def test_reach_is_each_channels_highest_value(probes):
    network = Last()
    found = reach(converted(network, probes), probes)
    with torch.inference_mode():
        wanted = network.before(torch.from_numpy(probes)).relu().amax((0, 2, 3))
    assert [r.shape for r in found] == [(1, 4, 1, 1)]
    np.testing.assert_allclose(found[0].ravel(), wanted, rtol=1e-4)


def test_the_model_it_is_made_of_stays_as_it_was(probes):
    model = converted(Last(), probes)
    before = kinds(model)
    made = quantise.quantised(model, reach(model, probes))
    assert kinds(model) == before and "FakeQuantize" not in before
    assert kinds(made).count("FakeQuantize") == 2
    assert len(made.outputs) == len(model.outputs) + 1


def test_rounding_changes_the_answer_by_a_little_and_not_by_nothing(probes):
    model = converted(Last(), probes)
    exact, quick = (
        reader(model),
        reader(quantise.quantised(model, reach(model, probes))),
    )
    wanted = np.array([exact(p)[0].item() for p in probes[:, None]])
    found = np.array([quick(p)[0].item() for p in probes[:, None]])
    off = np.abs(found - wanted).max()
    assert 1e-6 < off < 0.01 * np.abs(wanted).max()


def test_it_tells_how_full_its_levels_are(probes):
    """In a network of one channel: as full as the picture is bright, until full."""
    network = Last()
    network.before = nn.Conv2d(1, 1, 1, 8, bias=False)
    network.deep = nn.Conv2d(1, 2, 3, 2, padding=1)
    nn.init.ones_(network.before.weight)
    model = converted(network, probes)
    quick = reader(quantise.quantised(model, [np.ones((1, 1, 1, 1), np.float32)]))
    room = quantise.HEADROOM
    for share in (0.0, 0.2, 0.5, 0.9):
        flat = np.full((1, 1, *SIZE), share * room, np.float32)
        assert quick(flat)[2] == pytest.approx(share, abs=1 / 255)
    for brightness in (room, 2 * room):
        flat = np.full((1, 1, *SIZE), brightness, np.float32)
        assert quick(flat)[2] >= quantise.FULL
    below = np.full((1, 1, *SIZE), room * 253 / 255, np.float32)
    assert quick(below)[2] < quantise.FULL


def test_a_channel_that_probes_leave_silent_is_watched_too(probes):
    network = Last()
    model = converted(network, probes)
    quiet = reach(model, probes)
    quiet[0][0, 1] = 0
    quick = reader(quantise.quantised(model, quiet))
    assert np.isfinite(quick(probes[:1])[0]).all()
    assert 0 < quick(probes[:1])[2] <= 1


@pytest.mark.parametrize("weight", [0.0, 1e-38])
def test_weights_may_be_all_but_nothing(weight, probes):
    network = Last()
    nn.init.constant_(network.deep.weight, weight)
    model = converted(network, probes)
    quick = reader(quantise.quantised(model, reach(model, probes)))
    wanted = network.deep.bias.mean().item()
    assert quick(probes[:1])[0].item() == pytest.approx(wanted, abs=1e-6)
