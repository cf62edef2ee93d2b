import pytest
import torch
from torch import nn

from inference.explain.gradcam import heat


class Spot(nn.Module):
    """A network that looks at one cell of a map at stride 16."""

    def __init__(self, origin, row, column, weight=1.0):
        super().__init__()
        self.origin = origin
        self.gradcam_layer = nn.AvgPool2d(16)
        self.mask = torch.zeros(1, 1, 6, 4)
        self.mask[..., row, column] = weight

    def forward(self, x):
        return (self.gradcam_layer(x) * self.mask).sum(dim=(2, 3))


@pytest.mark.parametrize("origin", [0.0, 7.5, 22.5])
def test_heat_peaks_where_its_cell_looks(origin):
    bright = torch.zeros(1, 1, 96, 64)
    bright[..., 48:64, 16:32] = 1  # cell (3, 1)
    found = heat(Spot(origin, 3, 1), bright)[0]
    row, column = divmod(int(found.argmax()), 64)
    assert row == pytest.approx(origin + 16 * 3, abs=1)
    assert column == pytest.approx(origin + 16, abs=1)


def test_what_speaks_against_a_fracture_is_not_shown():
    against = Spot(7.5, 3, 1, weight=-1.0)
    assert heat(against, torch.ones(1, 1, 96, 64)).max() == 0
