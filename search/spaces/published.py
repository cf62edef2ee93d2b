"""OFA's `net.config`: sub-networks as its authors publish them, in and out.

It spells out every layer. What it says is compared with what its genes would build,
so that a network of another family, or an altered one, is refused in words.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from inference.blueprint import (
    DEPTHS,
    FIRST,
    WIDTHS,
    Block,
    Blueprint,
    blueprint,
    divisible,
)

Json = Mapping[str, object]


def genes(config: Json) -> dict[str, object]:
    """-> width, d (5), ks (20), e (20); 3 where there is no block."""
    if config.get("name") not in ("MobileNetV3", "OFAMobileNetV3"):
        raise ValueError(f"a network of type {config.get('name')}, not MobileNetV3")
    try:
        return _genes(config)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no net.config: {error} is not as OFA has it") from error


def config(plan: Blueprint, channels: int = 3, classes: int = 1000) -> dict[str, Json]:
    """As OFA's own code reads it."""
    before = plan.blocks[-1].after
    return {
        "name": "MobileNetV3",
        "bn": {"momentum": 0.1, "eps": 1e-5},
        "first_conv": _convolution(channels, plan.first, kernel=3, stride=2),
        "blocks": [_residual(block) for block in plan.blocks],
        "final_expand_layer": _convolution(before, plan.last),
        "feature_mix_layer": _convolution(plan.last, plan.mixed, normalised=False),
        "classifier": {
            "name": "LinearLayer",
            "in_features": plan.mixed,
            "out_features": classes,
            "bias": True,
            "use_bn": False,
            "act_func": None,
            "dropout_rate": 0,
            "ops_order": "weight_bn_act",
        },
    }


def _genes(config: Json) -> dict[str, object]:
    width = _width(config["first_conv"]["out_channels"])
    layers = [_layer(block) for block in config["blocks"][1:]]
    stages = [list(g) for _, g in groupby(layers, lambda b: b["out_channels"])]
    depths = [len(stage) for stage in stages]
    kernels, expansions = (
        [layer[name] for layer in layers] for name in ("kernel_size", "expand_ratio")
    )
    _compare(blueprint(width, depths, kernels, expansions), layers)
    return {
        "width": width,
        "d": depths,
        "ks": _placed(kernels, depths),
        "e": _placed(expansions, depths),
    }


def _placed(values: Sequence[int], depths: Sequence[int]) -> list[int]:
    """Of built blocks, on all twenty places."""
    left = iter(values)
    return [
        next(left) if place < depth else 3
        for depth in depths
        for place in range(max(DEPTHS))
    ]


def _width(first: int) -> float:
    for width in WIDTHS:
        if divisible(FIRST * width) == first:
            return width
    raise ValueError(f"{first} channels after the first layer: of no width known here")


def _layer(block: Json) -> Json:
    """Its convolutions, by the older name or the newer one."""
    return block.get("mobile_inverted_conv") or block["conv"]


def _compare(plan: Blueprint, layers: Sequence[Json]) -> None:
    for number, (block, layer) in enumerate(zip(plan.blocks[1:], layers), start=1):
        expected = _bottleneck(block)
        found = {name: layer[name] for name in expected if name != "name"}
        if found["mid_channels"] is None:
            found["mid_channels"] = block.middle
        for name, value in found.items():
            if value != expected[name]:
                raise ValueError(
                    f"block {number}: {name} is {value}, Once-For-All's is "
                    f"{expected[name]}"
                )


def _residual(block: Block) -> Json:
    shortcut = {
        "name": "IdentityLayer",
        "in_channels": [block.before],
        "out_channels": [block.before],
        "use_bn": False,
        "act_func": None,
        "dropout_rate": 0,
        "ops_order": "weight_bn_act",
    }
    return {
        "name": "MobileInvertedResidualBlock",
        "mobile_inverted_conv": _bottleneck(block),
        "shortcut": shortcut if block.skips else None,
    }


def _bottleneck(block: Block) -> Json:
    return {
        "name": "MBInvertedConvLayer",
        "in_channels": block.before,
        "out_channels": block.after,
        "kernel_size": block.kernel,
        "stride": block.stride,
        "expand_ratio": block.expansion,
        "mid_channels": block.middle if block.widens else None,
        "act_func": "h_swish" if block.swish else "relu",
        "use_se": bool(block.squeezed),
    }


def _convolution(
    before: int, after: int, kernel: int = 1, stride: int = 1, normalised: bool = True
) -> Json:
    return {
        "name": "ConvLayer",
        "kernel_size": kernel,
        "stride": stride,
        "dilation": 1,
        "groups": 1,
        "bias": False,
        "has_shuffle": False,
        "in_channels": before,
        "out_channels": after,
        "use_bn": normalised,
        "act_func": "h_swish",
        "dropout_rate": 0,
        "ops_order": "weight_bn_act",
    }
