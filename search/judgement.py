"""What the promotion gate says: figures of two models, and sentences about them.

Nothing is decided here. Numpy and torch are not needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

PEOPLE = 10  # of whom what is judged must be, as it is patients that are drawn
ROUNDING = 1e-9


@dataclass(frozen=True)
class Margins:
    """How much less than the model in service is borne; `slower` is a factor."""

    auroc: float = 0.02
    sensitivity: float = 0.05
    specificity: float = 0.05
    confident: float = 0.10  # specificity of solid marks, which are few
    left: float = 0.05  # images of which nothing is said, more
    subgroup: float = 0.10
    subgroup_size: int = 30  # studies
    calibration: float = 0.03
    pointing: float = 0.1
    slower: float = 1.5


@dataclass(frozen=True)
class Row:
    """One figure of both models.

    low, high: 90 % interval of candidate minus incumbent, where it was drawn.
    blocker: the sentence that refuses the candidate; empty where it passes.
    note: the sentence that says why it is not judged by this figure.
    """

    what: str
    incumbent: float | None
    candidate: float | None
    low: float | None = None
    high: float | None = None
    blocker: str = ""
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """rows: every figure of both. blockers: the sentences; none: it may serve. notes:
    what it was not judged by, and why."""

    rows: tuple[Row, ...]
    blockers: tuple[str, ...]
    notes: tuple[str, ...] = ()


def interval(row: Row, allowed: float) -> str:
    """The end of the sentence about a difference that was drawn."""
    return (
        f"the difference of {row.candidate - row.incumbent:+.3f} "
        f"(90 % interval {row.low:+.3f} to {row.high:+.3f}) may be worse than the "
        f"{-allowed:+.2f} that is allowed."
    )


def unmeasured(what: str, *figures: tuple[str, float | None]) -> str:
    """figures: the name of each model and its own. Empty where each has one."""
    lacking = [name for name, figure in figures if figure is None]
    return f"{what} was not measured for {listed(lacking)}." if lacking else ""


def listed(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))
