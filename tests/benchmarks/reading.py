"""How much faster the compiled network reads than plain torch, on one core.

    python tests/benchmarks/reading.py [FOLDER] [--rounds 30]

FOLDER holds a model's artifact; by default the shipped ResNet18. Reads phantoms at
341x512 whatever size the model was trained for, one view at a time and in turns, so
that whoever else works on this machine slows all alike. CPU time on one thread; the
ratios are those of the medians, wanted is 3 for ResNet18. A busy machine shows less:
two threads that share a core share its bfloat16 units, too.

Plain torch is measured twice: "tuned" in this process, under the allocator settings
that ./run gives its workers, and "ordinary" in a child that Python starts without
them, as most people's torch runs. The child waits at its pipe while others measure.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

# Before torch starts. glibc may give big activations back on every forward.
TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
THREADS = {"OMP_NUM_THREADS": "1"}
ORDINARY = {k: v for k, v in os.environ.items() if "MALLOC" not in k} | THREADS
CHILD = "--ordinary"  # given to the child process alone
WANTED = {**(ORDINARY if CHILD in sys.argv else os.environ | TUNED), **THREADS}
if dict(os.environ) != WANTED:
    os.execve(sys.executable, [sys.executable, *sys.argv], WANTED)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from inference import artifact, dicom, phantom, preprocess, runtime  # noqa: E402
from inference.preprocess import Recipe  # noqa: E402

SHIPPED = ROOT / "inference" / "models" / "resnet18"


def views_of(count: int, recipe: Recipe) -> np.ndarray:
    frames = [dicom.frame(phantom.study(seed)[0]).pixels for seed in range(count)]
    return preprocess.tensor(
        [preprocess.views(pixels, recipe)[0] for pixels in frames], recipe
    )


def eager(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    network = artifact.load_network(folder)

    def read(view: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(view)).numpy()

    return read


def cpu_milliseconds(read, view: np.ndarray) -> tuple[float, float]:
    start = time.process_time()
    logit = read(view)
    return 1e3 * (time.process_time() - start), float(np.ravel(logit)[0])


def answer(folder: Path) -> None:
    """The child: for each view that comes down the pipe its time and its logit."""
    read = eager(folder)
    while True:
        try:
            view = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        print(json.dumps(cpu_milliseconds(read, view)), flush=True)


@contextmanager
def ordinary(folder: Path) -> Iterator[Callable[[np.ndarray], tuple[float, float]]]:
    """Time one view in a process that knows nothing of the allocator settings."""
    command = [sys.executable, __file__, str(folder), CHILD]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=ORDINARY, **pipes) as child:

        def ask(view: np.ndarray) -> tuple[float, float]:
            pickle.dump(view, child.stdin)
            child.stdin.flush()
            return tuple(json.loads(child.stdout.readline()))

        yield ask
        child.stdin.close()


def take_turns(
    sides: dict[str, Callable[[np.ndarray], tuple[float, float]]],
    views: np.ndarray,
    rounds: int,
) -> tuple[dict[str, float], float]:
    """Median CPU milliseconds of each side, and how far their logits lie apart."""
    spent, off = [], []
    for turn in range(rounds + 2):
        view = views[turn % len(views)][None]
        told = [ask(view) for ask in sides.values()]
        spent.append([milliseconds for milliseconds, _ in told])
        off.append(np.ptp([logit for _, logit in told]))
    medians = np.median(spent[2:], axis=0)  # the first rounds warm up
    return dict(zip(sides, medians.tolist(), strict=True)), float(max(off))


def measure(folder: Path, rounds: int) -> dict[str, object]:
    recipe = Recipe()
    spec = replace(artifact.load_spec(folder), recipe=recipe)
    start = time.process_time(), time.perf_counter()
    compiled = runtime.compiled(artifact.load_network(folder), spec)
    load = time.process_time() - start[0], time.perf_counter() - start[1]
    with ordinary(folder) as ask:
        sides = {
            "eager, ordinary allocator": ask,
            "eager, tuned allocator": partial(cpu_milliseconds, eager(folder)),
            "compiled": partial(cpu_milliseconds, lambda view: compiled(view).logits),
        }
        medians, off = take_turns(sides, views_of(8, recipe), rounds)
    fast = medians["compiled"]
    return {
        "model": spec.name,
        "view": f"{recipe.width}x{recipe.height}",
        "backend": compiled.backend,
        "CPU ms": {side: round(spent, 1) for side, spent in medians.items()},
        "times as fast as": {
            side: round(spent / fast, 2)
            for side, spent in medians.items()
            if side != "compiled"
        },
        "largest difference in logits": round(off, 4),
        "load, CPU s": round(load[0], 2),
        "load, wall s": round(load[1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument(CHILD, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ordinary:
        answer(chosen.folder)
        return
    print(json.dumps(measure(chosen.folder, chosen.rounds), indent=2))


if __name__ == "__main__":
    main()
