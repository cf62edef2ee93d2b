"""How precisely networks compute while they learn, and that they do it alike."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn


def halved(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 where `device` can; elsewhere it is emulated, which takes
    longer than float32."""
    able = knows_bfloat16(device.type)
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


def knows_bfloat16(kind: str) -> bool:
    """Whether devices of this kind, "cpu" or "cuda", have it on this machine."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextmanager
def replayable(device: torch.device) -> Iterator[None]:
    """Have a GPU sum in the same order every time, as far as torch knows how; torch
    warns of what it cannot. Processors do anyway."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode(), cudnn.deterministic
    torch.use_deterministic_algorithms(True, warn_only=True)
    cudnn.deterministic = True
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        cudnn.deterministic = before[1]
