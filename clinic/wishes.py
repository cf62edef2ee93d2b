"""What may be asked of a search; the rest is refused by the name of its field."""

from collections.abc import Mapping
from math import isfinite

from django.core.exceptions import ValidationError

from clinic.terms import refuse_endless
from search.hardware import Table, UnfitTable
from search.spaces import SIDE, SPACES
from search.strategies import STRATEGIES

LIMITS = {  # from, to
    "budget": (1, 10_000),
    "workers": (1, 1_000),
    "finals": (0, 10),
    "objectives": (1, 5),
    "seed": (0, 2**31 - 1),
}


def refuse_nonsense(space: str, strategy: str, counted: Mapping[str, int]) -> None:
    """ValidationError, by the name of the field, in a sentence."""
    refuse_endless(counted["budget"], counted["hours"])
    refused = {}
    for field, name, known in (
        ("space", space, SPACES),
        ("strategy", strategy, STRATEGIES),
    ):
        if name not in known:
            refused[field] = f"{field}: one of {', '.join(sorted(known))}."
    for name, value in counted.items():
        low, high = LIMITS.get(name, (value, value))  # hours: refused before
        if value is not None and not low <= value <= high:
            refused[name] = f"{name}: from {low} to {high}."
    several = strategy in STRATEGIES and STRATEGIES[strategy].several
    if counted["objectives"] > 1 and not several:
        refused["objectives"] = f"{strategy} follows one objective only."
    if refused:
        raise ValidationError(refused)


def refuse_unknown(
    space: str,
    size: tuple[int, int],
    most: Mapping[str, float],
    latency: Mapping[str, object] | None,
) -> None:
    """ValidationError, in a sentence. A table of other images or networks would
    predict, and be wrong, without a word; a limit that is no number limits nothing."""
    low, high = SIDE
    if not all(low <= side <= high for side in size):
        raise ValidationError({"size": f"size: from {low} to {high} a side."})
    known = {"parameters", "madds"} | ({"latency"} if latency is not None else set())
    if unknown := most.keys() - known:
        words = f"No limit is known by the name {', '.join(sorted(unknown))}."
        raise ValidationError({"most": words})
    if endless := [name for name, value in most.items() if not isfinite(value)]:
        words = f"The limit of {', '.join(sorted(endless))} is no finite number."
        raise ValidationError({"most": words})
    if latency is None:
        return
    try:
        table = Table.from_json(latency)
    except UnfitTable as error:
        raise ValidationError({"latency": str(error)}) from error
    if (table.space, table.height, table.width) != (space, *size):
        words = (
            f"The table is of {table.space} at {table.height}×{table.width}, the "
            f"search of {space} at {size[0]}×{size[1]}. Remedy: "
            f"manage.py latency measure --space {space} --size {size[0]} {size[1]}"
        )
        raise ValidationError({"latency": words})
