"""One network with the weights of every sub-network: any of them is cut out of it.

Cai et al. 2020 (arXiv:1908.09791). The weights are those of the largest sub-network.
Another takes the first channels of each layer and the first blocks of each stage;
its smaller kernels are the middle of the larger ones, each time turned by a matrix
of the block. What is cut is a view: a sub-network that learns teaches all others.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call

from inference.blueprint import divisible
from inference.networks import Arch, build
from inference.networks.mobilenet import Bottleneck
from inference.preprocess import Recipe
from search.spaces.ofa import DEEPEST, LARGEST, STAGES, Architecture, OnceForAll

FIRST = "features.1.0.weight", "features.1.1.running_mean"


class Supernet(nn.Module):
    """x (N, 1, H, W) and an architecture -> (N, 1) logits, by shared weights.

    mean, std: what grey in [0, 1] is normalised by.
    """

    def __init__(
        self, space: OnceForAll, colours: int = 1, mean: float = 0.0, std: float = 1.0
    ) -> None:
        super().__init__()
        self.space, self.colours, self.mean, self.std = space, colours, mean, std
        self.largest = build(self.arch(LARGEST))
        self.kernels = nn.ModuleList(Shrinking() for _ in places())

    def arch(self, architecture: Architecture) -> Arch:
        """Of a network whose weights can be cut out of this one."""
        return arch(self.space, architecture, colours=self.colours)

    def forward(self, x: Tensor, architecture: Architecture) -> Tensor:
        network = _skeleton(self.arch(architecture)).train(self.training)
        return functional_call(network, self.cut(architecture), x)

    def cut(self, architecture: Architecture) -> dict[str, Tensor]:
        """The sub-network's weights by their names there. Views, but for kernels."""
        largest = {
            **dict(self.largest.named_parameters()),
            **dict(self.largest.named_buffers()),
        }
        smaller = self._kernels(architecture)
        wanted = _skeleton(self.arch(architecture)).state_dict()
        return {
            name: _first(smaller.get(name, largest[name]), skeleton.shape)
            for name, skeleton in wanted.items()
        }

    @torch.no_grad()
    def weights(self, architecture: Architecture, recipe: Recipe) -> dict[str, Tensor]:
        """Copies of what is cut, to begin a training with on views made by `recipe`."""
        found = {name: value.clone() for name, value in self.cut(architecture).items()}
        mean = (recipe.mean - self.mean) / self.std
        taken = renormalised(*(found[n] for n in FIRST), mean, recipe.std / self.std)
        return {**found, **dict(zip(FIRST, taken, strict=True))}

    def _kernels(self, architecture: Architecture) -> dict[str, Tensor]:
        """The filters of every block at the size the architecture wants."""
        return {
            f"{name}.filter.0.0.weight": shrink(block.filter[0][0].weight, size)
            for (name, block), size, shrink in zip(
                self.blocks(), architecture.kernels, self.kernels, strict=True
            )
        }

    def blocks(self) -> Iterator[tuple[str, Bottleneck]]:
        """The twenty elastic blocks with their names in the largest network."""
        for name in places():
            yield name, self.largest.get_submodule(name)

    @torch.no_grad()
    def sort(self, apart: Sequence[int] = ()) -> None:
        """Bring the channels inside the blocks into the order of how much they count
        in what follows, for the first ones are all a smaller expansion keeps.

        The function of the largest network stays. apart: expansions that have been
        trained; which channels they keep stays, too.
        """
        for _, block in self.blocks():
            before = block.widen[0][0].in_channels
            order = _order(block.narrow[0].weight, [before * e for e in apart])
            _reorder(_inside(block), order)
            _reorder([(block.narrow[0].weight, 1)], order)
            if block.gate is not None:
                _sort_gate(block.gate.mask, order, [before * e for e in apart])


class Shrinking(nn.Module):
    """Kernels (C, 1, 7, 7) to 5 x 5, and these to 3 x 3."""

    def __init__(self) -> None:
        super().__init__()
        self.five, self.three = (nn.Parameter(torch.eye(n)) for n in (25, 9))

    def forward(self, kernels: Tensor, size: int) -> Tensor:
        for side, matrix in ((5, self.five), (3, self.three)):
            if size <= side:
                middle = kernels[..., 1:-1, 1:-1].flatten(2)
                kernels = nn.functional.linear(middle, matrix)
                kernels = kernels.unflatten(2, (side, side))
        return kernels


def arch(space: OnceForAll, architecture: Architecture, **options: object) -> Arch:
    """Of the network `architecture` describes. options: see `MobileNet`."""
    genes = {
        "width": space.width,
        "depths": architecture.depths,
        "kernels": architecture.built(architecture.kernels),
        "expansions": architecture.built(architecture.expansions),
    }
    return Arch("mobilenet", tuple(sorted((genes | options).items())))


def renormalised(
    first: Tensor, expected: Tensor, mean: float | Tensor, std: float | Tensor
) -> tuple[Tensor, Tensor]:
    """A convolution's weights and its batch norm's mean, for x in place of
    `mean` + `std` x: nothing behind them sees a difference, but at the border."""
    shift = (first * mean).sum((1, 2, 3))
    return first * std, expected - shift


def places() -> list[str]:
    """The names of the twenty elastic blocks in every `MobileNet` that has them."""
    stages = [f"features.{4 + stage}" for stage in range(len(STAGES) - 1)] + ["head.0"]
    return [f"{stage}.{place}" for stage in stages for place in range(DEEPEST)]


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set what batch norms expect to what they see of `batches`, in place.

    The statistics of the supernet are those of no sub-network: without this its
    answers are no better than chance (once-for-all, issue 8). As there, means and
    biased variances of batches are averaged by their number of images.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = {norm: [0.0, 0.0] for norm in norms}

    def see(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        for i, found in enumerate((mean, variance)):
            sums[norm][i] += found * len(inputs[0])

    hooks, count = [norm.register_forward_pre_hook(see) for norm in norms], 0
    network.eval()
    for norm in norms:
        norm.train()  # normalise by the batch itself
    try:
        for batch in batches:
            network(batch)
            count += len(batch)
    finally:
        for hook in hooks:
            hook.remove()
        network.eval()
    if not count:
        raise ValueError("no image to see what batch norms should expect")
    for norm, (mean, variance) in sums.items():
        norm.running_mean.copy_(mean / count)
        norm.running_var.copy_(variance / count)


@lru_cache(maxsize=16)
def _skeleton(arch: Arch) -> nn.Module:
    with torch.device("meta"):
        return build(arch)


def _first(weights: Tensor, shape: torch.Size) -> Tensor:
    return weights[tuple(slice(side) for side in shape)] if shape else weights


def _order(weights: Tensor, apart: Sequence[int]) -> Tensor:
    """Of the inputs of a 1 x 1 convolution by how much they count, each stretch
    between the counts `apart` by itself."""
    counts = weights.abs().sum((0, 2, 3))
    ends = sorted({0, *apart, len(counts)})
    stretches = (
        start + counts[start:end].argsort(descending=True, stable=True)
        for start, end in pairwise(ends)
    )
    return torch.cat(list(stretches))


def _inside(block: Bottleneck) -> list[tuple[Tensor, int]]:
    """Every tensor along whose first side the middle channels of the block lie."""
    found = (*block.widen[0].state_dict().values(), *block.filter.state_dict().values())
    return [(tensor, 0) for tensor in found if tensor.dim()]


def _sort_gate(mask: nn.Sequential, order: Tensor, apart: Sequence[int]) -> None:
    squeeze, excite = mask[1], mask[3]
    _reorder([(squeeze.weight, 1), (excite.weight, 0), (excite.bias, 0)], order)
    inner = _order(excite.weight, [divisible(middle // 4) for middle in apart])
    _reorder([(squeeze.weight, 0), (squeeze.bias, 0), (excite.weight, 1)], inner)


def _reorder(tensors: Iterable[tuple[Tensor, int]], order: Tensor) -> None:
    for tensor, side in tensors:
        tensor.copy_(tensor.index_select(side, order))
