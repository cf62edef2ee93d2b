import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS = """
import resource, sys
import numpy as np
from search import memory
if sys.argv[1:]:
    assert memory.keep()
def once():
    np.ones(16_000_000, np.float32)  # 64 MB, as the maps of one batch
once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    once()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments):
    """Pages that the kernel had to hand out, in a process without MALLOC_* set."""
    ordinary = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=ordinary, check=True, capture_output=True
    )
    return int(done.stdout)


def test_large_buffers_are_taken_from_the_kernel_once():
    assert faults("keep") < faults() / 10
