"""Nobody is judged by whom a network has met, nor where that cannot be told."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from inference import artifact
from search import dataset, provenance
from search.example import Example

NAMED = 3  # patients that a sentence names


def refuse_met(models: Iterable[Path], judged: Sequence[Example], images: Path) -> None:
    """`refuse_known` for the artifacts `models`, whom their cards name: those of
    training and validation, and all before (see `provenance.ancestry`)."""
    for folder in models:
        refuse_known(folder.name, artifact.load_card(folder), judged, images)


def refuse_known(
    name: str, card: Mapping[str, object], judged: Sequence[Example], images: Path
) -> None:
    """ValueError, in words, if weights with this card have met patients of `judged`,
    who are of the folder `images`, or if it names patients by another salt."""
    marks = set(dataset.salts(images))
    if marks and set(provenance.marks([card])) - marks:
        raise ValueError(
            f"{name} names patients by another pseudonym_salt than {images.name}: "
            "whether it has met those of the test part cannot be told. Build that "
            "data set with the same salt."
        )
    patients = {example.patient for example in judged}
    known = sorted(patients.intersection(provenance.ancestry([card])["patients"]))
    if known:
        named = ", ".join(known[:NAMED]) + (", …" if known[NAMED:] else "")
        raise ValueError(
            f"{name} has met {len(known)} of the {len(patients)} patients of the test "
            f"part of {images.name} ({named}): figures measured there would say "
            "nothing. Take a data set that keeps them out of the test part; if they "
            "are other people, give them other names."
        )
