"""A network whose deep convolutions run in 8 bits and tell when those do not suffice.

Post-training quantisation (Krishnamoorthi 2018, arXiv:1806.08342) with each channel's
range balanced against its weights' (Xiao et al. 2022, arXiv:2211.10438). Rounding is
half a level whatever the picture is, so a few probes show what it does to the answer.
What lies above the highest level is cut, and no probe tells by how much: therefore
the network also says how full its levels were, and a view that fills any of them has
to be read in another way.
"""

from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino import opset15

STRIDE = 16  # from here on rounding is averaged over what a map leads to
# The highest level, in times of what probes reach: at stride 16, and from 32 on, where
# a fracture moves a network most. On 300 radiographs one in fourteen went above it.
HEADROOM, LAST_HEADROOM = 1.5, 3.0
SILENT = 0.02  # of the strongest channel: what probes leave silent is held to be this
FULL = 1 - 1.5 / 255  # the highest two levels, told in bfloat16 or better


def watched(model: ov.Model) -> ov.Model | None:
    """(1, 1, H, W) -> what enters each convolution that bears 8 bits: the highest
    value of each channel, float32 (1, channels, 1, 1). None where there are none.

    model: one view in, batch norm folded. Convolutions of one pixel are not worth it.
    Nearer to the pixels rounding adds up: the dark around a hand errs alike everywhere.
    """
    model = model.clone()
    axes = opset15.constant(np.array([0, 2, 3]))
    highest = [
        opset15.reduce_max(node.input_value(0), axes, True).output(0)
        for node in _deep(model)
    ]
    return ov.Model(highest, model.get_parameters()) if highest else None


def quantised(model: ov.Model, reach: Sequence[np.ndarray]) -> ov.Model:
    """A copy with those convolutions in 8 bits and a scalar more to tell: the highest
    level in use, as a share of all. From FULL on a value may have been cut.

    reach: the highest that watched(model) told of any probe.
    """
    model = model.clone()
    rows, used = _rows(model), []
    for node, highest in zip(_deep(model), reach, strict=True):
        last = 2 * STRIDE * node.get_output_shape(0)[2] <= rows
        used.append(_in_bytes(node, highest, LAST_HEADROOM if last else HEADROOM))
    fullest = opset15.reduce_max(
        opset15.concat(used, 0), opset15.constant(np.array([0])), False
    )
    model.add_outputs([fullest.output(0)])
    model.validate_nodes_and_infer_types()
    return model


def _deep(model: ov.Model) -> list[ov.Node]:
    return [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution"
        and node.input(1).get_shape()[2] > 1
        and node.get_output_shape(0)[2] * STRIDE <= _rows(model)
        and node.input_value(0).get_node().get_type_name() == "Relu"
    ]


def _rows(model: ov.Model) -> int:
    return model.input(0).get_shape()[2]


def _in_bytes(node: ov.Node, highest: np.ndarray, headroom: float) -> ov.Node:
    """Quantise what enters the convolution `node` (256 levels from zero) and its
    weights (255 about zero). Returns the highest level in use, (1,).

    A channel is scaled down, and its weights up, so that weak channels with strong
    weights get their share of the levels.
    """
    weights = node.input_value(1).get_node().data
    tiny = np.finfo(np.float32).tiny
    reached = np.maximum(highest, max(SILENT * highest.max(), tiny))
    strength = np.maximum(np.abs(weights).max((0, 2, 3))[:, None, None], tiny)
    scale = np.sqrt(reached / strength)
    top = np.float32(headroom * (reached / scale).max())
    entering = opset15.fake_quantize(
        node.input_value(0), np.zeros_like(scale), top * scale, np.float32(0), top, 256
    )
    weights = weights * scale
    most = np.maximum(np.abs(weights).max((1, 2, 3), keepdims=True), tiny)
    rounded = opset15.fake_quantize(weights, -most, most, -most, most, 255)
    node.input(0).replace_source_output(entering.output(0))
    node.input(1).replace_source_output(rounded.output(0))
    axes = opset15.constant(np.array([1, 2, 3]))
    return opset15.divide(opset15.reduce_max(entering, axes, False), top)
