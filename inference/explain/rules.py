"""How a weighted layer hands relevance to its inputs: one function per rule.

A rule gets a layer, its input x, its output z = sum x w + b and c = R / z at the
output, and gives c at the input. It shares out R = c z among the contributions
x w. In the rules that conserve relevance the bias's part goes to contributions of
the sign of z. Leaving the bias out of the denominator instead, as is common, turns
red into blue wherever a bias outweighs the evidence.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weighted = nn.Conv2d | nn.Linear
Rule = Callable[[Weighted, Tensor, Tensor, Tensor], Tensor]


def gamma(
    layer: Weighted, x: Tensor, z: Tensor, c: Tensor, *, strength: float
) -> Tensor:
    """Favour contributions of the sign of z by the factor 1 + strength.

    The gamma rule (Montavon et al. 2019, doi:10.1007/978-3-030-28954-6_10),
    generalised to inputs and outputs of either sign; 0 favours none.
    """
    c, bias = _heard(layer, x, z, c), _bias(layer)
    carrying = _excited(layer, x)
    mixed = bool(((z < 0) & (c != 0)).any())  # never where a ReLU follows
    if mixed:
        carrying = torch.where(z > 0, carrying, _inhibited(z, bias, carrying))
    # Where a bias alone carries z, whoever else is there gets the share.
    among = torch.where(carrying != 0, z + strength * carrying, z - bias)
    plain = _ratio(c * z, among)
    favoured = plain * (1 + strength + _ratio(bias, carrying))
    if not mixed:
        return _share(layer, x, favoured, plain)
    to_excited = torch.where(z > 0, favoured, plain)
    return _share(layer, x, to_excited, torch.where(z > 0, plain, favoured))


def alpha1beta0(layer: Weighted, x: Tensor, z: Tensor, c: Tensor) -> Tensor:
    """Share among the exciting contributions, x w > 0, if there are any (Bach et al.
    2015, doi:10.1371/journal.pone.0130140)."""
    c, excited = _heard(layer, x, z, c), _excited(layer, x)
    rest = torch.where(excited == 0, _ratio(c * z, z - _bias(layer)), 0.0)
    return _share(layer, x, _ratio(c * z, excited), rest)


def epsilon(
    layer: Weighted, x: Tensor, z: Tensor, c: Tensor, *, dampen: float
) -> Tensor:
    """Share among all; biases and `dampen` x the root mean square of z absorb some.

    Undamped everywhere it makes relevance gradient x input (Bach et al. 2015).
    """
    scale = z.square().mean(dim=tuple(range(1, z.dim())), keepdim=True).sqrt()
    damped = _ratio(c * z, z + dampen * scale * z.sign())
    return _transposed(layer, x, damped, layer.weight)


def box(
    layer: Weighted, x: Tensor, z: Tensor, c: Tensor, *, bounds: tuple[float, float]
) -> Tensor:
    """Share among pixels that lie in `bounds` (low, high): the z^B rule (Montavon
    et al. 2017, doi:10.1016/j.patcog.2016.11.008).

    Gives R itself, not R / x: a pixel whose value is 0 counts like any other.
    """
    low, high = bounds
    least = low * layer.weight.clamp(min=0) + high * layer.weight.clamp(max=0)
    among = z - _bias(layer) - _linear(layer, torch.ones_like(x[:1]), least)
    shares = _ratio(c * z, among)
    weights = torch.cat([layer.weight, least], dim=1)  # both sums in one pass
    pixels, limits = _folded(layer, x, shares, weights).chunk(2, dim=1)
    return x * pixels - limits


def _heard(layer: Weighted, x: Tensor, z: Tensor, c: Tensor) -> Tensor:
    """c, without outputs all of whose inputs are 0: a bias alone speaks there.

    Filters of single channels are often so behind a ReLU. Their relevance would be
    lost; the other channels of the place get it, by how much they have, or where all
    are silent the other places. Filters of all channels are left alone: where nothing
    is lit none of them is heard, and other places have nothing to do with it.
    """
    if not isinstance(layer, nn.Conv2d) or layer.groups == 1:
        return c
    silent = _silent(layer, x)
    for among in (1, (1, 2, 3)):
        relevance = c * z
        if not (silent * relevance).any():
            break
        lost = (silent * relevance).sum(among, keepdim=True)
        held = ((1 - silent) * relevance.abs()).sum(among, keepdim=True)
        gained = c * (1 + _ratio(lost, held) * relevance.sign())
        c = torch.where(held > 0, (1 - silent) * gained, c)
    return c


def _silent(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """1 where all inputs of an output are 0, else 0: (N, after, h, w)."""
    groups = x.unflatten(1, (layer.groups, -1)).ne(0).any(2).to(x)
    ones = x.new_ones(layer.groups, 1, *layer.kernel_size)
    geometry = layer.stride, layer.padding, layer.dilation, layer.groups
    heard = F.conv2d(groups, ones, None, *geometry)
    return (heard == 0).to(x).repeat_interleave(layer.out_channels // layer.groups, 1)


def _excited(layer: Weighted, x: Tensor) -> Tensor:
    """The sum of the contributions x w > 0 at every output."""
    excited = _linear(layer, x.clamp(min=0), layer.weight.clamp(min=0))
    if x.amin() < 0:
        excited += _linear(layer, x.clamp(max=0), layer.weight.clamp(max=0))
    return excited


def _inhibited(z: Tensor, bias: Tensor, excited: Tensor) -> Tensor:
    """The sum of the contributions x w < 0: what is left, if more than rounding."""
    inhibited = z - bias - excited
    rounding = 1e-5 * (excited + bias.abs())
    return torch.where(inhibited < -rounding, inhibited, 0.0)


def _share(
    layer: Weighted, x: Tensor, to_excited: Tensor, to_inhibited: Tensor
) -> Tensor:
    """Hand `to_excited` to the contributions x w > 0, `to_inhibited` to the others."""
    shared = _both(layer, x, to_excited, to_inhibited)
    if x.amin() < 0:
        swapped = _both(layer, x, to_inhibited, to_excited)
        shared = torch.where(x < 0, swapped, shared)
    return shared


def _both(layer: Weighted, x: Tensor, exciting: Tensor, inhibiting: Tensor) -> Tensor:
    """`exciting` back through the positive weights, `inhibiting` through the rest."""
    total = _transposed(layer, x, exciting, layer.weight.clamp(min=0))
    if inhibiting.any():
        total += _transposed(layer, x, inhibiting, layer.weight.clamp(max=0))
    return total


def _linear(layer: Weighted, x: Tensor, weight: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight)
    geometry = layer.stride, layer.padding, layer.dilation, layer.groups
    return F.conv2d(x, weight, None, *geometry)


def _transposed(layer: Weighted, x: Tensor, c: Tensor, weight: Tensor) -> Tensor:
    """The gradient of <c, _linear(x)> with respect to x."""
    if isinstance(layer, nn.Linear):
        return c @ weight
    geometry = layer.stride, layer.padding, layer.dilation, layer.groups
    return torch.nn.grad.conv2d_input(x.shape, weight, c, *geometry)


def _folded(layer: nn.Conv2d, x: Tensor, c: Tensor, weight: Tensor) -> Tensor:
    """As `_transposed`, for kernels of few channels, of which `torch` makes heavy
    weather: (N, channels of weight, *those of x)."""
    columns = weight.flatten(1).T @ c.flatten(2)
    geometry = layer.dilation, layer.padding, layer.stride
    return F.fold(columns, x.shape[2:], layer.kernel_size, *geometry)


def _bias(layer: Weighted) -> Tensor:
    if layer.bias is None:
        return layer.weight.new_zeros(())
    return layer.bias.view(-1, *[1] * (layer.weight.dim() - 2))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where there is nothing to share among."""
    return (part / whole).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
