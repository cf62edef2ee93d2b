"""Model Rx: a plain convolutional network, built so that it can be explained.

From the master's thesis this project began with: blocks of convolution, pooling,
ReLU, then an adaptive average pool and fully connected layers of falling width.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from inference.networks.resnet import initialise


class Rx(nn.Module):
    """(N, 1, H, W) -> (N, 1) logits.

    widths: channels of the blocks, four by default (Lite).
    pool_every: 2 pools after every second block only. Eight unpadded blocks
        that all pool (Large) would leave nothing of 341x512.
    grid: rows and columns of the map the classifier sees.
    hidden: widths of the fully connected layers before the logit.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256),
        pool_every: int = 1,
        grid: Sequence[int] = (6, 4),
        hidden: Sequence[int] = (512, 128),
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = widths[-1]
        self.origin, self.stride = _cells(len(widths), pool_every)
        pools = [(i + 1) % pool_every == 0 for i in range(len(widths))]
        self.features = nn.Sequential(
            *map(_block, (1, *widths), widths, pools, [batch_norm] * len(widths))
        )
        falling = (widths[-1] * grid[0] * grid[1], *hidden)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(tuple(grid)),
            nn.Flatten(),
            *map(_dense, falling, hidden, [dropout] * len(hidden)),
            nn.Linear(falling[-1], 1),
        )
        self.apply(initialise)

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.features

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def _block(before: int, after: int, pool: bool, batch_norm: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, bias=not batch_norm),
        *([nn.BatchNorm2d(after)] if batch_norm else []),
        *([nn.MaxPool2d(2)] if pool else []),
        nn.ReLU(),
    )


def _dense(before: int, after: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))


def _cells(blocks: int, pool_every: int) -> tuple[float, int]:
    """The pixel at the centre of what cell 0 sees, and the pixels from there to the
    next: each unpadded convolution shifts it by one cell of its grid, each pooling by
    half a cell."""
    origin, stride = 0.0, 1
    for i in range(blocks):
        origin += stride
        if (i + 1) % pool_every == 0:
            origin, stride = origin + stride / 2, 2 * stride
    return origin, stride
