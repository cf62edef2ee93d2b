"""What the embedded PACS holds, in one SQLite file that many processes read.

A row is written after its file is safe on disk, and the change is part of the
same transaction: the feed never names what cannot be opened.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clinic.pacs import Change, Changes, GoneFromPacs, PacsUnavailable, RemoteInstance
from clinic.pacs.header import Header

# AUTOINCREMENT: a sequence number is never given twice.
VERSION = 1
SCHEMA = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS instance (
    id TEXT PRIMARY KEY,
    series TEXT NOT NULL,
    study TEXT NOT NULL,
    patient TEXT NOT NULL,
    digest TEXT NOT NULL,
    tags TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS instance_series ON instance (series);
CREATE INDEX IF NOT EXISTS instance_study ON instance (study);
CREATE INDEX IF NOT EXISTS instance_patient ON instance (patient);
CREATE TABLE IF NOT EXISTS change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    level TEXT NOT NULL,
    resource TEXT NOT NULL
);
PRAGMA user_version = {VERSION};
"""
PARENTS = ("series", "study", "patient")  # in the order Orthanc tells of them


class Index:
    """One SQLite file. Raises PacsUnavailable when it cannot be used."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.path, self.timeout = path, timeout

    def add(self, header: Header, digest: str) -> None:
        """Note that the file `digest` now is the instance. Twice is as once."""
        ids = (header.series_id, header.study_id, header.patient_id)
        with self._connected() as db, _transaction(db, "IMMEDIATE"):
            known = db.execute("SELECT digest FROM instance WHERE id = ?", (header.id,))
            if known.fetchone() == (digest,):
                return
            changes = [("NewInstance", "Instance", header.id)]
            for level, id in zip(PARENTS, ids):
                if not _any(db, level, id):
                    name = level.capitalize()
                    changes.append((f"New{name}", name, id))
            db.execute(
                "INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?, ?, ?)",
                (header.id, *ids, digest, json.dumps(header.tags)),
            )
            db.executemany(
                "INSERT INTO change (kind, level, resource) VALUES (?, ?, ?)", changes
            )

    def changes(self, since: int, limit: int) -> Changes:
        with self._connected() as db, _transaction(db, "DEFERRED"):
            rows = db.execute(
                "SELECT sequence, kind, level, resource FROM change "
                "WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (since, limit + 1),
            ).fetchall()
            newest = db.execute("SELECT max(sequence) FROM change").fetchone()[0] or 0
        found = tuple(Change(*row) for row in rows[:limit])
        last = found[-1].sequence if found else newest
        return Changes(found, last, done=len(rows) <= limit)

    def of_study(self, id: str) -> list[RemoteInstance]:
        """Sorted by id. Raises GoneFromPacs."""
        return self._found("WHERE study = ? ORDER BY id", id)

    def instance(self, id: str) -> RemoteInstance:
        """Raises GoneFromPacs."""
        return self._found("WHERE id = ?", id)[0]

    def count(self) -> int:
        with self._connected() as db:
            return db.execute("SELECT count(*) FROM instance").fetchone()[0]

    def _found(self, where: str, id: str) -> list[RemoteInstance]:
        with self._connected() as db:
            columns = "SELECT id, series, study, digest, tags FROM instance "
            rows = db.execute(columns + where, (id,)).fetchall()
        if not rows:
            raise GoneFromPacs(f"The embedded PACS has no {id}.")
        return [RemoteInstance(*row[:4], tags=json.loads(row[4])) for row in rows]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own each time: threads and forks never share one."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(
                sqlite3.connect(self.path, self.timeout, isolation_level=None)
            ) as db:
                if db.execute("PRAGMA user_version").fetchone() != (VERSION,):
                    db.executescript(SCHEMA)
                yield db
        except (sqlite3.Error, OSError) as error:
            raise PacsUnavailable(
                f"The index of the embedded PACS cannot be used: {error}."
            ) from error


@contextmanager
def _transaction(db: sqlite3.Connection, kind: str) -> Iterator[None]:
    """What is read in here belongs together; what is written, too."""
    db.execute(f"BEGIN {kind}")
    with db:
        yield


def _any(db: sqlite3.Connection, level: str, id: str) -> bool:
    query = f"SELECT 1 FROM instance WHERE {level} = ? LIMIT 1"  # noqa: S608 - PARENTS
    return db.execute(query, (id,)).fetchone() is not None
