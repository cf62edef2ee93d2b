"""From a tree of DICOM files or pictures to a data set that training can read.

Studies are independent: they are made by as many processes as there are cores, each
in a folder of its own that appears only when it is whole. A build that was killed
goes on with the studies that are missing, and ends in the same bytes.

An image whose header says that text was burned in is left out unless asked for: its
pixels are not cleaned, and the text may be a name.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from search import (
    alike,
    dataset,
    demographics,
    demographics_page,
    sources,
    table,
    transform,
    workers,
)
from search.dataset import OPTIONS
from search.deidentify import Pseudonyms
from search.outcome import Left, counted, dropped, in_words
from search.sources import Study
from search.table import Table
from search.transform import Made, Rules

LOCK = ".lock"
OURS = {LOCK, f".{OPTIONS}.part"}  # all that a build leaves which is killed at once
AT_ONCE = 32  # headers a process looks at for one message


class BuildRefused(ValueError):
    """Why there is no data set, for a person."""


@dataclass(frozen=True)
class Built:
    """digest: of the manifest. dropped: (path below the source, code of `WHY`)."""

    digest: str
    report: dict[str, object]
    dropped: list[tuple[str, str]]


def build(
    source: Path,
    out: Path,
    *,
    salt: bytes,
    labels: Path | None = None,
    scope: str = "upper_limb",
    burned_in: bool = False,
    unnamed: bool = False,
    jobs: int | None = None,
) -> Built:
    """Make `out` of everything below `source`. BuildRefused, BadTable: in words.

    salt: what pseudonyms are made with; whoever has it can test a guess, so it is
    kept away from `out`. labels: see `search.table`. scope: of `anatomy.SCOPES`, or
    "all". unnamed: see `search.transform.Rules`. jobs: processes; as many as there
    are cores unless said.
    """
    if not source.is_dir():
        raise BuildRefused(f"{source} is not a folder.")
    if out.resolve().is_relative_to(source.resolve()):
        raise BuildRefused(f"{out} lies in the source: it would be taken for images.")
    said = table.read(labels) if labels else Table()
    rules = Rules(source, out, Pseudonyms(salt), said, scope, burned_in, unnamed)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out), _pool(rules, jobs) as pool:
        _same_options(rules, labels)
        names, left = sources.files(source)
        studies = _scanned(pool, names)
        if (out / dataset.MANIFEST).exists():
            return _frozen(rules, studies, left)
        made = _made(pool, studies)
        shutil.rmtree(out / transform.PARTIAL, ignore_errors=True)
        return _finished(rules, made, left)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One build at a time; the lock goes with the process, however it ends."""
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildRefused(f"Another build is at work in {out}.") from error
        yield


@contextmanager
def _pool(rules: Rules, jobs: int | None) -> Iterator[ProcessPoolExecutor]:
    pool = workers.pool(rules, jobs or len(os.sched_getaffinity(0)))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise BuildRefused(
            "A worker process died, for want of memory perhaps. What is whole is kept: "
            "run the same command again."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _same_options(rules: Rules, labels: Path | None) -> None:
    """BuildRefused if what stands in `out` was made in another way."""
    digest = hashlib.sha256(labels.read_bytes()).hexdigest() if labels else ""
    options = {
        "scope": rules.scope,
        "burned_in": rules.burned_in,
        "unnamed": rules.unnamed,
        "labels": digest,
        "salt": rules.names.mark,
    }
    kept = rules.out / OPTIONS
    if not kept.exists():
        strangers = [path.name for path in rules.out.iterdir() if path.name not in OURS]
        if strangers:
            raise BuildRefused(f"{rules.out} holds something else: {strangers[0]}.")
        dataset.write_text(kept, json.dumps(options, indent=1))
    before = _told(kept)
    differing = [name for name, value in options.items() if before.get(name) != value]
    if differing:
        raise BuildRefused(
            f"{rules.out} was begun with another {' and '.join(differing)}: "
            "take the same again, or another folder."
        )


def _told(kept: Path) -> dict[str, object]:
    """What an earlier build wrote into `kept`. BuildRefused if it was changed."""
    try:
        told = json.loads(kept.read_text())
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BuildRefused(f"{kept} is not what a build wrote: take another folder.")
    return told


def _scanned(pool: ProcessPoolExecutor, names: Sequence[str]) -> list[Study]:
    keys = pool.map(workers.study_key, names, chunksize=AT_ONCE)
    bar = tqdm(keys, "looking", len(names), unit="file", disable=None)
    return sources.studies(bar)


def _made(pool: ProcessPoolExecutor, studies: Sequence[Study]) -> list[Made]:
    made, unfetched = [], []
    futures = {pool.submit(workers.make, study): study for study in studies}
    bar = tqdm(
        as_completed(futures), "building", len(futures), unit="study", disable=None
    )
    for future in bar:
        try:
            made.append(future.result())
        except OSError as error:
            unfetched.append(error)
    if unfetched:
        raise BuildRefused(
            f"{len(unfetched)} studies could not be fetched or written, the first: "
            f"{unfetched[0]}. The others are kept: run the same command again."
        )
    return made


def _frozen(rules: Rules, studies: Sequence[Study], left: Sequence[Left]) -> Built:
    """A data set that is finished stays what it is."""
    manifest = dataset.verify(rules.out)
    made = [transform.standing(rules, study) for study in studies]
    if None in made or {m.study for m in made} != _folders(rules.out):
        raise BuildRefused(
            f"{rules.out} is frozen and the source has changed: build into another "
            "folder. Patients stay on their side of every split."
        )
    return Built(
        str(manifest["digest"]),
        _told(rules.out / "report.json"),
        dropped(made, left),
    )


def _folders(out: Path) -> set[str]:
    return {path.name for path in (out / dataset.STUDIES).glob("*")}


def _finished(rules: Rules, made: Sequence[Made], left: Sequence[Left]) -> Built:
    if strangers := _folders(rules.out) - {m.study for m in made}:
        raise BuildRefused(
            f"{rules.out} holds {len(strangers)} studies that the source has not: "
            "build into another folder."
        )
    rows = list(dataset.all_rows(rules.out))
    told = counted(rows, made, left, rules.table)
    if not rows:
        raise BuildRefused(f"No image was taken. {in_words(told)}".strip())
    labelled = (row for row in alike.united(rows, made) if row["label"])
    dataset.write_rows(rules.out / dataset.EXAMPLES, labelled)
    dataset.write_text(rules.out / "report.json", json.dumps(told, indent=1))
    dataset.write_text(rules.out / "report.txt", in_words(told))
    who = demographics.summary(rows)
    demographics_page.write(rules.out, who, f"Who is in {rules.out.name}")
    digest = dataset.freeze(rules.out)["digest"]
    return Built(str(digest), told, dropped(made, left))
