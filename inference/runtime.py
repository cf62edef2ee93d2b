"""From a network to the fastest form of it on this machine that gives its numbers.

Candidates are torch itself and OpenVINO: in single precision, in bfloat16, and with
its deep convolutions in 8 bits. Each reads a few probes; what differs there from plain
torch by more than half of TOLERANCE is out, for other images may differ more, and so is
what is less exact. The fastest of the others serves. A view that 8 bits cannot hold is
read in single precision.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import openvino as ov
import torch
from torch import Tensor, nn

from inference import preprocess, quantise
from inference.artifact import Spec
from inference.phantom import phantom
from inference.preprocess import Recipe

TOLERANCE = 0.05  # in logits: a probability differs by at most 0.0125
LOUD = 1.5  # of a phantom's contrast: rounding grows with what there is to round

Infer = Callable[[np.ndarray], tuple[np.ndarray, ...]]

log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """float32 logits (N,), and features (N, channels): the means of the map between
    the network's halves."""

    logits: np.ndarray
    features: np.ndarray


class Compiled:
    """Float32 views (N, 1, H, W) -> what the network makes of them.

    Reads one view at a time: a view's logit depends on no other, so the same view
    gives the same number in whatever company, and on these machines a batch of
    two takes as long as two of one. Safe to call from several threads.
    """

    def __init__(self, backend: str, infer: Infer) -> None:
        self.backend = backend
        self._infer, self._lock = infer, threading.Lock()

    def __call__(self, views: np.ndarray) -> Seen:
        with self._lock:
            found = [self._infer(v[None]) for v in views]
        logits = np.array([logit.item() for logit, _ in found], np.float32)
        features = [pooled.ravel() for _, pooled in found]
        return Seen(logits, np.stack(features) if found else np.empty((0, 0)))


class Both(nn.Module):
    """A network that also tells its features, at the price of one mean."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network.features(x)
        return self.network.head(found), found.mean((2, 3))


def compiled(network: nn.Module, spec: Spec) -> Compiled:
    """Compile `network` (float32, in eval mode, left as it was) for this machine.

    Uses as many threads as torch does (OMP_NUM_THREADS). Takes about a second.
    """
    probes, network = _probes(spec.recipe), Both(network).eval()
    best = Compiled("torch", _eager(network, "cpu"))
    wanted, fastest = _trial(best, probes)
    for candidate in _candidates(network, probes):
        logits, seconds = _trial(candidate, probes)
        off = float(np.abs(logits - wanted).max())
        if not off <= TOLERANCE / 2:
            log.warning("%s is off by %.3f logits: not used", candidate.backend, off)
            break
        if seconds < fastest:
            best, fastest = candidate, seconds
    log.info("%s reads on %s, %.0f ms a view", spec.name, best.backend, 1e3 * fastest)
    return best


def _candidates(network: nn.Module, probes: np.ndarray) -> Iterator[Compiled]:
    """From the most exact to the least, each made when it is asked for."""
    if torch.cuda.is_available():
        yield Compiled("torch cuda", _eager(network, "cuda"))
        return
    core = ov.Core()
    model = _converted(network, probes[:1])
    exact = _openvino(core, model, "f32")
    yield Compiled("openvino f32", exact)
    half = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if half:
        yield Compiled("openvino bf16", _openvino(core, model, "bf16"))
    if looking := quantise.watched(model):
        seen = map(_openvino(core, looking, "f32"), probes[:, None])
        reach = [np.max(of_one, axis=0) for of_one in zip(*seen, strict=True)]
        eighths = quantise.quantised(model, reach)
        quick = _openvino(core, eighths, "bf16" if half else "f32")
        yield Compiled("openvino int8", _unless_full(quick, exact))


def _converted(network: nn.Module, example: np.ndarray) -> ov.Model:
    with torch.inference_mode():
        # Left to itself, OpenVINO traces the network three times to compare.
        traced = torch.jit.trace(network, torch.from_numpy(example), check_trace=False)
        frozen = torch.jit.freeze(traced)
    # Untold, the type of the input is unknown unless a convolution is first.
    return ov.convert_model(frozen, input=[(list(example.shape), ov.Type.f32)])


def _openvino(core: ov.Core, model: ov.Model, precision: str) -> Infer:
    request = core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, two workers of one machine would share a core.
            "ENABLE_CPU_PINNING": False,
        },
    ).create_infer_request()

    def infer(view: np.ndarray) -> tuple[np.ndarray, ...]:
        return request.infer({0: view}, share_inputs=True).to_tuple()

    return infer


def _unless_full(quick: Infer, exact: Infer) -> Infer:
    def infer(view: np.ndarray) -> tuple[np.ndarray, ...]:
        logit, features, used = quick(view)
        return (logit, features) if used < quantise.FULL else exact(view)

    return infer


def _eager(network: nn.Module, device: str) -> Infer:
    network = deepcopy(network).to(device, memory_format=torch.channels_last)

    def infer(view: np.ndarray) -> tuple[np.ndarray, ...]:
        # TF32 and cuDNN's choice of algorithm would change numbers between calls.
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch.inference_mode(), exact:
            logit, features = network(torch.from_numpy(view).to(device))
            return logit.cpu().numpy(), features.cpu().numpy()

    return infer


def _trial(candidate: Compiled, probes: np.ndarray) -> tuple[np.ndarray, float]:
    """The logits of the probes, and the seconds of the faster one: whoever else
    runs here only adds. What a first reading makes ready is not counted."""
    candidate(probes[:1])
    logits, seconds = [], []
    for probe in probes:
        start = time.perf_counter()
        logits.append(candidate(probe[None]).logits)
        seconds.append(time.perf_counter() - start)
    return np.concatenate(logits), min(seconds)


def _probes(recipe: Recipe) -> np.ndarray:
    """Phantoms as the network would see them, and once more with more contrast.

    On simpler pictures half a mantissa leads less astray than on radiographs: plain
    phantoms let SqueezeNet pass in bfloat16, which on 43 of 300 radiographs was off
    by more than TOLERANCE, by up to 0.21.
    """
    looks = {}, {"fractured": True}, {"metal": True}, {"cast": True}
    frames = [phantom(seed, **look).pixels >> 4 for seed, look in enumerate(looks)]
    seen = [preprocess.views(f.astype(np.uint8), recipe)[0] for f in frames]
    plain = preprocess.tensor(seen, recipe)
    return np.concatenate([plain, np.float32(LOUD) * plain])
