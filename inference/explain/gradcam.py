"""Grad-CAM: which cells of the feature map speak for a fracture.

Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74, through captum, at stride 16 or
finer: coarser maps cannot point at a fracture line.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from torch import Tensor, nn


def heat(network: nn.Module, x: Tensor) -> Tensor:
    """Heat (N, H, W) >= 0 for x (N, 1, H, W), each cell of the feature map placed
    where it looks; what speaks against a fracture is not shown."""
    with torch.inference_mode(False), torch.enable_grad():
        copy = deepcopy(network).eval()
        x = x.detach().clone().requires_grad_()
        cam = LayerGradCam(copy, copy.gradcam_layer)
        cells = cam.attribute(x, target=0, relu_attributions=True).detach()
    return place(cells, network.origin, network.stride, x.shape[-2:])


def place(cells: Tensor, origin: float, stride: int, shape: tuple[int, int]) -> Tensor:
    """Interpolate (N, 1, h, w), whose cell (i, j) lies at origin + stride (i, j), onto
    the pixels: (N, H, W). Beyond the outermost cells their values go on."""
    rows, columns = (
        (torch.arange(pixels) - origin) / stride / max(count - 1, 1) * 2 - 1
        for pixels, count in zip(shape, cells.shape[-2:])
    )
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    grid = grid.expand(len(cells), -1, -1, -1).to(cells)
    return F.grid_sample(cells, grid, padding_mode="border", align_corners=True)[:, 0]
