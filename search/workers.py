"""The processes that make the studies of a data set, and what each of them does.

Apart from `search.build`, so that a fresh process loads no more than it needs.
"""

import os
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process

import cv2

from search import sources, transform
from search.sources import Study
from search.transform import Made, Rules

_RULES: Rules | None = None  # of this process; sent once, not with every study


def pool(rules: Rules, jobs: int) -> ProcessPoolExecutor:
    """Fresh processes: a fork would inherit the threads of cv2 half-way."""
    return ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (rules,))


def study_key(name: str) -> tuple[str, str]:
    """A file and the key of its study."""
    return name, sources.study_key(_RULES.source, name, _RULES.table)


def make(study: Study) -> Made:
    return transform.make(_RULES, study)


def _begin(rules: Rules) -> None:
    global _RULES
    _RULES = rules
    cv2.setNumThreads(1)
    warnings.filterwarnings("ignore", module="pydicom")  # reasons are given instead
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed build leaves no workers behind: nobody else would end them."""
    parent_process().join()
    os._exit(1)
