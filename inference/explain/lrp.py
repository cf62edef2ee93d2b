"""Layer-wise relevance propagation: how much each pixel speaks for a fracture.

The logit is handed down layer by layer to the pixels (Bach et al. 2015,
doi:10.1371/journal.pone.0130140). Between layers plain autograd carries c = R / z,
relevance per unit of activation: under it ReLU, pooling, flattening and residual
sums are right as they are. Only weighted layers need a rule, put in their place on
a copy whose batch norms are folded into the convolutions before them. Gates hold
their weights: what they look at gets no relevance for them, what they let through all.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inference.explain.rules import Rule, Weighted, alpha1beta0, box, epsilon, gamma
from inference.networks.aggregator import Strongest
from inference.networks.gate import Gate
from inference.networks.mobilenet import Grey
from inference.networks.resnet import Add

POOLS = nn.MaxPool2d, nn.AdaptiveAvgPool2d, Strongest
RIGHT_AS_THEY_ARE = nn.ReLU, *POOLS, Add, Grey, nn.Flatten, nn.Dropout, nn.Identity
GATING_THEMSELVES = {nn.Hardswish: nn.Hardsigmoid}  # x -> x * what it looks up


@dataclass(frozen=True)
class Composite:
    """Which rule shares out relevance where."""

    convolutions: Rule
    dense: Rule
    boxed: bool = True  # z^B at the pixels, else the rule of every convolution
    conserves: bool = True  # the relevance of all pixels adds up to the logit


EVEN = partial(gamma, strength=0.0)
DAMPED, UNDAMPED = partial(epsilon, dampen=0.01), partial(epsilon, dampen=0.0)

COMPOSITES = {
    "gamma": Composite(partial(gamma, strength=0.25), EVEN),
    "alpha1beta0": Composite(alpha1beta0, EVEN),
    "epsilon": Composite(DAMPED, DAMPED, conserves=False),
    "lrp0": Composite(UNDAMPED, UNDAMPED, boxed=False, conserves=False),
}


def propagate(
    network: nn.Module, x: Tensor, composite: Composite, bounds: tuple[float, float]
) -> Tensor:
    """Share out the logits of x (N, 1, H, W) among its pixels: (N, H, W).

    bounds: the values of black and white in x. A network with a layer that no rule
    covers is refused with ValueError rather than explained wrongly.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        logits = ruled(network, composite, bounds)(x)
        (shares,) = torch.autograd.grad(logits.sum(), x)
        x = x.detach()
    return (shares if composite.boxed else x * shares)[:, 0]


def ruled(
    network: nn.Module, composite: Composite, bounds: tuple[float, float]
) -> nn.Module:
    """A copy of `network` with the same logits, whose gradient is c."""
    copy = deepcopy(network).eval().requires_grad_(False)
    _fold(copy)
    depth = next(m for m in copy.modules() if isinstance(m, nn.Conv2d)).in_channels
    for parent, name, layer in list(_leaves(copy)):
        # Those that see pixels: each member of a committee has one.
        sees = isinstance(layer, nn.Conv2d) and layer.in_channels == depth
        boxed = sees and composite.boxed
        rule = partial(box, bounds=bounds) if boxed else None
        setattr(parent, name, _explainable(layer, composite, rule))
    return copy


def _explainable(
    layer: nn.Module, composite: Composite, rule: Rule | None = None
) -> nn.Module:
    """`layer` by `rule`, or by that of its kind. ValueError where there is none."""
    if isinstance(layer, nn.Conv2d):
        return _Ruled(layer, rule or composite.convolutions)
    if isinstance(layer, nn.Linear):
        return _Ruled(layer, composite.dense)
    if type(layer) in GATING_THEMSELVES:
        layer = Gate(GATING_THEMSELVES[type(layer)]())
    if isinstance(layer, Gate):
        return _Held(layer)
    if isinstance(layer, RIGHT_AS_THEY_ARE):
        return layer
    raise ValueError(f"no relevance rule for {type(layer).__name__}")


def _leaves(parent: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """What is explained as a whole, gates and every module without children: (its
    parent, its name there, itself)."""
    for name, module in parent.named_children():
        if isinstance(module, Gate) or not list(module.children()):
            yield parent, name, module
        else:
            yield from _leaves(module)


def _fold(network: nn.Module) -> None:
    """Fold every batch norm into the convolution right before it, in place."""
    for parent in network.modules():
        children = list(parent.named_children())
        for (before, conv), (name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, before, fuse_conv_bn_eval(conv, norm))
                setattr(parent, name, nn.Identity())


class _Held(nn.Module):
    """A gate whose weights are constants."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, signal: Tensor, seen: Tensor | None = None) -> Tensor:
        return signal * self.gate.weights(signal if seen is None else seen).detach()


class _Ruled(nn.Module):
    def __init__(self, layer: Weighted, rule: Rule) -> None:
        super().__init__()
        self.layer, self.rule = layer, rule

    def forward(self, x: Tensor) -> Tensor:
        return _Relevance.apply(x, self.layer, self.rule)


class _Relevance(torch.autograd.Function):
    """The layer forwards, its rule backwards."""

    @staticmethod
    def forward(ctx, x: Tensor, layer: Weighted, rule: Rule) -> Tensor:
        z = layer(x)
        ctx.save_for_backward(x, z)
        ctx.layer, ctx.rule = layer, rule
        return z

    @staticmethod
    def backward(ctx, c: Tensor) -> tuple[Tensor, None, None]:
        return ctx.rule(ctx.layer, *ctx.saved_tensors, c), None, None
