"""How a search stands, and what came of it: lines and tables to read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clinic import progress
from clinic.models import Job, Trial
from clinic.terms import SCORES
from search.markdown import markdown
from search.spaces import SPACES, OnceForAll

TRIALS = ("no.", "trained", "state", "{}", "parameters", "MAdds", "time", "tries")
MODELS = ("model", "AUROC by study [90 %]", "parameters", "MAdds of a view")
PATCHES = ("model", "AUFROC [90 %]", "parameters", "MAdds")
SIDES = {"candidate": "winner", "incumbent": "in service"}
A_LOOK = {"candidate": "a patch", "incumbent": "a view"}
ON_PATCHES = (
    "On the same patches of the test side, {images} images with {fractures} marked "
    "fractures: the winner as it learnt from patches, the model in service by how much "
    "it suspects inside each."
)
NO_PATCHES = "The winner was not compared on patches, for its weights are gone"


@dataclass(frozen=True)
class OnPatches:
    """words: on what, and the difference, or why there is no row. rows: of PATCHES."""

    words: str
    rows: Sequence[Sequence[str]] = ()


def headline(job: Job) -> str:
    """One line: which search, how far, how good, how long still."""
    said, done = job.parameters, job.trials.filter(state=Trial.State.DONE)
    ended = job.trials.filter(ended__isnull=False).count()
    line = f"Search {job.pk}, {said['space']}, {said['strategy']}, seed {job.seed}: "
    wanted = "" if said["budget"] is None else f" of {said['budget'] + said['finals']}"
    line += f"{progress.standing(job)}, {ended}{wanted} trials ended"
    if said["hours"] is not None:
        line += f" in {span(job.seconds)} of {said['hours']:g} h"
    if scores := [trial.values[0] for trial in done]:
        line += f", best {scored(job)} on validation {max(scores):.3f}"
    line += _left(job) if job.is_open else ""
    return line + (f". {job.reason}" if job.reason else "")


def _left(job: Job) -> str:
    rows = progress.rows(job)
    if progress.is_over(rows):
        being = "being" if job.state == Job.State.RUNNING else "to be"
        return f", the model is {being} made"
    seconds = progress.seconds_left(job, rows)
    return "" if seconds is None else f", about {span(seconds)} left"


def trials(job: Job) -> str:
    """A row a trial, in the order of asking."""
    head = [words.format(scored(job)) for words in TRIALS]
    return markdown([*head, "note"], map(_trial, job.trials.order_by("number")))


def report(job: Job) -> str:
    """The winner against the model in service when the search ended, on the same
    holdout: the form of FractNet's Table 1; of patches, on these too. ValueError where
    nothing came of it yet."""
    if not job.candidate:
        raise ValueError(f"Search {job.pk} is {job.get_state_display()}: no model yet.")
    found = {side: told for side in SIDES if (told := job.compared.get(side))}
    digests = job.candidate.digest, job.compared.get("incumbent_digest", "")
    rows = [
        (f"{SIDES[side]} `{digest[:12]}`", *_measured(told))
        for (side, told), digest in zip(found.items(), digests)
    ]
    whole = markdown(MODELS, rows)
    found = on_patches(job)
    if found is None:
        return whole
    table = markdown(PATCHES, found.rows) if found.rows else ""
    return "\n\n".join(filter(None, (whole, found.words, table)))


def on_patches(job: Job) -> OnPatches | None:
    """How its best network of patches and the model in service find the fractures of
    the test side; None where that was not asked."""
    told = job.compared.get("patches")
    if not told:
        return None
    if "gone" in told:
        return OnPatches(f"{NO_PATCHES}: {told['gone']}.")
    words = ON_PATCHES.format_map(told["candidate"])
    if difference := told.get("difference"):
        words += f" The winner less the model in service: {_interval(difference, '+')}."
    whole = job.compared
    sides = {s: whole.get(s, {}) | told[s] for s in SIDES if told.get(s)}
    return OnPatches(words, [_on_patches(*side) for side in sides.items()])


def net_config(job: Job, trial: Trial) -> str:
    """Its architecture as Once-For-All publishes them; "" for one of another space."""
    space = SPACES[job.parameters["space"]]
    if not isinstance(space, OnceForAll):
        return ""
    told = space.published(space.from_json(trial.architecture))
    return json.dumps(told, indent=1) + "\n"


def scored(job: Job) -> str:
    """What its first objective is called."""
    said = job.parameters["evaluation"]
    first, *_ = said.get("objective") or SCORES
    kind = "of patches" if said.get("patches") else "by study"
    return f"{SCORES[first]} {kind}"


def span(seconds: float) -> str:
    """95 min, 3.2 h: as exact as an estimate is."""
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _trial(trial: Trial) -> tuple[str, ...]:
    known, ended = trial.measured, trial.state == Trial.State.DONE
    stage = "at length" if trial.stage == Trial.Stage.FINAL else "briefly"
    running = trial.state == Trial.State.RUNNING
    note = f"{trial.done:.0%} on {trial.machine}" if running else trial.reason
    return (
        str(trial.number),
        stage,
        trial.state,
        f"{trial.values[0]:.3f}" if ended else "",
        _millions(known.get("parameters")),
        _millions(known.get("madds")),
        span(trial.seconds),
        str(trial.attempts),
        note,
    )


def _measured(told: Mapping[str, object]) -> tuple[str, ...]:
    score = _interval(told["by_study"]["auroc"])
    return score, _millions(told.get("parameters")), _millions(told.get("madds"))


def _on_patches(side: str, told: Mapping[str, object]) -> tuple[str, ...]:
    madds = f"{_millions(told.get('madds'))} {A_LOOK[side]}"
    area, parameters = _interval(told["area"]), _millions(told.get("parameters"))
    return SIDES[side], area, parameters, madds


def _interval(told: Mapping[str, float] | None, sign: str = "") -> str:
    if not told:
        return "not measurable"
    value, low, high = (f"{told[name]:{sign}.3f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _millions(count: float | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f} M"
