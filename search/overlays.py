"""Do the overlays of a candidate hit the marked fractures as those in service do?

On the images that both cards tell of, the difference is drawn over patients. Older
cards tell no more than shares, which are compared as they are. Of a few images
neither says anything: then overlays are not judged, which refuses nobody.
"""

from dataclasses import replace

import numpy as np

from search import draws, holdout
from search.holdout import Case, Measured
from search.judgement import PEOPLE, ROUNDING, Row, interval, unmeasured

# Images with a marked fracture that both must hold out: of fewer, a single peak
# weighs more than the margin.
FEWEST = 20

Pairs = list[tuple[Case, Case]]


def compared(
    candidate: Measured, incumbent: Measured, method: str, allowed: float
) -> Row:
    """allowed: by how much the share of hits may be lower."""
    was, now = (model.pointing.get(method) for model in (incumbent, candidate))
    row = Row(f"overlay hit rate, {method}", was, now)
    marks = [m.marked for m in (candidate, incumbent) if m.marked is not None]
    if None in (was, now) and (not marks or max(marks) >= FEWEST):
        told = (candidate.name, now), (incumbent.name, was)
        words = unmeasured(f"The overlay hit rate of {method}", *told)
        return replace(row, blocker=words)
    both = _both(candidate, incumbent)
    common = len(both) if _tell(candidate, incumbent) else min(marks, default=FEWEST)
    if max(marks, default=0) >= FEWEST > common:
        return replace(row, blocker=_fewer(candidate, incumbent, common))
    if note := _too_few(both, marks):
        return replace(row, note=note)
    if both:
        return _drawn(row, method, both, allowed)
    return _by_shares(row, method, min(marks, default=None), allowed)


def _both(candidate: Measured, incumbent: Measured) -> Pairs:
    """Before and after, of every image of which both cards tell the hits."""
    before = {image.id: image for image in incumbent.images if image.hits is not None}
    after = [image for image in candidate.images if image.hits is not None]
    return [(before[image.id], image) for image in after if image.id in before]


def _tell(*models: Measured) -> bool:
    """Whether each tells of its images which were hit; older cards do not."""
    return all(any(i.hits is not None for i in model.images) for model in models)


def _fewer(candidate: Measured, incumbent: Measured, common: int) -> str:
    """Marks that one of the two has and the other does not tell of."""
    told = [
        f"{m.name} on {m.marked or 0} marked image(s)" for m in (candidate, incumbent)
    ]
    return (
        f"The overlays were measured on other marks: {', '.join(told)}, {common} of "
        f"them the same, where {FEWEST} are needed. What to do: have both measured, on "
        f"the page of {candidate.name}."
    )


def _too_few(both: Pairs, marks: list[int]) -> str:
    """Why overlays are not judged; empty where they are, or where nobody counted."""
    images = len(both) or min(marks, default=FEWEST)
    people = len({now.patient for _, now in both}) if both else PEOPLE
    if images >= FEWEST and people >= PEOPLE:
        return ""
    of = f", of {people} patient(s)" if both else ""
    return (
        f"Overlays are not judged: both hold out {images} image(s) with a marked "
        f"fracture{of}. At least {FEWEST}, of {PEOPLE} patients, are needed."
    )


def _drawn(row: Row, method: str, both: Pairs, allowed: float) -> Row:
    """By a paired bootstrap over patients."""
    counts = holdout.weights([now for _, now in both])
    hits = np.array([[method in case.hits for case in pair] for pair in both], float)
    before, after = (counts @ hits / counts.sum(axis=1, keepdims=True)).T
    found = draws.spread(after - before)
    row = Row(row.what, float(before[0]), float(after[0]), found.low, found.high)
    if found.low >= -allowed - ROUNDING:
        return row
    words = (
        f"The overlays of {method} hit {row.candidate:.3f} of {len(both)} marked "
        f"images against {row.incumbent:.3f} in service: {interval(row, allowed)}"
    )
    return replace(row, blocker=words)


def _by_shares(row: Row, method: str, images: int | None, allowed: float) -> Row:
    """Of older cards, which do not tell which images were hit."""
    if row.candidate >= row.incumbent - allowed - ROUNDING:
        return row
    of = "the fractures" if images is None else f"{images} marked images"
    words = (
        f"The overlays of {method} hit {row.candidate:.3f} of {of} against "
        f"{row.incumbent:.3f} in service: at most {allowed:.2f} less is allowed."
    )
    return replace(row, blocker=words)
