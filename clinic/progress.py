"""How far a search is, from its rows alone: what its page and its API tell of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from itertools import accumulate
from statistics import median
from zlib import crc32

from clinic import registry
from clinic.charts import Chart
from clinic.models import AuditEvent, Job, ModelVersion, Trial
from search.hardware import Table
from search.spaces import SPACES
from search.strategies import Answer, front
from search.told import figure

LOGGED = 200  # lines
STAMP, STAMPED = "%Y-%m-%d %H:%M:%S", 19  # as in clinic.jobs' log; characters
MILLION = 1e6
COSTS = {
    "parameters": "parameters (million)",
    "madds": "multiply-adds (million)",
    "latency": "predicted latency (ms)",
}
TOLD = {  # of an audit event: its sentence
    "search.started": "started: {strategy} on {space}, {until}",
    "search.provided": "its verdicts are in the artifact store: {pack}",
    "search.paused": "paused",
    "search.failed": "failed: {reason}",
    "search.done": "done: model {digest}",
    "job.claimed": "{work} begun, attempt {attempt}, on {machine}",
    "job.resumed": "resumed",
    "job.cancelled": "cancelled",
    "job.failed": "failed: {reason}",
    "trial.claimed": "trial {trial} begun, attempt {attempt}, on {machine}",
    "trial.failed_once": "trial {trial} failed and is tried once more: {reason}",
    "trial.given_back": "trial {trial} given back: {reason}",
    "trial.done": "trial {trial} done: {values}",
    "trial.set_aside": "trial {trial} set aside: {reason}",
    "trial.retried": "trial {trial}, which had broken off, gets another chance",
}


@dataclass(frozen=True)
class Row:
    """A trial and what its architecture costs: those of COSTS that are known."""

    trial: Trial
    costs: Mapping[str, float]

    @property
    def score(self) -> float | None:
        return figure(self.trial.values[0]) if self.trial.values else None

    @property
    def is_final(self) -> bool:
        return self.trial.stage == Trial.Stage.FINAL


@dataclass(frozen=True)
class Incumbent:
    """What candidates compete with, by study as they are. note: which model, judged on
    what, or why there is no line of it (auroc None)."""

    note: str
    auroc: float | None = None
    label: str = ""


def rows(job: Job) -> list[Row]:
    """Every trial in the order of asking. One query."""
    said = job.parameters
    table = Table.from_json(said["latency"]) if said["latency"] else None
    return [
        Row(trial, _costs(said, trial.architecture, table))
        for trial in job.trials.order_by("number")
    ]


def state_of(charts: Sequence[Chart]) -> str:
    """Changes whenever they do."""
    return f"{crc32(repr(charts).encode()):08x}"


def charts(job: Job, rows: Sequence[Row]) -> list[Chart]:
    """FractNet's two figures, the second once for every cost that is known."""
    known = {name for row in rows for name in row.costs}
    return [_over_trials(job, rows)] + [
        _against(rows, cost) for cost in COSTS if cost in known
    ]


def incumbent(job: Job) -> Incumbent:
    """The model in service when the search ended, or now while it has not."""
    if job.parameters["evaluation"].get("patches"):
        return _of_patches(job)
    if job.candidate_id:
        digest = job.compared.get("incumbent_digest", "")
        served = ModelVersion.objects.filter(digest=digest).first()
        told = (job.compared.get("incumbent") or {}).get("by_study")
        when = "when the search ended, judged on the same test side as its winner"
    else:
        served = registry.active()
        told = served.card.get("test_by_study") if served else None
        when = "now, judged on its own test side, as its card tells"
    return _line_of(served, told, when)


def _of_patches(job: Job) -> Incumbent:
    """Only once the search has ended is the model in service judged by its patches."""
    told = (job.compared.get("patches") or {}).get("incumbent") or {}
    found, asked = told.get("area"), job.parameters["evaluation"].get("objective")
    if not found or not asked or asked[0] != "aufroc":
        words = "These scores are of patches, by which no model in service was judged"
        return Incumbent(f"{words}: there is no line of one.")
    note = "The line: AUFROC of the model in service when the search ended, by how "
    note += "much it suspects inside the patches of the test side. All else: of the "
    note += "validation side."
    return Incumbent(note, found["value"], "in service, on the test side")


def _line_of(served: ModelVersion | None, tested: object, when: str) -> Incumbent:
    """tested: a report (`search.evaluate.Report`) by study, if it is one."""
    if served is None:
        return Incumbent("No model was in service: there is no line of one.")
    name = f"{served.name} {served.brief}"
    auroc = tested.get("auroc") if isinstance(tested, Mapping) else None
    found = figure(auroc.get("value")) if isinstance(auroc, Mapping) else None
    if found is None:
        words = f"Of the model in service, {name}, no AUROC by study is known"
        return Incumbent(f"{words}: there is no line of it.")
    note = f"The line: AUROC by study of {name}, in service {when}. "
    note += "All else: of the validation studies."
    label = f"in service: {served.name}, by study on the test side"
    return Incumbent(note, found, label)


def standing(job: Job) -> str:
    """Its state, and whom it waits for."""
    if job.state != Job.State.QUEUED:
        return job.get_state_display()
    runs = running()
    return f"waiting for search {runs}" if runs else "waiting for a worker"


def running() -> int | None:
    """The search that the others wait for, by its number."""
    found = Job.objects.filter(kind=Job.Kind.SEARCH, state=Job.State.RUNNING)
    return found.values_list("pk", flat=True).first()


def is_over(rows: Sequence[Row]) -> bool:
    """Whether no trial is left: the model is to be made."""
    return not any(row.trial.is_open for row in rows)


def seconds_left(job: Job, rows: Sequence[Row]) -> float | None:
    """Until the last trial has ended, by the median of those so far, shared by all
    workers; None: unknown, or none is left.

    Where none was trained at length yet, that takes as much longer as it has epochs.
    """
    if is_over(rows):
        return None
    spent = {
        final: [r.trial.seconds for r in _scored(rows) if r.is_final is final]
        for final in (False, True)
    }
    if not spent[False]:
        return None
    said, terms = job.parameters, job.parameters["evaluation"]
    each = median(spent[False])
    longer = terms.get("final_epochs", 1) / terms.get("epochs", 1)
    each_final = median(spent[True]) if spent[True] else each * longer
    chosen = sum(row.is_final for row in rows)
    wanted = _shares_left(rows, chosen or said["finals"], final=True)
    left = each_final * wanted / said["workers"]
    # Once the best were chosen no candidate follows, whatever was asked for.
    return left if chosen else left + _candidates_left(job, rows, each)


def _candidates_left(job: Job, rows: Sequence[Row], each: float) -> float:
    """Seconds until the last of them has ended."""
    said, known = job.parameters, []
    if said["budget"] is not None:
        wanted = _shares_left(rows, said["budget"], final=False)
        known.append(each * wanted / said["workers"])
    if said["hours"] is not None:
        known.append(max(0.0, said["hours"] * 3600 - job.seconds))
    return min(known)


def log(job: Job) -> str:
    """The last lines: what befell it and its trials, and what its worker said."""
    events = AuditEvent.objects.filter(target=f"job/{job.pk}").order_by("-pk")
    lines = [_line(event) for event in reversed(events[:LOGGED])]
    lines = sorted(lines + job.log.splitlines(), key=lambda line: line[:STAMPED])
    return "\n".join(lines[-LOGGED:])


def _line(event: AuditEvent) -> str:
    said = TOLD.get(event.action, event.action)
    known = _Said({"work": "work"} | event.detail)  # an older Osteon did not say which
    return f"{event.at.astimezone(UTC):{STAMP}} {said.format_map(known)}"


class _Said(dict):
    def __missing__(self, key: str) -> str:
        return "–"


def _shares_left(rows: Iterable[Row], wanted: int, *, final: bool) -> float:
    """Trials, parts of one counted, of `wanted`."""
    found = [row.trial for row in rows if row.is_final is final]
    return wanted - sum(trial.done if trial.is_open else 1 for trial in found)


def _scored(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.score is not None]


def _over_trials(job: Job, rows: Sequence[Row]) -> Chart:
    """In the order of asking, which is not quite that of the answers."""
    scored = _scored(rows)
    seen = [row.score for row in scored if not row.is_final]
    # Those trained at length come after all candidates.
    beyond = [None] * (len(scored) - len(seen))
    lines = {
        "candidate": seen + beyond,
        "best so far": [*accumulate(seen, max), *beyond],
    }
    if any(row.is_final for row in scored):
        lines["trained at length"] = [
            row.score if row.is_final else None for row in scored
        ]
    through, served = ["best so far"], incumbent(job)
    if served.auroc is not None:
        lines[served.label] = [served.auroc] * len(scored)
        through.append(served.label)
    return Chart(
        "trials",
        "Score over trials",
        "trial",
        [row.trial.number for row in scored],
        lines,
        True,
        through=(*through,),
        note=served.note,
    )


def _against(rows: Sequence[Row], cost: str) -> Chart:
    """Candidates by cost; the front: no other scores as well and costs less."""
    unit = 1 if cost == "latency" else MILLION
    candidates = [row for row in _scored(rows) if not row.is_final]
    points = sorted(
        (row.costs[cost] / unit, row.score, row.trial.number) for row in candidates
    )
    answers = [Answer(place, (s, -c)) for place, (c, s, _) in enumerate(points)]
    first = {answer.architecture for answer in front(answers)}
    scores = [score for _, score, _ in points]
    lines = {
        "candidate": scores,
        "Pareto front": [s if n in first else None for n, s in enumerate(scores)],
    }
    return Chart(
        cost,
        f"Score against {COSTS[cost].split(' (')[0]}",
        COSTS[cost],
        [value for value, _, _ in points],
        lines,
        True,
        through=("Pareto front",),
        beside={"trial": [number for _, _, number in points]},
    )


def _costs(
    said: Mapping[str, object], architecture: object, table: Table | None
) -> dict[str, float]:
    written = json.dumps(architecture, sort_keys=True)
    parameters, madds = _counted(said["space"], written, *said["size"])
    found = {"parameters": parameters, "madds": madds}
    if table:
        space = SPACES[said["space"]]
        found["latency"] = table.predict(space.from_json(architecture))
    return found


@lru_cache(maxsize=20_000)
def _counted(space: str, written: str, height: int, width: int) -> tuple[int, int]:
    """Parameters and multiply-adds: milliseconds each, and asked every two seconds."""
    known = SPACES[space]
    architecture = known.from_json(json.loads(written))
    return known.parameters(architecture), known.madds(architecture, height, width)
