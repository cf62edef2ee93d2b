"""CPU seconds to explain one view by LRP and Grad-CAM, on one core.

    python tests/benchmarks/explaining.py [--repeats 5] [--width 341 --height 512]

Prints for every network the forward pass, Grad-CAM and LRP under each composite,
medians of process time, and the sum that reading one image costs. Processor time,
because wall time on a shared machine measures the neighbours.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

# glibc hands large activations back to the kernel after each use; HOUSE.md, 4.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
if os.environ.keys() & ENVIRONMENT.keys() != ENVIRONMENT.keys():
    os.execve(sys.executable, [sys.executable, *sys.argv], ENVIRONMENT | os.environ)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import torch  # noqa: E402

from inference.explain import DEFAULT, bounds, gradcam, lrp  # noqa: E402
from inference.explain.lrp import COMPOSITES  # noqa: E402
from inference.networks import ARCHS, build  # noqa: E402
from inference.preprocess import Recipe  # noqa: E402


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median of processor seconds, after one call that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken[1:])


def measure(name: str, view: torch.Tensor, repeats: int) -> dict[str, float]:
    torch.manual_seed(0)
    network = build(ARCHS[name]).eval()
    with torch.no_grad():
        found = {"forward": seconds(lambda: network(view), repeats)}
    found["gradcam"] = seconds(lambda: gradcam(network, view), repeats)
    for composite in COMPOSITES:
        found[composite] = seconds(
            lambda c=composite: lrp(network, view, composite=c), repeats
        )
    found["sum"] = found["gradcam"] + found[DEFAULT]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=341)
    parser.add_argument("--height", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    view = torch.empty(1, 1, options.height, options.width).uniform_(*bounds(Recipe()))
    rows = {name: measure(name, view, options.repeats) for name in ARCHS}
    print(f"CPU seconds a view of {options.width}x{options.height}, one thread;")
    print(f"sum = gradcam + {DEFAULT}; load average {os.getloadavg()[0]:.1f}")
    columns = next(iter(rows.values()))
    print(f"{'':10}", *(f"{column:>12}" for column in columns))
    for name, row in rows.items():
        print(f"{name:10}", *(f"{row[column]:12.3f}" for column in columns))


if __name__ == "__main__":
    main()
