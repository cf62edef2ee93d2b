"""CPU seconds to explain one view by LRP and Grad-CAM, on one core.

    python tests/benchmarks/explaining.py [--repeats 5] [--width 341 --height 512]

Prints for every network, and for every shipped model at the size of its own views,
the forward pass, Grad-CAM and LRP under each composite, medians of process time, and
the sum that explaining one view costs by the rules that it is shown by. Processor time,
because wall time on a shared machine measures the neighbours. Wanted is 1 s at most.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
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
from torch import nn  # noqa: E402

from inference import artifact  # noqa: E402
from inference.explain import DEFAULT, bounds, gradcam, lrp  # noqa: E402
from inference.explain.lrp import COMPOSITES  # noqa: E402
from inference.networks import ARCHS, build  # noqa: E402
from inference.preprocess import Recipe  # noqa: E402

MODELS = Path(artifact.__file__).parent / "models"


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median of processor seconds, after one call that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken[1:])


def measure(
    network: nn.Module, recipe: Recipe, shown_by: str, repeats: int
) -> dict[str, float]:
    shape = 1, 1, recipe.height, recipe.width
    view = torch.empty(shape).uniform_(*bounds(recipe))
    with torch.no_grad():
        found = {"forward": seconds(lambda: network(view), repeats)}
    found["gradcam"] = seconds(lambda: gradcam(network, view), repeats)
    for composite in COMPOSITES:
        found[composite] = seconds(
            lambda c=composite: lrp(network, view, composite=c, recipe=recipe), repeats
        )
    found["sum"] = found["gradcam"] + found[shown_by]
    return found


def subjects(width: int, height: int) -> Iterator[tuple[str, nn.Module, Recipe, str]]:
    """Name, network, its views and the rules that it is shown by."""
    recipe = Recipe(width=width, height=height)
    for name in ARCHS:
        torch.manual_seed(0)
        yield f"{name} {width}x{height}", build(ARCHS[name]).eval(), recipe, DEFAULT
    for folder in sorted(MODELS.iterdir()):
        spec, network = artifact.load_spec(folder), artifact.load_network(folder)
        words = f"{spec.name} as shipped {spec.recipe.width}x{spec.recipe.height}"
        yield words, network, spec.recipe, spec.composite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=341)
    parser.add_argument("--height", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"CPU seconds a view, one thread; load average {os.getloadavg()[0]:.1f}")
    for i, (name, *subject) in enumerate(subjects(options.width, options.height)):
        row = measure(*subject, options.repeats)
        if not i:
            print(f"{'':32}", *(f"{column:>12}" for column in row))
        print(f"{name:32}", *(f"{value:12.3f}" for value in row.values()), flush=True)


if __name__ == "__main__":
    main()
