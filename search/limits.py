"""What a model was never shown, or is not known to do: sentences, from its card.

A card comes from a file and may hold anything. No torch: the web tells it too.
"""

from collections.abc import Iterator, Mapping

ASKED = ("age", "sex", "side", "maker", "cast", "metal")


def sentences(card: Mapping[str, object]) -> list[str]:
    """The limits that follow from the data named in `card`."""
    return [*_origin(card), *_parts(card), *_people(card)]


def _origin(card: Mapping[str, object]) -> Iterator[str]:
    name = _at(card, "calibrated_on", "name") or _at(card, "data", "name")
    patients = _at(card, "parts", "test", "patients")
    if isinstance(name, str) and isinstance(patients, list):
        yield (
            f"Judged on {len(patients)} patients or groups of patients of {name} "
            "alone: how it does on other machines and for other people is not known."
        )


def _parts(card: Mapping[str, object]) -> Iterator[str]:
    judged = _at(card, "parts", "test", "parts")
    if not isinstance(judged, Mapping) or not judged:
        return
    if named := sorted(str(part) for part in judged if part):
        yield f"Judged on no other body part than: {', '.join(named)}."
    if "" in judged:
        yield "Of some images it was judged on the body part is not known."


def _people(card: Mapping[str, object]) -> Iterator[str]:
    """Without attributes nothing is known of anybody."""
    for side, words in (("training", "it learnt from"), ("test", "it was judged on")):
        if not isinstance(_at(card, "parts", side), Mapping):
            continue
        known = [
            _at(card, "parts", side, "attributes", name, "known") for name in ASKED
        ]
        unknown = [name for name, count in zip(ASKED, known) if not count]
        if unknown:
            yield (
                f"Not known of anybody {words}: {', '.join(unknown)}; whether it "
                "serves all alike there cannot be said."
            )


def _at(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
