"""How good are the strategies, and do they keep ten workers busy?

    python tests/benchmarks/strategies.py [--seeds 40] [--evaluations 100]

On NAS-Bench-Macro (6,561 networks of CIFAR-10, each trained; ../shared/data/nas), with
one worker and with ten asynchronous ones whose trainings last lognormally long
(sigma 0.4), prints by strategy
  accuracy     validation accuracy of the best found, mean over the seeds ± its error.
               The first of the three trainings of a network is its validation.
  utilisation  share of the workers' time in which they train
  ms           of processor time of the controller a candidate: ask and tell
and by strategy for several objectives the hypervolume of accuracy and multiply-adds,
as a share of the whole front's. At last the milliseconds a candidate on the space of
Once-For-All with the log taken from JSON and given back at every step, as rows do.
"""

import argparse
import heapq
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from search.spaces import SPACES  # noqa: E402
from search.strategies import DEFAULT, STRATEGIES, Strategy, front  # noqa: E402

TABLE = ROOT.parent / "shared/data/nas/nas-bench-macro/nas-bench-macro_cifar10.json"
Genes = tuple[int, ...]


class Macro:
    """Eight layers of three kinds; an identity among the last two layers of the second
    or third stage does the same in either place."""

    choices, start = (3,) * 8, None

    def sample(self, rng: np.random.Generator) -> Genes:
        return self.decode(rng.integers(self.choices))

    def mutate(self, architecture: Genes, share: float, rng) -> Genes:
        child = architecture
        while child == architecture:
            changed = rng.random(8) < share
            others = (architecture + rng.integers(1, 3, 8)) % 3
            child = self.decode(np.where(changed, others, architecture))
        return child

    def canonical(self, architecture: Genes) -> Genes:
        folded = list(architecture)
        for first, second in ((3, 4), (6, 7)):
            if not folded[first]:
                folded[first], folded[second] = folded[second], 0
        return tuple(folded)

    def encode(self, architecture: Genes) -> Genes:
        return architecture

    def decode(self, genes) -> Genes:
        return self.canonical(tuple(int(gene) for gene in genes))

    def to_json(self, architecture: Genes) -> str:
        return "".join(map(str, architecture))

    def from_json(self, value: str) -> Genes:
        return tuple(map(int, value))


def simulate(
    strategy: Strategy,
    evaluate: Callable[[Genes], tuple[float, ...]],
    evaluations: int,
    workers: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """No generation waits for another. -> utilisation, controller's ms a candidate."""
    running: list[tuple[float, int, Genes]] = []
    now = busy = spent = 0.0
    asked = 0
    while asked < evaluations or running:
        began = time.process_time()
        while asked < evaluations and len(running) < workers:
            architecture = strategy.ask()
            takes = rng.lognormal(0, 0.4)
            heapq.heappush(running, (now + takes, asked, architecture))
            busy, asked = busy + takes, asked + 1
        now, _, architecture = heapq.heappop(running)
        strategy.tell(architecture, evaluate(architecture))
        spent += time.process_time() - began
    return busy / (workers * now), spent / evaluations * 1000


def searches(name: str, table: dict, seeds: range, evaluations: int, workers: int):
    """-> (strategy, utilisation, ms), one a seed."""
    for seed in seeds:
        strategy = STRATEGIES[name](Macro(), seed=seed, budget=evaluations)

        def accuracy(architecture: Genes) -> tuple[float]:
            return (table[Macro().to_json(architecture)]["test_acc"][0],)

        rng = np.random.default_rng(seed)
        yield strategy, *simulate(strategy, accuracy, evaluations, workers, rng)


def print_accuracy(table: dict, seeds: range, evaluations: int) -> None:
    optimum = max(entry["test_acc"][0] for entry in table.values())
    print(f"optimum {optimum:.2f}; {len(seeds)} seeds, {evaluations} evaluations")
    print(f"{'strategy':12}{'1 worker':>16}{'10 workers':>16}{'utilisation':>13}ms")
    for name in STRATEGIES:
        cells = []
        for workers in (1, 10):
            found = list(searches(name, table, seeds, evaluations, workers))
            best = [strategy.best.values[0] for strategy, *_ in found]
            error = statistics.stdev(best) / len(best) ** 0.5
            cells.append(f"{statistics.mean(best):.3f} ± {error:.3f}")
        used = statistics.mean(used for _, used, _ in found)
        ms = statistics.mean(ms for *_, ms in found)
        mark = "*" if name == DEFAULT else ""
        print(f"{name + mark:12}{cells[0]:>16}{cells[1]:>16}{used:>12.3f} {ms:.2f}")


def hypervolume(points: list[tuple[float, float]], worst: tuple[float, float]) -> float:
    """The area between two objectives, higher is better, and the worst of both."""
    area, height = 0.0, worst[1]
    for first, second in sorted(points, reverse=True):
        area += max(0.0, first - worst[0]) * max(0.0, second - height)
        height = max(height, second)
    return area


def print_fronts(table: dict, seeds: range, evaluations: int) -> None:
    def both(architecture: Genes) -> tuple[float, float]:
        entry = table[Macro().to_json(architecture)]
        return entry["test_acc"][0], -entry["flops"] / 1e6

    everything = [both(Macro().from_json(name)) for name in table]
    worst = tuple(map(min, zip(*everything)))
    whole = hypervolume(everything, worst)
    print("\naccuracy and multiply-adds, 10 workers: hypervolume of the whole front's")
    for name in [n for n in STRATEGIES if STRATEGIES[n].several]:
        shares = []
        for seed in seeds:
            strategy = STRATEGIES[name](
                Macro(), seed=seed, budget=evaluations, objectives=2
            )
            simulate(strategy, both, evaluations, 10, np.random.default_rng(seed))
            points = [answer.values for answer in front(strategy.answers)]
            shares.append(hypervolume(points, worst) / whole)
        print(f"{name:12}{statistics.mean(shares):>16.4f}")


def print_rows(evaluations: int) -> None:
    print("\nms a candidate, Once-For-All, from JSON and back at every step")
    space = SPACES["ofa-1.2"]
    for name in STRATEGIES:
        log, steps = "[]", []
        for number in range(evaluations):
            strategy = STRATEGIES[name](
                space, seed=0, budget=evaluations, start=space.start
            )
            began = time.process_time()
            strategy.take_up(json.loads(log))
            if number >= 10:
                strategy.tell(strategy.waiting[0], (float(number % 17),))
            strategy.ask()
            log = json.dumps(strategy.log)
            steps.append((time.process_time() - began) * 1000)
        print(f"{name:12}{statistics.mean(steps):>10.2f} at most {max(steps):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--evaluations", type=int, default=100)
    options = parser.parse_args()
    if TABLE.exists():
        table, seeds = json.loads(TABLE.read_text()), range(options.seeds)
        print_accuracy(table, seeds, options.evaluations)
        print_fronts(table, seeds, options.evaluations)
    else:
        print(f"NAS-Bench-Macro is not at {TABLE}: its figures are skipped.")
    print_rows(options.evaluations)


if __name__ == "__main__":
    main()
