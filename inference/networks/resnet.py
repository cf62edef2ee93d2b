"""ResNet18 (He et al. 2016, arXiv:1512.03385) for radiographs: one channel in."""

from torch import Tensor, nn

# A strided convolution of single pixels writes past its memory as it learns, in torch's
# library for processors, where it is given fewer channels: wrong weights, or a crash.
# https://github.com/uxlfoundation/oneDNN/issues/6035
NARROWEST = 16


class ResNet18(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits.

    width: channels of the first stage, doubled at each of the three others; ValueError
    if there are fewer than NARROWEST.
    dropout: share of the pooled features dropped in training.
    """

    origin, stride = 0.0, 16

    def __init__(self, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        if width < NARROWEST:
            raise ValueError(f"width {width}: {NARROWEST} channels or more")
        self.channels = 4 * width
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            _stage(width, width, stride=1),
            _stage(width, 2 * width, stride=2),
            _stage(2 * width, 4 * width, stride=2),
        )
        self.head = nn.Sequential(
            _stage(4 * width, 8 * width, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8 * width, 1),
        )
        self.apply(initialise)

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.features

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Add(nn.Module):
    """A residual sum as a module: a bare `+` is invisible to hooks and rules."""

    def forward(self, skip: Tensor, branch: Tensor) -> Tensor:
        return skip + branch


class Block(nn.Module):
    """Basic residual block: (N, before, H, W) -> (N, after, H / stride, W / stride)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.skip = _shortcut(before, after, stride)
        self.add = Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.add(self.skip(x), self.branch(x)))


def initialise(module: nn.Module) -> None:
    """Weights as He et al. 2015 (arXiv:1502.01852) draw them; biases zero."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(before, after, stride), Block(after, after, stride=1))


def _shortcut(before: int, after: int, stride: int) -> nn.Module:
    if before == after and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
    )
