"""What is known of an image beside its label, in the groups that models are judged by.

The columns have the same names in every table (`search.table`, `examples.csv`).
"""

from collections.abc import Mapping

ATTRIBUTES = ("age", "sex", "side", "view", "part", "maker", "cast", "metal")
AGES = ((0, "0–1"), (2, "2–5"), (6, "6–11"), (12, "12–17"), (18, "18–39"))
AGES += ((40, "40–64"), (65, "65–89"), (90, "90 and older"))
MARKS = {"1": "yes", "0": "no"}


def of(row: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """(name, group) of all that a row of a table tells, but the part of the body, for
    which an example has a place of its own."""
    known = ((name, group(name, row.get(name))) for name in ATTRIBUTES)
    return tuple((name, told) for name, told in known if told and name != "part")


def group(name: str, value: str | None) -> str:
    """The group of an attribute's value; "" where it is not known."""
    value = (value or "").strip()
    if name == "age":
        years = age(value)
        return "" if years is None else [g for low, g in AGES if years >= low][-1]
    return MARKS.get(value, value) if name in ("cast", "metal") else value


def age(text: str) -> float | None:
    """Years, if they may be somebody's."""
    try:
        years = float(text)
    except ValueError:
        return None
    return years if 0 <= years < 130 else None
