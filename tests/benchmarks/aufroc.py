"""What the area under the FROC curve costs.

    python tests/benchmarks/aufroc.py [--studies 10000] [--draws 1000]

On invented studies of two images and about ten proposals each, half of them with a
fracture or two, prints the seconds of processor time for the area with its interval,
and for the comparison of two models.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from search.aufroc import Judged, compare, froc  # noqa: E402


def invented(count: int, skill: float) -> list[Judged]:
    rng = np.random.default_rng(0)
    return [
        Judged(
            images=2,
            found=tuple(rng.normal(skill, 1, rng.integers(1, 3)) if place % 2 else ()),
            false=tuple(rng.normal(0, 1, rng.integers(0, 20))),
        )
        for place in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=1_000)
    options = parser.parse_args()
    better, worse = (invented(options.studies, skill) for skill in (1.5, 1.4))
    proposals = sum(len(study.found) + len(study.false) for study in better)
    print(f"{options.studies} studies, {proposals} proposals, {options.draws} draws")
    began = time.process_time()
    area = froc(better, draws=options.draws).area
    print(f"area {area.value:.3f} [{area.low:.3f}, {area.high:.3f}]", end=" ")
    print(f"in {time.process_time() - began:.2f} s")
    began = time.process_time()
    found = compare(better, worse, draws=options.draws).difference
    print(f"difference {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]", end=" ")
    print(f"in {time.process_time() - began:.2f} s")


if __name__ == "__main__":
    main()
