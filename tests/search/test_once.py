"""Several processes that need the same file."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from search.once import arrays, once


def slowly(path, log):
    def write(partial):
        with log.open("a") as file:
            file.write("wrote\n")
        partial.write_text("half")
        sleep(0.3)
        partial.write_text("whole")

    return once(path, write, Path.read_text)


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
        once(path, breaks_off, Path.read_text)
    assert not path.exists()
    assert slowly(path, tmp_path / "log") == "whole"


def test_what_is_there_is_left_alone(tmp_path):
    path = tmp_path / "views.npz"
    path.write_text("before")
    assert slowly(path, tmp_path / "log") == "before"


@pytest.mark.parametrize("left", [0, 7, 200, -30])
def test_what_was_cut_short_is_made_anew_and_the_log_is_told(tmp_path, caplog, left):
    path, views = tmp_path / "views.npz", np.arange(500)

    def write(partial):
        with partial.open("wb") as file:
            np.savez(file, views=views)

    once(path, write, arrays)
    path.write_bytes(path.read_bytes()[:left])
    assert np.array_equal(once(path, write, arrays)["views"], views)
    assert "views.npz is damaged" in caplog.text
    caplog.clear()
    assert np.array_equal(once(path, write, arrays)["views"], views)
    assert not caplog.text


def test_what_was_changed_inside_is_made_anew(tmp_path):
    path, views = tmp_path / "views.npz", np.arange(500)

    def write(partial):
        with partial.open("wb") as file:
            np.savez(file, views=views)

    once(path, write, arrays)
    whole = bytearray(path.read_bytes())
    whole[1000] ^= 255
    path.write_bytes(whole)
    assert np.array_equal(once(path, write, arrays)["views"], views)
