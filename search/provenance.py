"""Where what a network knows comes from: of which data, labels and weights.

What was kept of one origin must never be taken for that of another: its name holds
the digest of everything it was learnt from.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from inference.artifact import file_digest
from search.example import Example
from search.parts import Parts
from search.told import named_by, numbered


def of_parts(parts: Parts) -> str:
    """A digest of every picture and of all that is said of it: label, boxes, weight,
    patient, study, side."""
    return _digest({side: of_examples(found) for side, found in vars(parts).items()})


def of_examples(found: Sequence[Example]) -> str:
    """The same of one side, without the traits, of which nothing is learnt. OSError
    where a picture is missing."""
    return _digest([_told(example) for example in found])


def _told(example: Example) -> dict[str, object]:
    said = {k: v for k, v in vars(example).items() if k not in ("traits", "known_as")}
    return said | {"image": [example.name, file_digest(example.image)]}


def key(*origins: object) -> str:
    """A short name for what came of all these, which JSON must know how to tell."""
    return _digest(origins)[:16]


def ancestry(cards: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Whom weights have met that come of artifacts with these cards, or were taught or
    calibrated by them: the patients, and which of the models do not name theirs.
    numbered: those patients whose names are as short as those of FracAtlas' blocks; not
    told where there are none."""
    patients, unnamed, short = set(), set(), set()
    for card in cards:
        short |= numbered(card)
        for side in ("training", "validation"):
            named = _at(card, "parts", side, "patients")
            if isinstance(named, list):
                patients |= set(map(str, named))
            else:
                unnamed.add(str(card.get("name") or "?"))
        for known, of in ((patients, "patients"), (unnamed, "unnamed")):
            inherited = _at(card, "learnt_before", of)
            known |= set(map(str, inherited if isinstance(inherited, list) else ()))
    met = {"patients": sorted(patients), "unnamed": sorted(unnamed)}
    return met | ({"numbered": sorted(short)} if short else {})


def marks(cards: Iterable[Mapping[str, object]]) -> list[str]:
    """Of the salts by which these cards name patients: in another house, or with
    another salt, nobody can tell who they are."""
    return sorted(frozenset().union(*map(named_by, cards)))


def behind_supernet(source: Mapping[str, object]) -> dict[str, object]:
    """What a card says of what begins with a supernet of this source. `published`: the
    SHA-256 of the authors' file, which has met nobody of ours; else `learnt_before`
    and `salts`; {} of one of phantoms."""
    if not source.get("images"):
        return {"published": source["sha256"]} if source.get("sha256") else {}
    sides = (source.get("patients"), [])
    named = {s: {"patients": p} for s, p in zip(("training", "validation"), sides)}
    card = {"name": "its supernet", "parts": named, "data": source.get("data")}
    met = ancestry([card])
    return {"learnt_before": met, "salts": marks([source])}


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
