import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search.depthwise import Depthwise, Quick

CASES = [
    # channels, height, width, kernel, stride
    (8, 24, 16, 3, 1),
    (8, 24, 17, 5, 2),
    (6, 12, 8, 7, 1),  # small maps: taken as a convolution of its own
    (6, 9, 7, 7, 2),
    (6, 5, 4, 5, 2),
    (6, 3, 2, 5, 1),
]


def gradients(way, images, weights, stride, kernel):
    images, weights = images.clone().requires_grad_(), weights.clone().requires_grad_()
    found = way(images, weights, (stride, stride), (kernel // 2, kernel // 2))
    (found * torch.arange(found.numel()).view(found.shape).sin()).sum().backward()
    return found.detach(), images.grad, weights.grad


def ordinary(images, weights, stride, padding):
    return F.conv2d(images, weights, None, stride, padding, 1, len(weights))


@pytest.mark.parametrize(("channels", "height", "width", "kernel", "stride"), CASES)
def test_answer_and_gradients_are_those_of_torch(
    channels, height, width, kernel, stride
):
    draw = torch.Generator().manual_seed(kernel)
    images = torch.randn(3, channels, height, width, generator=draw)
    weights = torch.randn(channels, 1, kernel, kernel, generator=draw)

    found = gradients(Depthwise.apply, images, weights, stride, kernel)
    wanted = gradients(ordinary, images.double(), weights.double(), stride, kernel)

    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-4)


def test_within_quick_only_depthwise_convolutions_are_taken_so():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False),
    )
    images = torch.randn(2, 1, 8, 8)

    def steps():
        """The functions that made each layer's answer."""
        made, x = [], images
        for layer in network:
            x = layer(x)
            made.append(type(x.grad_fn).__name__)
        return made

    with Quick():
        inside = steps()

    assert inside == [
        "ConvolutionBackward0",
        "DepthwiseBackward",
        "ConvolutionBackward0",
    ]
    assert "DepthwiseBackward" not in steps()


def test_autocast_answers_in_its_type_and_weights_learn_in_theirs():
    layer = nn.Conv2d(6, 6, 5, stride=2, padding=2, groups=6, bias=False)
    images = torch.randn(2, 6, 9, 7, requires_grad=True)

    with torch.autocast("cpu", torch.bfloat16), Quick():
        found = layer(images)
    found.float().square().sum().backward()

    assert found.dtype == torch.bfloat16
    assert layer.weight.grad.dtype == images.grad.dtype == torch.float32
    reference = F.conv2d(images, layer.weight, None, 2, 2, 1, 6)
    torch.testing.assert_close(found.float(), reference, rtol=0.02, atol=0.02)


def test_only_what_is_asked_for_is_taken():
    images, weights = torch.randn(1, 2, 4, 4), torch.randn(2, 1, 3, 3)
    weights.requires_grad_()
    Depthwise.apply(images, weights, (1, 1), (1, 1)).sum().backward()
    assert images.grad is None and weights.grad is not None
