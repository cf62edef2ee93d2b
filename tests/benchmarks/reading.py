"""How much faster the compiled network reads than plain torch, on one core.

    python tests/benchmarks/reading.py [FOLDER] [--rounds 30]

FOLDER holds a model's artifact; by default the shipped ResNet18. Reads phantoms at
341x512 whatever size the model was trained for, one view at a time, in turns and in
one process, so that whoever else works on this machine slows both alike. CPU time on
one thread; the ratio is that of the medians, wanted is 3 for ResNet18. A busy machine
shows less: two threads that share a core share its bfloat16 units, too.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

# Before torch starts. glibc gives big activations back on every forward, which
# costs plain torch a third of its time: both sides get the better setting.
WANTED = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
if not WANTED.items() <= os.environ.items():
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | WANTED)

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


def cpu_milliseconds(read, view: np.ndarray) -> tuple[float, float]:
    start = time.process_time()
    logit = read(view)
    return 1e3 * (time.process_time() - start), float(np.ravel(logit)[0])


def measure(folder: Path, rounds: int) -> dict[str, object]:
    recipe = Recipe()
    network = artifact.load_network(folder)
    spec = replace(artifact.load_spec(folder), recipe=recipe)
    start = time.process_time(), time.perf_counter()
    compiled = runtime.compiled(network, spec)
    load = time.process_time() - start[0], time.perf_counter() - start[1]

    def eager(view: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(view)).numpy()

    views = views_of(8, recipe)
    spent: dict[str, list[float]] = {"eager": [], "compiled": []}
    off = []
    for turn in range(rounds + 2):
        view = views[turn % len(views)][None]
        plain, wanted = cpu_milliseconds(eager, view)
        fast, logit = cpu_milliseconds(compiled, view)
        off.append(abs(logit - wanted))
        if turn >= 2:  # the first rounds warm up
            spent["eager"].append(plain)
            spent["compiled"].append(fast)
    medians = {side: float(np.median(times)) for side, times in spent.items()}
    return {
        "model": spec.name,
        "view": f"{recipe.width}x{recipe.height}",
        "backend": compiled.backend,
        "eager CPU ms": round(medians["eager"], 1),
        "compiled CPU ms": round(medians["compiled"], 1),
        "ratio": round(medians["eager"] / medians["compiled"], 2),
        "largest difference in logits": round(max(off), 4),
        "load, CPU s": round(load[0], 2),
        "load, wall s": round(load[1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--rounds", type=int, default=30)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.folder, chosen.rounds), indent=2))


if __name__ == "__main__":
    main()
