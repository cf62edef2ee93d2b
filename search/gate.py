"""May a model take over? Two models on one holdout, and what speaks against it.

What is judged is the study. The candidate has to be shown not to be worse: each
difference is drawn again and again, over patients and for both models together, and
its 90 % interval must not reach further down than the margin. What was not measured
speaks against it too. The cards hold what is judged (`search.holdout` describes the
format). Numpy only, no torch: the web process judges.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from search import draws, holdout, overlays, silence, subgroups
from search.holdout import MEASURES, METHODS, Measured
from search.judgement import (
    PEOPLE,
    ROUNDING,
    Judgement,
    Margins,
    Row,
    interval,
    listed,
    unmeasured,
)

# Studies with, and without, a fracture that a holdout must have: of fewer, a single
# one weighs more than the margin of sensitivity, and a draw tells nothing of others.
FEWEST = 20
NAMED = 3  # patients that a sentence names
MARGINS = Margins()


@dataclass(frozen=True)
class Gate:
    """candidate and incumbent tell the same studies in the same order."""

    candidate: Measured
    incumbent: Measured
    margins: Margins

    def rows(self) -> Iterator[Row]:
        counts = holdout.weights(self.candidate.cases)
        yield from self._differences(counts)
        yield self._solid(counts)
        yield silence.compared(self.candidate, self.incumbent, self.margins.left)
        yield from subgroups.compared(self.candidate, self.incumbent, self.margins)
        yield self._calibration()
        yield from self._pointing()
        yield self._speed()

    def _differences(self, counts: np.ndarray) -> Iterator[Row]:
        """AUROC and the operating point, by a paired bootstrap over patients."""
        after = holdout.measures(self.candidate, counts)
        before = holdout.measures(self.incumbent, counts)
        for what, new, old in zip(MEASURES, after, before):
            yield _drawn(what, new, old, getattr(self.margins, what.lower()))

    def _solid(self, counts: np.ndarray) -> Row:
        """Specificity at the second operating point, where marks are solid."""
        both = (self.candidate, self.incumbent)
        sides = (holdout.specificity(m, m.confident, counts) for m in both)
        return _drawn("specificity of solid marks", *sides, self.margins.confident)

    def _calibration(self) -> Row:
        was = holdout.calibration_error(self.incumbent.cases)
        now = holdout.calibration_error(self.candidate.cases)
        words = (
            f"Expected calibration error {now:.3f} against {was:.3f} in service: "
            f"at most {self.margins.calibration:.2f} more is allowed."
        )
        passes = now <= was + self.margins.calibration + ROUNDING
        return Row("calibration error", was, now, blocker="" if passes else words)

    def _pointing(self) -> Iterator[Row]:
        both, allowed = (self.candidate, self.incumbent), self.margins.pointing
        for method in METHODS:
            yield overlays.compared(*both, method, allowed)

    def _speed(self) -> Row:
        was, now = self.incumbent.milliseconds, self.candidate.milliseconds
        both = (self.candidate.name, now), (self.incumbent.name, was)
        words = unmeasured("The time a view takes", *both)
        if not words and now > was * self.margins.slower + ROUNDING:
            words = (
                f"A view takes {now:.3g} ms against {was:.3g} ms in service: "
                f"at most {self.margins.slower:.1f} times as long is allowed."
            )
        return Row("milliseconds a view", was, now, blocker=words)


def judge(
    candidate: Measured, incumbent: Measured, margins: Margins = MARGINS
) -> Judgement:
    """Every figure of both, and the sentences that refuse `candidate`."""
    if troubles := _troubles(candidate, incumbent):
        return Judgement((), tuple(troubles))
    rows = tuple(Gate(candidate, _paired(incumbent, candidate), margins).rows())
    refused = [row.blocker for row in rows if row.blocker]
    first = (*_leaks(candidate), *_too_few(candidate))
    notes = dict.fromkeys(row.note for row in rows if row.note)
    return Judgement(rows, (*first, *refused), tuple(notes))


def _troubles(candidate: Measured, incumbent: Measured) -> list[str]:
    """Why the two cannot be held against each other at all."""
    both = (candidate, incumbent)
    if found := [model.trouble for model in both if model.trouble]:
        return found
    known = [{(c.id, c.patient, c.label) for c in model.cases} for model in both]
    of = [{(i.id, i.study) for i in model.images} for model in both]
    if candidate.digest == incumbent.digest and (known[0], of[0]) == (known[1], of[1]):
        return []
    told = [
        f"{len(model.cases)} studies (digest {model.digest[:12] or 'none'})"
        for model in both
    ]
    return [
        f"The holdouts differ: {candidate.name} was judged on {told[0]}, "
        f"{incumbent.name} in service on {told[1]}; {len(known[0] & known[1])} studies "
        "are the same in both. What to do: have both measured on the held-out studies "
        f"that radiologists have judged, on the page of {candidate.name}."
    ]


def _leaks(candidate: Measured) -> Iterator[str]:
    if candidate.learnt_from is None:
        yield (
            f"The card of {candidate.name} does not name the patients it learnt from: "
            "whether the holdout was among them cannot be checked."
        )
        return
    if candidate.unnamed:
        named = listed(candidate.unnamed)
        yield (
            f"{candidate.name} comes of {named}, of which no card names the patients "
            "learnt from: whether the holdout was among them cannot be checked."
        )
    known = {case.patient for case in candidate.cases} & candidate.learnt_from
    if known:
        named = ", ".join(sorted(known)[:NAMED]) + (", …" if len(known) > NAMED else "")
        count = "1 patient" if len(known) == 1 else f"{len(known)} patients"
        yield (
            f"{candidate.name} has learnt from {count} of the holdout ({named}): "
            "its figures say nothing."
        )


def _too_few(candidate: Measured) -> Iterator[str]:
    """Of a handful of studies every difference drawn is the same one."""
    counts = []
    for label in (1, 0):
        found = [case for case in candidate.cases if case.label == label]
        counts.append((len(found), len({case.patient for case in found})))
    if min(studies for studies, _ in counts) < FEWEST or (
        min(people for _, people in counts) < PEOPLE
    ):
        told = [f"{studies} studies of {people} patients" for studies, people in counts]
        yield (
            f"The held-out studies are too few to judge by: {told[0]} with and "
            f"{told[1]} without a fracture. At least {FEWEST} of each, of {PEOPLE} "
            "patients, are needed."
        )


def _paired(incumbent: Measured, candidate: Measured) -> Measured:
    by_id = {case.id: case for case in incumbent.cases}
    return replace(incumbent, cases=tuple(by_id[c.id] for c in candidate.cases))


def _drawn(what: str, new: np.ndarray, old: np.ndarray, allowed: float) -> Row:
    """new, old: as `holdout.measures` gives them."""
    found = draws.spread(new - old)
    row = Row(what, float(old[0]), float(new[0]), found.low, found.high)
    passes = found.low >= -allowed - ROUNDING
    return row if passes else replace(row, blocker=_may_be_worse(row, allowed))


def _may_be_worse(row: Row, allowed: float) -> str:
    return (
        f"{row.what[0].upper()}{row.what[1:]} {row.candidate:.3f} against "
        f"{row.incumbent:.3f} in service: {interval(row, allowed)}"
    )
