"""What the trials of a search need, carried by the artifact store: what they learn
from, the supernet, and the weights of the best, which another machine makes the model
of."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from clinic import freezing, store
from clinic.models import Job, Trial
from clinic.store import DamagedObject, StoreUnavailable
from clinic.terms import Terms
from inference import artifact
from search.data import examples, members
from search.dataset import digest as digest_of
from search.supernet_header import refuse_other

WEIGHTS = "weights"  # in a trial's `measured`: the digest of its checkpoint


@dataclass(frozen=True)
class Put:
    """terms: with what the store calls its things. pack: digest of the archive of
    radiographs; "" where verdicts are still to be frozen."""

    terms: Terms
    pack: str = ""
    bytes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.bytes / 1e6:.1f} MB in the artifact store ({self.seconds:.1f} s)"


def rehearse(terms: Terms, begin: Callable[[Put], Job]) -> None:
    """ValidationError for whatever a start would refuse: it is begun, and undone, and
    nothing is put. What a file turns into between the two is not known."""
    wanted = terms.digest, terms.supernet_digest, terms.patches_digest
    try:
        if terms.images:
            members(Path(terms.images))
        for digest in filter(None, wanted):
            store.size(digest)  # does the store answer?
    except (OSError, ValueError, StoreUnavailable) as error:
        raise ValidationError(str(error)) from error
    with transaction.atomic():
        begun = begin(Put(terms))
        transaction.set_rollback(True)
    _refuse_foreign(terms.supernet, begun.parameters["space"])


def _refuse_foreign(supernet: str, space: str) -> None:
    try:
        if supernet:
            refuse_other(Path(supernet), space)
    except (OSError, ValueError) as error:
        raise ValidationError({"supernet": str(error)}) from error


def put(terms: Terms) -> Put:
    """Radiographs, supernet and whoever proposes patches, as they are on this machine.
    ValidationError."""
    started, pack = time.monotonic(), ""
    try:
        if terms.images:
            pack = put_images(Path(terms.images))
        if terms.supernet and store.put(Path(terms.supernet)) != terms.supernet_digest:
            raise ValidationError("The supernet was changed just now: try again.")
        if terms.patches:
            terms = replace(terms, patches_pack=_put_proposers(Path(terms.patches)))
        found = sum(store.size(digest) for digest in _all(terms, pack))
    except (OSError, ValueError, StoreUnavailable) as error:
        raise ValidationError(str(error)) from error
    return Put(terms, pack, found, time.monotonic() - started)


def _put_proposers(source: Path) -> str:
    """A model, or a detector's results."""
    names = artifact.FILES if source.is_dir() else [source.name]
    return store.put_folder(source if source.is_dir() else source.parent, names)


def _all(terms: Terms, pack: str) -> list[str]:
    return [d for d in (pack, terms.supernet_digest, terms.patches_pack) if d]


def put_images(folder: Path) -> str:
    """-> digest of the archive of all that `search.data` reads of `folder`"""
    return store.put_folder(folder, members(folder))


def images(job: Job) -> Path:
    """Its radiographs on this machine, if they are what the search began with.

    Raises StoreUnavailable, ValueError in words.
    """
    words = "The radiographs were changed while the search was started: start anew."
    return _unpacked(job.pack, lambda folder: _sound(folder, job), words)


def supernet(job: Job) -> Path | None:
    wanted = Terms.of(job).supernet_digest
    return store.file(wanted) if wanted else None


def proposers(job: Job) -> Path:
    """Who proposes its patches, on this machine: a model, or a detector's results.

    Raises StoreUnavailable, ValueError in words.
    """
    terms = Terms.of(job)
    name = Path(terms.patches).name
    words = f"{name} was changed while the search was started: start anew."
    folder = _unpacked(
        terms.patches_pack,
        lambda folder: artifact.any_digest(_proposer(folder)) == terms.patches_digest,
        words,
    )
    return _proposer(folder)


def _proposer(folder: Path) -> Path:
    return (
        folder if (folder / artifact.SPEC).exists() else next(folder.iterdir(), folder)
    )


def _unpacked(pack: str, sound: Callable[[Path], bool], words: str) -> Path:
    """ValueError of `words` unless it is sound, fetched again if need be."""
    for _ in range(2):
        folder = store.folder(pack)
        with suppress(OSError, KeyError, ValueError, artifact.DamagedArtifact):
            if sound(folder):
                return folder
        store.forget(pack)  # somebody changed it here
    raise ValueError(words)


def put_weights(checkpoint: Path) -> dict[str, str]:
    """-> what `measured` of the trial says of them"""
    return {WEIGHTS: store.put(checkpoint)}


def weights(trial: Trial, to: Path) -> str:
    """Bring the checkpoint of a trial to `to`, whoever trained it. -> why not, if not

    Raises StoreUnavailable.
    """
    digest = trial.measured.get(WEIGHTS)
    if not digest:
        return "they were not kept"
    try:
        kept = store.file(digest)
    except DamagedObject as error:
        return str(error)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, to)
    return ""


def needed() -> set[str]:
    """Digests of all that searches which may still go on are made of."""
    found = Job.objects.filter(kind=Job.Kind.SEARCH, cleared=None)
    going = found.filter(state__in=Job.OPEN)
    return {digest for job in going for digest in _of(job)}


def release(job: Job) -> None:
    """Remove from the store what no other search needs. Raises StoreUnavailable."""
    shared = {digest for other in _others(job) for digest in _of(other)}
    for digest in set(_of(job)) - shared:
        store.remove(digest)


def release_weights(job: Job) -> None:
    """The model was made; another search of the same terms may still need them for
    its own. Raises StoreUnavailable."""
    others = _others(job).exclude(state=Job.State.DONE)
    shared = {digest for other in others for digest in _of(other)}
    for digest in set(_weights_of(job)) - shared:
        store.remove(digest)


def _others(job: Job) -> QuerySet:
    """Searches whose files were not removed for good."""
    found = Job.objects.filter(kind=Job.Kind.SEARCH, cleared=None)
    return found.exclude(pk=job.pk)


def size(job: Job) -> int:
    """Bytes in the store; 0 where that is away."""
    if job.cleared:
        return 0
    try:
        return sum(store.size(digest) for digest in set(_of(job)))
    except StoreUnavailable:
        return 0


def _of(job: Job) -> Iterator[str]:
    if job.kind != Job.Kind.SEARCH:
        return
    evaluation = job.parameters["evaluation"]
    named = (evaluation.get(name) for name in ("supernet_digest", "patches_pack"))
    yield from filter(None, (job.pack, *named))
    yield from _weights_of(job)


def _weights_of(job: Job) -> list[str]:
    kept = job.trials.filter(measured__has_key=WEIGHTS)
    return [trial.measured[WEIGHTS] for trial in kept]


def _sound(folder: Path, job: Job) -> bool:
    terms = Terms.of(job)
    if not terms.images:
        return freezing.digest(folder) == job.data_digest
    return digest_of(folder, examples(folder)) == terms.digest
