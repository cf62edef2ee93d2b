"""Charts as values: what frontend/src/chart.ts draws, and the same as a table."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

Values = list[float | None]


@dataclass(frozen=True)
class Chart:
    """key: names it on its page. lines: label -> values, one for each of `x`, which
    ascend. scatter: points without lines between them, but for the labels in `through`,
    which are lines without points. time: x counts seconds since 1970, and is shown as
    days. beside: columns of the table that are not drawn. note: what its lines do not
    tell by themselves."""

    key: str
    title: str
    x_label: str
    x: Values
    lines: dict[str, Values]
    scatter: bool = False
    time: bool = False
    beside: dict[str, Values] = field(default_factory=dict)
    through: tuple[str, ...] = ()
    note: str = ""

    @property
    def drawn(self) -> dict[str, object]:
        """What the script needs, as JSON."""
        shapes = {"title": self.title, "xLabel": self.x_label, "scatter": self.scatter}
        return shapes | {
            "time": self.time,
            "through": self.through,
            "labels": [*self.lines],
            "data": [self.x, *self.lines.values()],
        }

    @property
    def head(self) -> tuple[str, ...]:
        return (self.x_label, *self.lines, *self.beside)

    @property
    def rows(self) -> list[tuple[float | str | None, ...]]:
        x = [_day(value) for value in self.x] if self.time else self.x
        told = (*self.lines.values(), *self.beside.values())
        return list(zip(x, *told, strict=True))


def noon(day: date) -> int:
    """`day` as an x: at noon, so that browsers some time zones away show it too."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
