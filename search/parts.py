"""The three sides of a data set: training, validation, test. No torch.

Membership is a salted hash of the patient: whoever is in the test stays there for
ever, however the data grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.lexicon import OTHERS
from search.example import Example, split, without_contradictions

TEST_SHARE, VALIDATION_SHARE = 0.25, 0.2  # the latter of what is not test
SALT = "osteon-6"  # never change it: patients of today's test would be trained on
OTHER_PARTS = frozenset({"leg", *OTHERS})  # to learn bones from, not to be read


@dataclass(frozen=True)
class Parts:
    """The three sides of a data set; every body part only in training."""

    training: list[Example]
    validation: list[Example]
    test: list[Example]

    @classmethod
    def of(cls, found: Sequence[Example]) -> "Parts":
        usable = without_contradictions(found)
        rest, test = split(usable, TEST_SHARE, f"{SALT}/test")
        training, validation = split(rest, VALIDATION_SHARE, f"{SALT}/validation")
        return cls(training, ours(validation), ours(test))


def refuse_lacking(
    parts: Parts, *, some: Sequence[str] = (), both: Sequence[str] = ()
) -> None:
    """ValueError, in words, where nobody is on one of the sides `some`, or one of
    `both` does not know both kinds: of radiographs, and, as it is judged by study, of
    studies where it does not train."""
    for side in (*both, *some):
        examples = getattr(parts, side)
        lacking = "" if examples else "no radiograph"
        if examples and side in both:
            lacking = _lacking(examples, by_study=side != "training")
        if lacking:
            raise ValueError(
                f"The {side} part has {lacking}: patients are put on their sides by "
                "chance, and more of them are needed."
            )


def _lacking(found: Sequence[Example], *, by_study: bool) -> str:
    studies: dict[str, int] = {}
    for e in found:
        studies[e.study] = max(e.label, studies.get(e.study, 0))
    kinds = {"radiograph": {e.label for e in found}}
    kinds |= {"study": set(studies.values())} if by_study else {}
    for what, labels in kinds.items():
        if len(labels) < 2:
            return f"no {'sound' if 1 in labels else 'fractured'} {what}"
    return ""


def is_held_out(patient: str) -> bool:
    """Whether this patient judges and never trains."""
    alone = [Example(Path(), 0, "", patient)]
    return bool(split(alone, TEST_SHARE, f"{SALT}/test")[1])


def refuse_unmarked(parts: Parts) -> None:
    """Patches, and AUFROC, need marked fractures on each side. ValueError, in words."""
    for side, found in vars(parts).items():
        if not any(e.label and e.boxes for e in ours(found)):
            raise ValueError(
                f"Nobody has marked a fracture by a box in the {side} part: patches "
                "and AUFROC need boxes. AUROC of whole views needs none."
            )


def ours(found: Sequence[Example]) -> list[Example]:
    return [example for example in found if example.part not in OTHER_PARTS]
