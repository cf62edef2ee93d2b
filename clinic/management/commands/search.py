"""`manage.py search`: start a search, look at it, stop it, go on, tell what came of it.

The workers of the queue `search` do the work; `manage.py watch` rings for them.
"""

from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic import (
    headroom,
    jobs,
    learning,
    materials,
    provisions,
    search,
    shelf,
    standings,
    terms,
)
from clinic.models import Job, ModelVersion
from search.spaces import SPACES
from search.strategies import DEFAULT, STRATEGIES

COSTS = ("parameters", "madds", "latency")
TRIALS = 30
PATCH = (64, 64)


class Command(BaseCommand):
    help = "Look for a better network in the background, or see how the search goes."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        self._add_start(verbs.add_parser("start", help="tells what it may cost first"))
        for verb, words in (
            ("status", "how far it is, and every trial"),
            ("stop", "at its workers' next breath; what was answered is kept"),
            ("resume", "a stopped or failed one goes on with what it knows"),
            ("report", "the winner against the model in service"),
        ):
            about = verbs.add_parser(verb, help=words)
            about.add_argument(
                "pk", type=int, nargs="?", metavar="SEARCH", help="else the newest"
            )
        about.add_argument("--to", type=Path, metavar="DIR", help="with its figures")

    def _add_start(self, start: CommandParser) -> None:
        start.add_argument("--space", choices=sorted(SPACES), default="ofa-1.2")
        start.add_argument("--strategy", choices=sorted(STRATEGIES), default=DEFAULT)
        start.add_argument(
            "--objective", nargs="+", choices=terms.OBJECTIVES, default=["auroc"]
        )
        for cost in COSTS:
            start.add_argument(f"--most-{cost}", type=float, metavar="N")
        start.add_argument("--latency", type=Path, help="a table: `latency measure`")
        start.add_argument("--images", type=Path, help="a data set; else the verdicts")
        start.add_argument(
            "--patches",
            metavar="MODEL|JSON|parent",
            help="who proposes patches: an artifact, a detector's results in COCO's "
            "form, the parent model; else whole views",
        )
        start.add_argument("--supernet", type=Path, help="else random weights")
        start.add_argument("--parent", default="", help="a model; else that in service")
        start.add_argument("--size", nargs=2, type=int, metavar=("H", "W"))
        start.add_argument(
            "--dry-run", action="store_true", help="only what it costs, or why not"
        )
        start.add_argument("--trials", type=int, help=f"{TRIALS}, unless --hours")
        words = "of work; no candidate is begun after"
        start.add_argument("--hours", type=float, metavar="H", help=words)
        known = {"workers": 1, "finals": 3, "seed": 0}
        known |= {"epochs": 5, "final-epochs": 20, "batch": 128}
        for name, value in known.items():
            start.add_argument(f"--{name}", type=int, default=value)

    def handle(self, *, verb: str, **options: object) -> None:
        try:
            getattr(self, verb)(**options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def start(self, *, dry_run: bool, trials: int | None, **asked) -> None:
        parent = _parent(asked["parent"])
        verdicts = {} if asked["images"] else _verdicts()
        proposers = _proposers(asked, parent)
        agreed = _agreed(asked | {"patches": proposers}, verdicts, parent)
        table = (
            materials.read_table(t.read_bytes()) if (t := asked["latency"]) else None
        )
        if "latency" in agreed.objective and table is None:
            raise ValueError("Predicted latency needs a latency table: --latency.")
        same = {
            "space": asked["space"],
            "size": tuple(asked["size"] or _size(parent, agreed)),
            "budget": TRIALS if trials is None and not asked["hours"] else trials,
            **{name: asked[name] for name in ("hours", "workers", "finals")},
        }
        cost = terms.estimate(agreed, **same)
        begin = partial(
            _begun,
            **same,
            fits=cost.fits,
            parent=parent,
            by=None,
            strategy=asked["strategy"],
            seed=asked["seed"],
            objectives=len(agreed.objective),
            most={c: v for c in COSTS if (v := asked[f"most_{c}"]) is not None},
            latency=table,
            verdicts=verdicts,
        )
        provisions.rehearse(agreed, begin)
        self.stdout.write(_told(agreed, cost, same))
        if words := headroom.warning(agreed.batch, same["size"]):
            self.stdout.write(words)
        if dry_run:
            return
        found = provisions.put(agreed)
        self.stdout.write(f"{found}.")
        started = begin(found)
        self.stdout.write(f"Search {started.pk} waits for its workers.")

    def status(self, *, pk: int | None, **_: object) -> None:
        job = _found(pk)
        self.stdout.write(f"{standings.headline(job)}\n\n{standings.trials(job)}")

    def stop(self, *, pk: int | None, **_: object) -> None:
        job = jobs.cancel(job=_found(pk), by=None)
        self.stdout.write(standings.headline(job))

    def resume(self, *, pk: int | None, **_: object) -> None:
        job = jobs.resume(job=_found(pk), by=None)
        self.stdout.write(standings.headline(job))

    def report(self, *, pk: int | None, to: Path | None, **_: object) -> None:
        if to is None:
            self.stdout.write(standings.report(_found(pk)))
            return
        from clinic import search_report  # draws, which takes a second to load

        self.stdout.write(str(search_report.write(_found(pk), to)))


def _begun(found: provisions.Put, **asked: object) -> Job:
    return search.start(evaluation=found.terms.to_json(), pack=found.pack, **asked)


def _told(agreed: terms.Terms, cost: terms.Estimate, asked: dict) -> str:
    """What it may cost, in a sentence."""
    spent = standings.span(cost.seconds / max(asked["workers"], 1))
    within = f" fit into {asked['hours']:g} h" if asked["hours"] else ""
    kind = "patches" if agreed.patches else "views"
    return (
        f"{cost.fits} candidates of {agreed.epochs} epochs{within} and "
        f"{asked['finals']} of {agreed.final_epochs}, {agreed.drawn} {kind} an epoch: "
        f"about {spent} by {asked['workers']} worker(s) ({cost.basis})."
    )


def _found(pk: int | None) -> Job:
    searches = Job.objects.filter(kind=Job.Kind.SEARCH)
    if pk is not None:
        searches = searches.filter(pk=pk)
    job = searches.order_by("pk").last()
    if job is None:
        raise ValueError(
            "There is no such search: `manage.py search start` begins one."
        )
    return job


def _agreed(
    asked: dict, verdicts: dict[str, object], parent: ModelVersion
) -> terms.Terms:
    names = ("images", "supernet", "patches", "epochs", "final_epochs", "batch")
    return terms.settle(
        **{name: asked[name] for name in names},
        objective=tuple(asked["objective"]),
        verdicts=verdicts,
        parent=parent,
    )


def _parent(wanted: str) -> ModelVersion:
    """By name or the beginning of its digest; else the model in service."""
    found = ModelVersion.objects.filter(stage=ModelVersion.Stage.ACTIVE)
    if wanted:
        every = ModelVersion.objects.order_by("pk")
        named = every.filter(name=wanted) or every.filter(digest__startswith=wanted)
        found = list(named)[-1:]
    if not found:
        raise ValueError(f"No model {wanted or 'is in service'} is registered here.")
    return found[0]


def _proposers(asked: dict, parent: ModelVersion) -> Path | None:
    if not asked["patches"]:
        return None
    own = asked["patches"] == "parent"
    return Path(settings.MODEL_ROOT, parent.folder) if own else Path(asked["patches"])


def _size(parent: ModelVersion, agreed: terms.Terms) -> tuple[int, int]:
    """Of patches, unless it is said; else of the parent's views."""
    if agreed.patches:
        return PATCH
    looks = shelf.spec(Path(settings.MODEL_ROOT, parent.folder))["recipe"]
    return looks["height"], looks["width"]


def _verdicts() -> dict[str, object]:
    chosen = learning.choose()
    if chosen.obstacle:
        raise ValidationError(chosen.obstacle)
    return chosen.to_json()
