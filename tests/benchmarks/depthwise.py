"""How much faster candidates of a search train with search.depthwise than without.

    python tests/benchmarks/depthwise.py [--batch 64] [--rounds 3]

One step (forward, backward, update) of the largest and smallest Once-For-All network
of width 1.0 on one thread, in bfloat16 as search.trainee does it; both sides in turns,
by CPU time, the best of the rounds.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from inference.networks import build  # noqa: E402
from search import memory  # noqa: E402
from search.depthwise import Quick  # noqa: E402
from search.shrinking import PHASES  # noqa: E402
from search.spaces import SPACES  # noqa: E402
from search.supernet import arch  # noqa: E402

SPACE = SPACES["ofa-1.0"]
CHOSEN = {"largest": PHASES[-1].largest, "smallest": PHASES[-1].smallest}
SIZES = (96, 64), (192, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    memory.keep()
    for name, architecture in CHOSEN.items():
        for size in SIZES:
            sides = {"plain": nullcontext, "ours": Quick}
            step = learner(arch(SPACE, architecture), size, asked.batch)
            spent = {side: [] for side in sides}
            for _turn in range(asked.rounds + 1):  # the first one warms up
                for side, context in sides.items():
                    spent[side].append(step(context))
            best = {side: min(told[1:]) for side, told in spent.items()}
            said = {side: round(1e3 * s / asked.batch, 1) for side, s in best.items()}
            said = {"network": name, "view": size, "CPU ms an image": said}
            ratio = round(best["plain"] / best["ours"], 2)
            print(json.dumps(said | {"times as fast": ratio}), flush=True)


def learner(chosen, size: tuple[int, int], batch: int) -> Callable[..., float]:
    network = build(chosen).train()
    images = torch.randn(batch, 1, *size).to(memory_format=torch.channels_last)
    labels = (torch.arange(batch) % 2).float()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    lost = torch.nn.functional.binary_cross_entropy_with_logits

    def step(context: Callable) -> float:
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16), context():
            logits = network(images)[:, 0]
        optimizer.zero_grad()
        lost(logits.float(), labels).backward()
        optimizer.step()
        return time.process_time() - began

    return step


if __name__ == "__main__":
    main()
