"""How much faster a network trains here than in a plain loop, on two cores.

    python tests/benchmarks/training.py [--rounds 3] [--threads 2] [--batch 16]

Both sides learn the same augmented batches of the same views with the same network and
optimiser, each in a process of its own and in turns, so that whoever else works on this
machine slows both alike. Ours is `search.trainee` as `manage.py train` uses it:
bfloat16, channels last, buffers kept; a second loss for the boxes and averaged weights
come on top. The plain loop is what a tutorial says: float32, channels first, the memory
as Python finds it, one loss.

Wall time is what counts; on a machine whose cores others share, the ratio of CPU times
(threads that wait sleep) tells more. Wanted is 3.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from inference.networks import ARCHS, Arch, build  # noqa: E402
from inference.preprocess import Recipe  # noqa: E402
from search import memory  # noqa: E402
from search.run import PLANS  # noqa: E402
from search.samples import Batch, Samples, batches  # noqa: E402
from search.trainee import Plan, Stage, Trainee  # noqa: E402

VIEWS = 32
SHIPPED = "as shipped"  # the members of the committee
SETUPS = (
    ("resnet18", (171, 256)),
    ("squeezenet", (171, 256)),
    (SHIPPED, (256, 384)),
    ("resnet18", (341, 512)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learn", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.learn:
        side, network, width, height = chosen.learn
        answer(side, network, (int(width), int(height)), chosen.batch)
        return
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {chosen.threads} threads, load {os.getloadavg()[0]:.1f}")
    for network, size in SETUPS:
        print(json.dumps(compare(network, size, chosen)), flush=True)


def compare(
    network: str, size: tuple[int, int], chosen: argparse.Namespace
) -> dict[str, object]:
    """The best wall and CPU milliseconds an image of each side, and their ratios."""
    spent: dict[str, list[tuple[float, float]]] = {"plain": [], "ours": []}
    with ExitStack() as stack:
        sides = {
            side: stack.enter_context(learner(side, network, size, chosen))
            for side in spent
        }
        for turn in range(chosen.rounds + 1):  # the first one warms up
            for side, ask in sides.items():
                told = ask()
                if turn:
                    spent[side].append(told)
    best = {
        side: [1e3 * min(column) / chosen.batch for column in zip(*told, strict=True)]
        for side, told in spent.items()
    }
    return {
        "network": network,
        "view": "x".join(map(str, size)),
        "batch": chosen.batch,
        "wall ms an image": {k: round(wall, 1) for k, (wall, _) in best.items()},
        "CPU ms an image": {k: round(cpu, 1) for k, (_, cpu) in best.items()},
        "times as fast, wall": round(best["plain"][0] / best["ours"][0], 2),
        "times as fast, CPU": round(best["plain"][1] / best["ours"][1], 2),
    }


@contextmanager
def learner(
    side: str, network: str, size: tuple[int, int], chosen: argparse.Namespace
) -> Iterator[Callable[[], tuple[float, float]]]:
    """A process that learns one batch when asked, and tells what that took."""
    ordinary = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    # A thread that spins at a barrier would count as work.
    quiet = {"OMP_NUM_THREADS": str(chosen.threads), "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, __file__, "--batch", str(chosen.batch)]
    command += ["--learn", side, network, *map(str, size)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=ordinary | quiet, **pipes) as child:

        def ask() -> tuple[float, float]:
            child.stdin.write("\n")
            child.stdin.flush()
            return tuple(json.loads(child.stdout.readline()))

        yield ask
        child.stdin.close()


def answer(side: str, network: str, size: tuple[int, int], batch: int) -> None:
    """The child: a step for every line that comes in. -> wall and CPU seconds."""
    step = {"ours": ours, "plain": plain}[side](network, size, batch)
    for _ in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        step()
        told = time.perf_counter() - began, time.process_time() - used
        print(json.dumps(told), flush=True)


def augmented(size: tuple[int, int], batch: int) -> Iterator[Batch]:
    """Endless augmented batches of views that look like nothing: what they show
    does not change what they cost."""
    rng = np.random.default_rng(0)
    count = max(VIEWS, batch)
    pixels = rng.integers(0, 256, (count, size[1], size[0]), np.uint8)
    boxes = tuple(np.array([[20, 20, 60, 60]], np.float32) for _ in pixels)
    samples = Samples(pixels, np.arange(count) % 2, np.arange(count), boxes)
    while True:
        yield from batches(samples, rng.permutation(count), batch, rng)


def ours(network: str, size: tuple[int, int], batch: int) -> Callable[[], object]:
    memory.keep()
    stage = Stage(1, 1.0, False, 1e-4)
    recipe = Recipe(width=size[0], height=size[1])
    trainee = Trainee(Plan(arch(network), (stage,), recipe))
    trainee.begin(stage)
    work = augmented(size, batch)
    return lambda: trainee.learn(next(work), 1e-4)


def arch(network: str) -> Arch:
    return PLANS["squeezenet"].arch if network == SHIPPED else ARCHS[network]


def plain(network: str, size: tuple[int, int], batch: int) -> Callable[[], object]:
    recipe = Recipe()
    model = build(arch(network)).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    work = augmented(size, batch)

    def step() -> None:
        found = next(work)
        images = (torch.from_numpy(found.images) - recipe.mean) / recipe.std
        logits = model(images)[:, 0]
        loss = F.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(found.labels)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
