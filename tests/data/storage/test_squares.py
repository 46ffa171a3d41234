import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.data.storage import squares as module
from edgenas.data.storage.decode import decode
from edgenas.data.storage.squares import Squares
from edgenas.data.view import FITS, View
from edgenas.errors import DataError, EnvironmentFault
from tests.data.writers import write_folder


@pytest.fixture
def files(tmp_path):
    write_folder(tmp_path / "set", ("cat",), each=9)
    return tuple(sorted((tmp_path / "set" / "cat").iterdir()))


def made(squares: Squares, rows, size: int) -> np.ndarray:
    picked = np.array(rows, dtype=np.int64)
    squares.make(picked, size)
    return squares.read(picked, size)


@pytest.mark.parametrize("fit", FITS)
def test_squares_are_those_of_the_full_pictures(tmp_path, files, fit):
    view = View(fit)
    squares = Squares(tmp_path, files, view)
    for size, rows in ((12, [3, 1]), (12, [1, 5, 3, 0]), (7, [8]), (12, [])):
        wanted = np.array([view.square(decode(files[row]), size) for row in rows]).reshape(-1, size, size, 3)
        assert np.array_equal(made(squares, rows, size), wanted)


def test_each_is_made_once_also_by_other_processes(tmp_path, files, monkeypatch):
    squares = Squares(tmp_path, files, View())
    other = pickle.loads(pickle.dumps(squares))
    other.make(np.array([0]), 8)
    first = made(squares, [1, 2], 8)
    monkeypatch.setattr(module, "decode", None)
    assert np.array_equal(made(other, [1, 2], 8), first)
    assert np.array_equal(made(Squares(tmp_path, files, View()), [2, 1], 8), first[::-1])


def test_what_an_interrupted_process_left_is_overwritten(tmp_path, files):
    squares = Squares(tmp_path, files, View())
    first = made(squares, [1], 8)
    with (tmp_path / "crop-65535-8.bin").open("ab") as file:
        file.write(b"half a square")
    again = made(Squares(tmp_path, files, View()), [1, 4], 8)
    assert np.array_equal(again[:1], first) and np.array_equal(again[1], View().square(decode(files[4]), 8))


def test_a_lost_file_is_one_line(tmp_path, files):
    files[2].unlink()
    with pytest.raises(DataError, match="readable at the start, restore it") as caught:
        made(Squares(tmp_path, files, View()), [1, 2], 8)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_named(tmp_path, files, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(EnvironmentFault, match="squares of 8 pixels takes about"):
        made(Squares(tmp_path, files, View()), [1], 8)
