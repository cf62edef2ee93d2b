"""What the embedded PACS keeps, through restarts, crashes and company."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from clinic.pacs import GoneFromPacs, PacsUnavailable
from clinic.pacs.embedded import EmbeddedPacs
from tests.clinic.pacs.radiographs import as_bytes, radiograph

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def pacs(tmp_path):
    return EmbeddedPacs(tmp_path / "pacs")


def files(pacs, pattern="*.dcm"):
    return sorted(pacs.root.rglob(pattern))


def other_pixels(count=2):
    return [as_bytes(radiograph("s", sop_uid="1.2.3", pixels=i)) for i in range(count)]


def elsewhere(pacs, code):
    """Run `code` in a process of its own, with `pacs` on the same folder."""
    head = f"""
        import django; django.setup()
        from pathlib import Path
        from clinic.pacs.embedded import EmbeddedPacs
        from tests.clinic.pacs.radiographs import as_bytes, radiograph
        pacs = EmbeddedPacs(Path({str(pacs.root)!r}))
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        cwd=ROOT,
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "clinic.settings", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_restart_changes_nothing(pacs):
    id = pacs.store(as_bytes(radiograph()))
    again = EmbeddedPacs(pacs.root)
    assert again.changes(0) == pacs.changes(0)
    assert again.instance(id) == pacs.instance(id)
    again.store(as_bytes(radiograph()))
    assert again.changes(0).last == 8


def test_the_same_file_again_is_no_change(pacs):
    file = as_bytes(radiograph())
    pacs.store(file)
    last = pacs.changes(0).last
    pacs.store(file)
    assert pacs.changes(0).last == last
    assert len(files(pacs)) == 1


def test_a_sequence_number_is_never_given_twice(pacs):
    pacs.store(as_bytes(radiograph()))
    with sqlite3.connect(pacs.index.path) as db:
        db.execute("DELETE FROM change")
    pacs.store(as_bytes(radiograph()))
    assert [one.sequence for one in pacs.changes(0).changes] == [5, 6, 7, 8]


def test_what_was_overwritten_stays_aside(pacs):
    old, new = other_pixels()
    pacs.store(old)
    pacs.store(new)
    assert {path.read_bytes() for path in files(pacs)} == {old, new}


def test_a_reader_keeps_what_it_opened(pacs):
    old, new = other_pixels()
    with pacs.open(pacs.store(old)) as stream:
        head = stream.read(200)
        pacs.store(new)
        assert head + stream.read() == old


def test_a_file_that_was_lost_is_gone_until_it_is_sent_again(pacs):
    file = as_bytes(radiograph())
    id = pacs.store(file)
    files(pacs)[0].unlink()
    with pytest.raises(GoneFromPacs), pacs.open(id):
        pass
    pacs.store(file)
    with pacs.open(id) as stream:
        assert stream.read() == file


def test_a_file_that_rotted_is_mended_when_it_is_sent_again(pacs):
    file = as_bytes(radiograph())
    id = pacs.store(file)
    files(pacs)[0].write_bytes(b"\0" * len(file))
    pacs.store(file)
    with pacs.open(id) as stream:
        assert stream.read() == file


def test_without_its_row_a_file_was_never_stored(pacs, monkeypatch):
    """The machine dies between the two; the scanner, unanswered, sends again."""
    file = as_bytes(radiograph())
    with monkeypatch.context() as dying:
        dying.setattr(pacs.index, "add", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pacs.store(file)
    assert pacs.changes(0).changes == ()
    id = pacs.store(file)
    assert len(pacs.changes(0).changes) == 4
    with pacs.open(id) as stream:
        assert stream.read() == file


def test_a_folder_that_cannot_be_written_leaves_nothing_half_written(pacs):
    pacs.store(as_bytes(radiograph()))
    before = pacs.changes(0)
    folder = pacs.root / "files"
    folder.rename(pacs.root / "moved")
    folder.write_text("in the way")
    with pytest.raises(PacsUnavailable, match="cannot be written"):
        pacs.store(as_bytes(radiograph()))
    assert pacs.changes(0) == before


def test_a_disk_that_fills_up_leaves_nothing_half_written(pacs, monkeypatch):
    pacs.store(as_bytes(radiograph()))
    code = """
        import resource
        from clinic.pacs import PacsUnavailable
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            pacs.store(as_bytes(radiograph()))
        except PacsUnavailable as error:
            print(error)
    """
    assert "cannot be written" in elsewhere(pacs, code).communicate()[0]
    assert len(pacs.changes(0).changes) == 4
    assert len(files(pacs)) == 1
    assert files(pacs, "*.part") == []


def test_an_index_that_is_none_is_unavailable(pacs):
    pacs.root.mkdir()
    pacs.index.path.write_bytes(b"not SQLite" * 1000)
    for call in (lambda: pacs.changes(0), pacs.health, lambda: pacs.study("s")):
        with pytest.raises(PacsUnavailable, match="index"):
            call()
    with pytest.raises(PacsUnavailable):
        pacs.store(as_bytes(radiograph()))


def test_a_root_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PacsUnavailable):
        EmbeddedPacs(tmp_path / "file" / "pacs").health()


def test_before_anything_came_there_is_nothing(pacs):
    assert pacs.changes(0) == pacs.changes(0, limit=1)
    assert (pacs.changes(0).last, pacs.changes(0).done) == (0, True)
    assert "0 objects" in pacs.health()


def test_processes_that_start_together_make_one_index(pacs):
    code = """
        for _ in range(3):
            pacs.store(as_bytes(radiograph()))
    """
    writers = [elsewhere(pacs, code) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0] * 3
    changes = pacs.changes(0).changes
    assert sum(one.kind == "NewInstance" for one in changes) == 9
    assert [one.sequence for one in changes] == list(range(1, 37))


def test_whatever_the_feed_names_can_be_opened_while_another_process_writes(pacs):
    code = """
        for number in range(20):
            pacs.store(as_bytes(radiograph("one study", pixels=number)))
    """
    writer, cursor, seen, ended = elsewhere(pacs, code), 0, 0, False
    while not ended:
        over = writer.poll() is not None
        page = pacs.changes(cursor, limit=7)
        ended = over and page.done
        cursor = page.last
        for change in page.changes:
            if change.kind == "NewInstance":
                with pacs.open(change.id) as stream:
                    assert len(stream.read()) == stream.size > 1000
                seen += 1
    assert writer.returncode == 0
    assert seen == 20


@pytest.mark.parametrize("survived", [3, 11])
def test_a_kill_leaves_only_whole_files_and_their_rows(pacs, survived):
    code = """
        for number in range(10_000):
            print(pacs.store(as_bytes(radiograph(pixels=number))), flush=True)
    """
    writer = elsewhere(pacs, code)
    answered = [writer.stdout.readline().strip() for _ in range(survived)]
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    named = {c.id for c in pacs.changes(0).changes if c.kind == "NewInstance"}
    assert set(answered) <= named
    for id in named:
        with pacs.open(id) as stream:
            assert pacs.store(stream.read()) == id
