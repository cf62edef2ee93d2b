"""Which images are alike: the same pixels, in whatever files and under whatever names.

What is alike is of one group, so that it is not learnt from and judged by as well.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from search.transform import Made, Row


def united(rows: Sequence[Row], made: Sequence[Made]) -> list[Row]:
    """`rows`, with groups that have pixels in common as one: the first of their names,
    in whatever order the images were made."""
    pixels, met, earlier = _pixels(made), {}, {}
    for row in rows:
        group = row["group"]
        same = met.setdefault(pixels[row["image"]], group)
        one, other = sorted((_first(earlier, group), _first(earlier, same)))
        earlier[other] = one
    return [row | {"group": _first(earlier, row["group"])} for row in rows]


def shared(rows: Sequence[Mapping[str, str]], made: Sequence[Made]) -> int:
    """How many images have the pixels of one that is another patient's."""
    pixels, owners = _pixels(made), defaultdict(set)
    for row in rows:
        owners[pixels[row["image"]]].add(row["patient"])
    return sum(len(owners[pixels[row["image"]]]) > 1 for row in rows)


def _pixels(made: Sequence[Made]) -> dict[str, str]:
    """Image -> the name of its pixels."""
    return dict(pair for m in made for pair in m.pixels or ())


def _first(earlier: dict[str, str], group: str) -> str:
    """Of the groups that are one with `group`. earlier: group -> one of them with an
    earlier name, the first of them -> itself; what is walked is made shorter."""
    while (before := earlier.setdefault(group, group)) != group:
        earlier[group] = earlier[before]
        group = before
    return group
