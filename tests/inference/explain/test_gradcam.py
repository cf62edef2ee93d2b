import pytest
import torch
from torch import nn

from inference.explain.gradcam import heat


class Spot(nn.Module):
    """A network that looks at one cell of a map."""

    def __init__(self, origin, row, column, weight=1.0, stride=16):
        super().__init__()
        self.origin, self.stride = origin, stride
        self.gradcam_layer = nn.AvgPool2d(stride)
        self.mask = torch.zeros(1, 1, 96 // stride, 64 // stride)
        self.mask[..., row, column] = weight

    def forward(self, x):
        return (self.gradcam_layer(x) * self.mask).sum(dim=(2, 3))


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("origin", [0.0, 7.5, 22.5])
def test_heat_peaks_where_its_cell_looks(origin, stride):
    bright = torch.zeros(1, 1, 96, 64)
    bright[..., 3 * stride : 4 * stride, stride : 2 * stride] = 1  # cell (3, 1)
    found = heat(Spot(origin, 3, 1, stride=stride), bright)[0]
    row, column = divmod(int(found.argmax()), 64)
    assert row == pytest.approx(origin + stride * 3, abs=1)
    assert column == pytest.approx(origin + stride, abs=1)


def test_what_speaks_against_a_fracture_is_not_shown():
    against = Spot(7.5, 3, 1, weight=-1.0)
    assert heat(against, torch.ones(1, 1, 96, 64)).max() == 0
