"""Tables for a person, in a terminal or a README."""

from collections.abc import Iterable, Sequence

from search.draws import Interval

NOT_MEASURABLE = "not measurable"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Its columns aligned."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    padded = [[c.ljust(w) for c, w in zip(line, widths)] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def figure(found: float | None, digits: int = 2) -> str:
    return NOT_MEASURABLE if found is None else f"{found:.{digits}f}"


def in_words(found: Interval | None, sign: str = "") -> str:
    """sign: "+" shows it of what is positive, too."""
    if found is None:
        return NOT_MEASURABLE
    numbers = found.value, found.low, found.high
    value, low, high = (f"{number:{sign}.3f}" for number in numbers)
    return f"{value} [{low}, {high}]"
