"""Does a candidate do as well as the model in service among the women, the old, …?

A subgroup's share of fractures found, and of sound studies let pass, is compared as it
is. Of few studies a share is coarse: those are counted. Where even that cannot refuse,
it is said: what nobody looked at must not look as if it had passed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from search import holdout
from search.holdout import Measured
from search.judgement import ROUNDING, Margins, Row

CLASS_SIZE = 10  # studies of a label below which a single one is more than the margin
LOST = 3  # of so few: one or two fewer right happen by chance to a model as good
KINDS = ((1, "sensitivity", "with"), (0, "specificity", "without"))


def compared(
    candidate: Measured, incumbent: Measured, margins: Margins
) -> Iterator[Row]:
    """Two rows of every subgroup that is large enough, whichever of both tells of it;
    both tell the same studies."""
    pairs = zip(candidate.cases, incumbent.cases, strict=True)
    told = [replace(a, subgroups=a.subgroups | b.subgroups) for a, b in pairs]
    for group, indices in holdout.groups(told).items():
        if len(indices) < margins.subgroup_size:
            continue
        for label, what, kind in KINDS:
            of = [i for i in indices if candidate.cases[i].label == label]
            small = f", {len(of)} {kind} a fracture" if len(of) < CLASS_SIZE else ""
            named = f"{what}, {group} ({len(indices)} studies{small})"
            shares = [_right(model, of) for model in (incumbent, candidate)]
            yield _judged(Row(named, *shares), len(of), margins.subgroup)


def _judged(row: Row, count: int, allowed: float) -> Row:
    """row: both shares, of `count` studies."""
    if not count:
        words = f"{_where(row)} says nothing: there is no such study."
        return replace(row, note=words)
    worse = row.candidate < row.incumbent - allowed - ROUNDING
    told = f"{row.candidate:.3f} against {row.incumbent:.3f} in service"
    if count < CLASS_SIZE:
        return _counted(row, count, worse, told)
    words = f"{_where(row)} is {told}: at most {allowed:.2f} less is allowed."
    return replace(row, blocker=words) if worse else row


def _counted(row: Row, count: int, worse: bool, told: str) -> Row:
    fewer = round((row.incumbent - row.candidate) * count)
    lost, rule = f"{fewer} fewer are right", f"of fewer than {CLASS_SIZE}"
    if worse and fewer >= LOST:
        words = f"is {told}: {lost}, and {rule} at most {LOST - 1} are allowed."
        return replace(row, blocker=f"{_where(row)} {words}")
    if not worse and count >= LOST:
        return row
    loss = f"it is {told}, {lost}, and " if worse else ""
    words = f"says little: {loss}{rule} it takes {LOST} to refuse."
    return replace(row, note=f"{_where(row)} {words}")


def _where(row: Row) -> str:
    what, group = row.what.split(", ", 1)
    return f"In {group} {what}"


def _right(model: Measured, of: Sequence[int]) -> float | None:
    """How many of these cases are on the right side of its threshold, [0, 1]."""
    cases = [model.cases[i] for i in of]
    right = [(case.probability >= model.threshold) == case.label for case in cases]
    return sum(right) / len(right) if right else None
