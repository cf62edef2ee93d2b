"""Depthwise convolutions that train at a fair speed on CPUs.

oneDNN, behind torch on CPUs, needs far longer for their gradients than for their
answers: in bfloat16 the gradient of the input is taken forty times as long where the
stride is 2, and that of the weights twenty to three hundred times as long. Within
`Quick()` they are taken in float32, channels last, and on small maps the gradient of
the weights as a convolution of its own. `tests/benchmarks/depthwise.py` measures it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

SMALL = 2  # maps of so many times the kernel's taps or fewer


class Quick(TorchFunctionMode):
    """Within it depthwise convolutions without bias on a CPU are `Depthwise`."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.conv2d and not kwargs and _is_ours(*args):
            images, weights, _, stride, padding, *_ = args
            return Depthwise.apply(images, weights, stride, padding)
        return func(*args, **(kwargs or {}))


class Depthwise(torch.autograd.Function):
    """images (N, C, H, W), weights (C, 1, k, k), stride and padding of both axes.

    The answer is what torch.conv2d gives, by autocast in its type; gradients are
    those of the numbers it was given, in float32.
    """

    @staticmethod
    def forward(ctx, images, weights, stride, padding):
        if torch.is_autocast_enabled("cpu"):
            images = images.to(torch.get_autocast_dtype("cpu"))
        ctx.save_for_backward(images, weights)
        ctx.geometry = list(stride), list(padding)
        kernels = weights.to(images.dtype)
        return F.conv2d(images, kernels, None, stride, padding, 1, len(weights))

    @staticmethod
    def backward(ctx, upper):
        images, weights = ctx.saved_tensors
        stride, padding = ctx.geometry
        needed = list(ctx.needs_input_grad[:2])
        small = upper[0, 0].numel() <= SMALL * weights[0].numel()
        lower, taps, _ = torch.ops.aten.convolution_backward(
            _last(upper),
            _last(images),
            weights.float(),
            None,
            stride,
            padding,
            [1, 1],
            False,
            [0, 0],
            len(weights),
            [needed[0], needed[1] and not small, False],
        )
        if small and needed[1]:
            taps = weight_gradient(images, upper, weights.shape[-2:], stride, padding)
        lower = lower if lower is None else lower.to(images.dtype)
        return lower, taps, None, None


def weight_gradient(
    images: Tensor,
    upper: Tensor,
    shape: torch.Size,
    stride: list[int],
    padding: list[int],
) -> Tensor:
    """(C, 1, *shape) float32: each image's channel is correlated with its gradient,
    which is the answer of a depthwise convolution whose kernels are the gradients,
    spread as far as the stride is wide."""
    count, channels = images.shape[:2]
    apart = _flat(images)[None]
    kernels = _flat(upper)[:, None]
    found = F.conv2d(apart, kernels, None, 1, padding, stride, count * channels)
    found = found[0, :, : shape[0], : shape[1]]
    return found.reshape(count, channels, 1, *shape).sum(0)


def _is_ours(images, weights, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return (
        weights.device.type == "cpu"
        and groups == len(weights) == images.shape[1] > 1
        and bias is None
        and torch.is_grad_enabled()
        and isinstance(padding, tuple)
        and isinstance(stride, tuple)
        and dilation in (1, (1, 1))
    )


def _last(maps: Tensor) -> Tensor:
    return maps.to(torch.float32, memory_format=torch.channels_last)


def _flat(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N C, H, W) float32, with N C the last in memory."""
    high, wide = maps.shape[2:]
    moved = maps.float().permute(2, 3, 0, 1).reshape(high, wide, -1)
    return moved.permute(2, 0, 1)
