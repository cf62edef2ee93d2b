"""One logit for all views of a study: features shared, the strongest of them kept.

Multi-view convolutional networks (Su et al. 2015, arXiv:1505.00880), as the thesis
this project began with meant to train one.
"""

from torch import Tensor, nn


class Aggregator(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits, each view a study of its own; see `study`.

    view: the network of a single view. It is taken over whole, its weights under
    their own names: features up to the first flat vector, the description of a view,
    are shared by all views; what follows judges the largest of each number in the
    descriptions. So what has been trained on single views goes on from where it is,
    and a study of one view is judged as that view is.
    """

    def __init__(self, view: nn.Module) -> None:
        super().__init__()
        self.channels = view.channels
        self.origin, self.stride = view.origin, view.stride
        self.features, self.head = view.features, view.head
        self.strongest = Strongest()

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.features

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def describe(self, x: Tensor) -> Tensor:
        """Views (M, 1, H, W) -> their descriptions (M, D)."""
        return self.head[: self._flat()](self.features(x))

    def judge(self, descriptions: Tensor) -> Tensor:
        """Descriptions (S, D) of views or of studies -> logits (S, 1)."""
        return self.judging(descriptions)

    def seen(self, descriptions: Tensor, before: Tensor | None = None) -> Tensor:
        """The description (1, D) of a study that now has these views (M, D) too.

        It is all that needs to be kept until later ones arrive, in any order.
        """
        found = self.strongest(descriptions)
        return found if before is None else before.maximum(found)

    @property
    def judging(self) -> nn.Sequential:
        """What comes after the descriptions: all that need not be shared."""
        return self.head[self._flat() :]

    def _flat(self) -> int:
        return [type(module) for module in self.head].index(nn.Flatten) + 1


class Study(nn.Module):
    """All views (M, 1, H, W) of one study -> its logit (1, 1): what explains it."""

    def __init__(self, aggregator: Aggregator) -> None:
        super().__init__()
        self.aggregator = aggregator

    def forward(self, x: Tensor) -> Tensor:
        network = self.aggregator
        return network.judge(network.seen(network.describe(x)))


class Strongest(nn.Module):
    """(M, D) -> (1, D): of each number the largest. A module, so that relevance finds
    its way: all of a number's goes to the view that had it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(0, keepdim=True)
