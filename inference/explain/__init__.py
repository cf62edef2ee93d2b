"""Why did the network say so? One function per method.

An explainer takes a network and views (N, 1, H, W) and returns relevance (N, H, W)
on the same grid: positive speaks for a fracture, negative against. The network is
left as it was. To add a method, write the function and name it in EXPLAINERS; the
contract tests pick it up from there.
"""

from collections.abc import Callable

from torch import Tensor, nn

from inference.explain.gradcam import heat
from inference.explain.lrp import COMPOSITES, propagate
from inference.preprocess import Recipe

Explainer = Callable[[nn.Module, Tensor], Tensor]

DEFAULT = "gamma"


def lrp(
    network: nn.Module,
    views: Tensor,
    *,
    composite: str = DEFAULT,
    recipe: Recipe | None = None,
) -> Tensor:
    """Layer-wise relevance propagation by the named rules (see COMPOSITES).

    recipe: how the views were made; it says what black and white are in them.
    """
    return propagate(network, views, COMPOSITES[composite], bounds(recipe or Recipe()))


def bounds(recipe: Recipe) -> tuple[float, float]:
    """The values of black and white in normalised views."""
    return (0 - recipe.mean) / recipe.std, (1 - recipe.mean) / recipe.std


def gradcam(network: nn.Module, views: Tensor) -> Tensor:
    """Gradient-weighted class activation map at stride 16; never negative."""
    return heat(network, views)


EXPLAINERS: dict[str, Explainer] = {"lrp": lrp, "gradcam": gradcam}
