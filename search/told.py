"""What a card tells, which may be of any shape: what is not told is never guessed."""

import re
import sys
from collections.abc import Iterable, Mapping

BLOCK = re.compile("[0-9]{1,2}")  # how FracAtlas' blocks are called, and some patients
LARGEST = sys.float_info.max


def figure(value: object) -> float | None:
    """`value` if it is a number that can be drawn and reckoned with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None


def learnt_from(parts: object) -> frozenset[str] | None:
    """None where the card does not name the patients of training and validation."""
    if not isinstance(parts, Mapping):
        return None
    sides = [parts.get(side) for side in ("training", "validation")]
    known = [s.get("patients") if isinstance(s, Mapping) else None for s in sides]
    if not all(isinstance(side, list) for side in known):
        return None
    return frozenset(str(p) for side in known for p in side)


def blocks(card: Mapping[str, object]) -> bool:
    """Whether it learnt from FracAtlas, whose blocks are nobody."""
    data = card.get("data")
    data = data if isinstance(data, Mapping) else {}
    return data.get("name") == "FracAtlas" and bool(data.get("source"))


def numbered(card: Mapping[str, object]) -> frozenset[str]:
    """Whom it has met under one or two digits, but the blocks of FracAtlas."""
    own = frozenset() if blocks(card) else learnt_from(card.get("parts")) or frozenset()
    return short(own) | frozenset(learnt_before(card)["numbered"])


def short(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if BLOCK.fullmatch(name))


def learnt_before(card: Mapping[str, object]) -> dict[str, list[str]]:
    """Whom its weights had met before (`search.provenance`)."""
    told = card.get("learnt_before")
    told = told if isinstance(told, Mapping) else {}
    found = {key: told.get(key) for key in ("patients", "unnamed", "numbered")}
    return {k: [*map(str, v)] if isinstance(v, list) else [] for k, v in found.items()}


def named_by(card: object) -> frozenset[str]:
    """The marks of the salts by which the patients are named whom it has met; none
    of a card that people or an older Osteon wrote."""
    told = card.get("salts") if isinstance(card, Mapping) else None
    return frozenset(map(str, told)) if isinstance(told, list) else frozenset()


def silent(abstentions: object, images: int) -> int | None:
    """Of how many `images` the reader says nothing; None where others were counted."""
    if not isinstance(abstentions, Mapping) or abstentions.get("images") != images:
        return None
    counts = [figure(n) for reason, n in abstentions.items() if reason != "images"]
    fit = all(n is not None and n >= 0 for n in counts) and sum(counts) <= images
    return int(sum(counts)) if fit else None
