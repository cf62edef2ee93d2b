"""The tensors of an artifact as bytes: a network's weights, and what it is used to.

Nothing is unpickled. What is wrong with them is a ValueError in words.
"""

from collections.abc import Mapping

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as serialise
from torch import Tensor, nn

from inference.doubt import Familiar
from inference.networks import Arch, build

FAMILIAR = "familiar/"  # before the names of what is no weight of the network


def written(state: Mapping[str, Tensor], familiar: Familiar | None) -> bytes:
    """ValueError: a number is not finite."""
    kept = dict(state)
    if familiar is not None:
        for name, values in vars(familiar).items():
            kept[FAMILIAR + name] = torch.from_numpy(np.float32(values))
    return serialise({name: _compact(name, t) for name, t in kept.items()})


def network(arch: Arch, data: bytes) -> nn.Module:
    """In float32, ready to read."""
    made = _skeleton(arch)
    state = {n: t for n, t in _read(data).items() if not n.startswith(FAMILIAR)}
    _match(made.state_dict(), state)
    made.load_state_dict(state, assign=True)
    return made.eval()


def kept(arch: Arch, made: nn.Module) -> nn.Module:
    """The network `made` as an artifact keeps it and gives it back: rounded."""
    return network(arch, written(made.state_dict(), None))


def familiar(data: bytes) -> Familiar | None:
    """None where it is not told."""
    state = _read(data)
    mean, whitening = (state.get(FAMILIAR + name) for name in ("mean", "whitening"))
    if mean is None and whitening is None:
        return None
    if mean is None or whitening is None or whitening.shape != 2 * mean.shape:
        raise ValueError("what the training looked like is told in part only")
    return Familiar(mean.double().numpy(), whitening.double().numpy())


def _compact(name: str, tensor: Tensor) -> Tensor:
    """Half precision where it fits; integers (batch counters) as they are."""
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    if not tensor.isfinite().all():
        raise ValueError(f"weights {name} are not finite")
    half = tensor.half()
    return half if half.isfinite().all() else tensor.float()


def _skeleton(arch: Arch) -> nn.Module:
    """The network without memory for its weights, nor a draw of random numbers."""
    try:
        with torch.device("meta"):
            return build(arch)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise ValueError(
            f"no {arch.family} can be built with the options of the spec: {error}"
        ) from error


def _read(data: bytes) -> dict[str, Tensor]:
    try:
        state = load(data)
    except SafetensorError as error:
        raise ValueError(f"the file is damaged: {error}") from error
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ValueError(f"weights {name} are not finite")
    return {n: t.float() if t.is_floating_point() else t for n, t in state.items()}


def _match(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    for name in sorted(wanted.keys() | state.keys()):
        expected, found = (
            tuple(side[name].shape) if name in side else "none"
            for side in (wanted, state)
        )
        if expected != found:
            raise ValueError(
                f"weights {name} have shape {found}, the network wants {expected}"
            )
