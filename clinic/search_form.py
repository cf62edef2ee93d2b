"""From what was asked of a search to its terms, its price and its start."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError

from clinic import learning, materials, provisions, search, terms
from clinic.models import Job
from clinic.provisions import Put
from clinic.terms import Estimate, Terms

COSTS = ("parameters", "madds", "latency")


def settled(asked: Mapping[str, object]) -> Terms:
    """ValidationError, in words, for what no search can learn from."""
    return terms.settle(
        images=materials.path("datasets", asked["images"]),
        supernet=materials.path("supernets", asked["supernet"]),
        patches=_proposers(asked),
        verdicts=_verdicts(asked),
        parent=asked["parent"],
        objective=tuple(asked["objective"]),
        **{name: asked[name] for name in ("epochs", "final_epochs", "batch")},
    )


def estimate(
    asked: Mapping[str, object], table: Mapping[str, object] | None = None
) -> Estimate:
    """What it may cost one worker, before it is started. ValidationError for whatever
    `start` would refuse."""
    agreed = settled(asked)
    cost = _estimate(agreed, asked)
    begin = partial(_begin, asked=asked, cost=cost, table=table)
    provisions.rehearse(agreed, begin)
    return cost


def start(
    *,
    asked: Mapping[str, object],
    by: AbstractBaseUser,
    table: Mapping[str, object] | None = None,
) -> Job:
    """table: an uploaded one, in place of a stored one."""
    agreed = settled(asked)
    cost = _estimate(agreed, asked)
    begin = partial(_begin, asked=asked, cost=cost, table=table, by=by)
    provisions.rehearse(agreed, begin)
    return begin(provisions.put(agreed))


def _begin(
    found: Put,
    *,
    asked: Mapping[str, object],
    cost: Estimate,
    table: Mapping[str, object] | None,
    by: AbstractBaseUser | None = None,
) -> Job:
    agreed = found.terms
    if table is None:
        table = materials.latency_table(asked["table"])
    if "latency" in agreed.objective and table is None:
        words = "table: predicted latency needs a latency table."
        raise ValidationError({"table": words})
    plain = ("parent", "space", "strategy", "budget", "hours", "workers", "finals")
    plain += ("seed",)
    limits = {cost: asked.get(f"most_{cost}") for cost in COSTS}
    return search.start(
        by=by,
        fits=cost.fits,
        objectives=len(agreed.objective),
        most={cost: value for cost, value in limits.items() if value is not None},
        latency=table,
        size=(asked["height"], asked["width"]),
        evaluation=agreed.to_json(),
        pack=found.pack,
        verdicts=_verdicts(asked),
        **{name: asked[name] for name in plain},
    )


def _estimate(agreed: Terms, asked: Mapping[str, object]) -> Estimate:
    names = ("space", "budget", "hours", "workers", "finals")
    size = asked["height"], asked["width"]
    return terms.estimate(agreed, size=size, **{name: asked[name] for name in names})


def _proposers(asked: Mapping[str, object]) -> Path | None:
    if asked["patches"] == materials.PARENT:
        return Path(settings.MODEL_ROOT, asked["parent"].folder)
    return materials.path("proposals", asked["patches"])


def _verdicts(asked: Mapping[str, object]) -> dict[str, object]:
    if asked["images"]:
        return {}
    chosen = learning.choose()
    if chosen.obstacle:
        raise ValidationError({"images": chosen.obstacle})
    return chosen.to_json()
