"""From blueprints to ONNX files that a target times, and the agent that times them.

The graphs hold the operations of a deployed network, batch norm folded. Their weights
are constants of a shape, filled in as the file is opened: a latency does not depend
on them, and a folder for a Raspberry Pi stays small. Each is one over the number of
summands, so that no activation grows or fades into slow denormals.

    OUT/plan.json        space, size, and which file is which
    OUT/pieces/KEY.onnx  OUT/networks/N.onnx
    OUT/agent.py         copy the folder to the target; there: python agent.py
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.blueprint import Block, Blueprint
from search import latency_agent
from search.hardware import (
    HEAD,
    STEM,
    Piece,
    every_piece,
    examples,
    pieces,
    refuse_vain,
)
from search.spaces import SPACES

OPSET = 17
IR = 8  # the newest that ONNX Runtime 1.14 of a Raspberry Pi OS knows


def export(
    out: Path, space: str, height: int, width: int, networks: int, seed: int = 0
) -> Path:
    """Everything an agent needs, in a new folder. FileExistsError if it is there,
    UnfitTable if no table could come of it."""
    refuse_vain(height, width, networks)
    out.mkdir(parents=True)
    (out / "pieces").mkdir()
    (out / "networks").mkdir()
    known = SPACES[space]
    found = every_piece(space, height, width)
    for piece in found:
        onnx.save(graph([piece]), out / "pieces" / f"{piece.key}.onnx")
    wholes = examples(space, networks, seed)
    for number, architecture in enumerate(wholes):
        plan = known.blueprint(architecture)
        onnx.save(network(plan, height, width), out / "networks" / f"{number}.onnx")
    plan = {
        "space": space,
        "size": [height, width],
        "pieces": [piece.key for piece in found],
        "networks": [known.to_json(architecture) for architecture in wholes],
    }
    (out / "plan.json").write_text(json.dumps(plan))
    shutil.copy(latency_agent.__file__, out / "agent.py")
    return out


def network(plan: Blueprint, height: int, width: int) -> onnx.ModelProto:
    return graph(list(pieces(plan, height, width)))


def graph(chain: Sequence[Piece]) -> onnx.ModelProto:
    """Pieces one behind the other, for one image."""
    drawing = Drawing()
    first = chain[0]
    end = "image"
    for piece in chain:
        end = drawing.piece(end, piece)
    shape = [1, _channels(first), first.height, first.width]
    entry = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    unknown = [None] * (2 if chain[-1].what == HEAD else 4)
    leave = helper.make_tensor_value_info(end, TensorProto.FLOAT, unknown)
    made = helper.make_graph(
        drawing.nodes, "pieces", [entry], [leave], drawing.initializers
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
    )
    onnx.checker.check_model(model)
    return model


class Drawing:
    """Nodes of a graph as they are added; each method returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Iterable[str], **attributes: object) -> str:
        name = f"{kind}{len(self.nodes)}"
        made = helper.make_node(kind, list(inputs), [name], **attributes)
        self.nodes.append(made)
        return name

    def constant(self, shape: Sequence[int], value: float) -> str:
        name = f"shape{len(self.initializers)}"
        sizes = np.array(shape, np.int64)
        self.initializers.append(numpy_helper.from_array(sizes, name))
        filling = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
        return self.node("ConstantOfShape", [name], value=filling)

    def convolution(
        self, x: str, before: int, after: int, kernel: int = 1, stride=1, groups=1
    ) -> str:
        inside = before // groups
        weight = self.constant(
            (after, inside, kernel, kernel), 1 / (inside * kernel**2)
        )
        return self.node(
            "Conv",
            [x, weight, self.constant((after,), 0.01)],
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
            group=groups,
        )

    def piece(self, x: str, piece: Piece) -> str:
        if isinstance(piece.what, Block):
            return self.block(x, piece.what)
        return {STEM: self.stem, HEAD: self.head}[piece.what](x, *piece.sizes)

    def stem(self, x: str, first: int) -> str:
        return self.node("HardSwish", [self.convolution(x, 1, first, 3, 2)])

    def head(self, x: str, before: int, last: int, mixed: int) -> str:
        y = self.node("HardSwish", [self.convolution(x, before, last)])
        y = self.convolution(self.node("GlobalAveragePool", [y]), last, mixed)
        y = self.node("Flatten", [self.node("HardSwish", [y])])
        weight = self.constant((mixed, 1), 1 / mixed)
        return self.node("Gemm", [y, weight, self.constant((1,), 0.0)])

    def block(self, x: str, block: Block) -> str:
        activation = "HardSwish" if block.swish else "Relu"
        y, middle = x, block.middle
        if block.widens:
            y = self.node(activation, [self.convolution(y, block.before, middle)])
        y = self.convolution(y, middle, middle, block.kernel, block.stride, middle)
        y = self.node(activation, [y])
        if block.squeezed:
            y = self.node("Mul", [y, self.gate(y, middle, block.squeezed)])
        y = self.convolution(y, middle, block.after)
        return self.node("Add", [x, y]) if block.skips else y

    def gate(self, x: str, channels: int, squeezed: int) -> str:
        y = self.node("GlobalAveragePool", [x])
        y = self.node("Relu", [self.convolution(y, channels, squeezed)])
        y = self.convolution(y, squeezed, channels)
        return self.node("HardSigmoid", [y], alpha=1 / 6, beta=0.5)


def _channels(piece: Piece) -> int:
    """Of its input; the images themselves are grey."""
    if isinstance(piece.what, Block):
        return piece.what.before
    return 1 if piece.what == STEM else piece.sizes[0]
