"""Whether a machine has the memory that the batches of a search take."""

import os

# 128 whole views of 256×384 took 19 GB in the largest network of ofa-1.2.
EACH_PIXEL = 19e9 / (128 * 256 * 384)  # bytes


def warning(batch: int, size: tuple[int, int]) -> str:
    """Told where one batch may be too much for this machine, with the largest that is
    not; else "". Workers on other machines may have more."""
    height, width = size
    view, there = EACH_PIXEL * height * width, memory()
    if batch * view <= there:
        return ""
    return (
        f"A batch of {batch} views of {height}×{width} takes about "
        f"{batch * view / 1e9:.0f} GB in the largest network, and this machine has "
        f"{there / 1e9:.0f}: a worker here would be killed. Remedy: views or batches "
        f"that are smaller, of {max(int(there / view), 1)} at most."
    )


def memory() -> int:
    """Of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
