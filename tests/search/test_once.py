"""Several processes that need the same file."""

from concurrent.futures import ProcessPoolExecutor
from time import sleep

import pytest

from search.once import once


def slowly(path, log):
    def write(partial):
        with log.open("a") as file:
            file.write("wrote\n")
        partial.write_text("half")
        sleep(0.3)
        partial.write_text("whole")

    once(path, write)
    return path.read_text()


def test_one_writes_and_the_others_wait_for_it(tmp_path):
    path, log = tmp_path / "deep" / "views.npz", tmp_path / "log"
    with ProcessPoolExecutor(3) as pool:
        told = [pool.submit(slowly, path, log) for _ in range(3)]
        assert [one.result() for one in told] == ["whole"] * 3
    assert log.read_text() == "wrote\n"


def test_what_broke_off_is_not_there_and_is_written_anew(tmp_path):
    path = tmp_path / "views.npz"

    def breaks_off(partial):
        partial.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(path, breaks_off)
    assert not path.exists()
    assert slowly(path, tmp_path / "log") == "whole"


def test_what_is_there_is_left_alone(tmp_path):
    path = tmp_path / "views.npz"
    path.write_text("before")
    assert slowly(path, tmp_path / "log") == "before"
