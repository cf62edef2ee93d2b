"""BRIDGE to search: models, and ways of training or using them, side by side.

Each as JSON, and as a table to read. What was trained for one is kept under DATA_ROOT:
a table that was interrupted goes on.
"""

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from clinic import registry
from clinic.models import Job
from clinic.search import best
from inference.networks import Arch
from search import aggregation, contest, heirs, lineup
from search.ablation import Bench
from search.baselines import entrant
from search.findings import findings, table
from search.spaces import SPACES
from search.supernet import arch

Table = tuple[list[dict[str, object]], str]  # as JSON, and to be read


def compare(*, folders: Sequence[Path], images: Path) -> Table:
    """Artifacts on the test part of `images`: as JSON, and as a table to read."""
    work = Path(settings.DATA_ROOT, "training")
    rows = list(contest.rows(folders, images, work))
    return [row.to_json() for row in rows], contest.table(rows)


def ablation(
    *, names: Sequence[str], seeds: Sequence[int], images: Path, published: Path
) -> Table:
    """Ways of training (all if none is named): as JSON, and as a table to read.

    ValueError where a name is not one of them.
    """
    work = Path(settings.DATA_ROOT, "training")
    bench = Bench(images, published, work)
    if unknown := [name for name in names if name not in bench.rows]:
        raise ValueError(f"no row {', '.join(unknown)}: {', '.join(bench.rows)}")
    found = list(findings(bench, names or list(bench.rows), seeds))
    return [finding.to_json() for finding in found], table(found)


def lined_up(*, names: Sequence[str], seeds: Sequence[int], **asked: object) -> Table:
    """Networks (all if none is named) on the same patches: as JSON, and as a table.

    names: of search.baselines.LINE_UP, files of architectures, numbers of searches,
    beside which the model in service stands. asked: see search.lineup.Lineup.
    """
    chosen = dict(map(_entrant, names)) or lineup.LINE_UP
    work = Path(settings.DATA_ROOT, "training")
    served = _served() if any(map(str.isdigit, names)) else None
    bench = lineup.Lineup(work=work, networks=chosen, served=served, **asked)
    found = list(lineup.rows(bench, seeds))
    return lineup.to_json(bench, found), lineup.report(bench, found)


def _served() -> Path | None:
    model = registry.active()
    return model and Path(settings.MODEL_ROOT, model.folder)


def _entrant(name: str) -> tuple[str, Arch]:
    """A number is that of a search, whose best architecture it stands for."""
    if not name.isdigit():
        return Path(name.removesuffix(".json")).name, entrant(name)
    job = Job.objects.filter(kind=Job.Kind.SEARCH, pk=int(name)).first()
    found = job and best(job.trials.order_by("number"))
    if found is None:
        raise ValueError(f"Search {name} has no candidate that was trained.")
    space = SPACES[job.parameters["space"]]
    return f"search {name}", arch(space, space.from_json(found.architecture))


def aggregations(
    *, folders: Sequence[Path], images: Path, seeds: Sequence[int]
) -> Table:
    """Ways from images to a study, of each artifact: as JSON, and as a table."""
    work = Path(settings.DATA_ROOT, "training")
    return aggregation.measured(folders, images, work, seeds)


def inherited(**asked: object) -> Table:
    """What the weights of a supernet are worth: see search.heirs.Heirs."""
    work = Path(settings.DATA_ROOT, "training")
    return heirs.compared(heirs.Heirs(work=work, **asked))
