"""What glibc does with the memory that every step of a training takes and returns."""

import ctypes
import sys

# From <malloc.h>: parameter, value (an int).
KEEP_TOP = (-1, 2**31 - 1)  # M_TRIM_THRESHOLD
TAKE_MORE = (-2, 2**28)  # M_TOP_PAD
NEVER_APART = (-4, 0)  # M_MMAP_MAX


def keep() -> bool:
    """Have this process keep large buffers for the next step. -> was it possible?

    Left to itself glibc hands them back to the kernel, which fills them with zeros
    page by page at every step. ./run and the Dockerfile say the same by MALLOC_*
    variables, but those count only when set before Python starts, which nobody does
    who types `manage.py train`.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    # All of them, whatever the first says.
    return all([mallopt(*found) for found in (KEEP_TOP, TAKE_MORE, NEVER_APART)])
