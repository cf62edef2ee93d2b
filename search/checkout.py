"""Which code made a model, and on what kind of machine."""

import os
import platform
import subprocess
from pathlib import Path

import torch

ALTERED = "-altered"  # after the commit of a tree that differs from it
LONGEST = 40  # what the database keeps of a commit
ASKED = ("describe", "--always", "--exclude=*", f"--abbrev={LONGEST}")


def commit(folder: Path = Path(__file__).parent) -> str:
    """What OSTEON_COMMIT says, for an image has no checkout; else the commit of the
    one `folder` lies in. Empty where nobody knows."""
    told = os.environ.get("OSTEON_COMMIT", "").strip() or _described(folder)
    known = told.removesuffix(ALTERED)
    if known == told:
        return told[:LONGEST]
    return known[: LONGEST - len(ALTERED)] + ALTERED


def machine() -> str:
    """What trained: processor, cores, torch. No name: cards are shared."""
    kind = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
    return f"{kind}, {os.cpu_count()} cores, torch {torch.__version__}"


def _described(folder: Path) -> str:
    try:
        found = subprocess.run(
            ["git", *ASKED, f"--dirty={ALTERED}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git
        return ""
    return found.stdout.strip()
