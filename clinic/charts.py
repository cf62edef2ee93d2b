"""Charts as values: what frontend/src/chart.ts draws, and the same as a table."""

import math
from dataclasses import dataclass

Values = list[float | None]


@dataclass(frozen=True)
class Chart:
    """key: names it on its page. lines: label -> values, one for each of `x`, which
    ascend. scatter: points without lines between them."""

    key: str
    title: str
    x_label: str
    x: Values
    lines: dict[str, Values]
    scatter: bool = False

    @property
    def drawn(self) -> dict[str, object]:
        """What the script needs, as JSON."""
        shapes = {"title": self.title, "xLabel": self.x_label, "scatter": self.scatter}
        return shapes | {
            "labels": [*self.lines],
            "data": [self.x, *self.lines.values()],
        }

    @property
    def rows(self) -> list[tuple[float | None, ...]]:
        return list(zip(self.x, *self.lines.values(), strict=True))


def figure(value: object) -> float | None:
    """`value` if it is a number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None
