"""What a run wrote is known by its hash: a changed, cut or lost file is never taken for what it was."""

import json
import os
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import DamagedRun, UsageError
from edgenas.system import file_index
from edgenas.system.file_index import (
    INDEX,
    State,
    adopt,
    begin,
    check,
    forget,
    note,
    read_kept,
    state_of,
    write_atomically,
    write_kept,
)


@pytest.fixture
def folder(tmp_path):
    adopt(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with one file."""
    folder = tmp_path_factory.mktemp("kept")
    adopt(folder)
    write_kept(folder / "a.json", b'{"x": 1}\n')
    return folder / "a.json"


def test_a_file_is_new_whole_damaged_or_gone(folder):
    path = folder / "a.json"
    assert state_of(path) is State.NEW
    check(path)
    write_kept(path, b"1")
    assert state_of(path) is State.WHOLE and read_kept(path) == b"1"
    path.write_bytes(b"2")
    assert state_of(path) is State.DAMAGED
    with pytest.raises(DamagedRun, match="a.json is damaged"):
        read_kept(path)
    path.unlink()
    assert state_of(path) is State.GONE
    with pytest.raises(DamagedRun, match="a.json is gone"):
        check(path)
    forget(path)
    assert state_of(path) is State.NEW


@given(st.integers(0, 8), st.integers(0, 7), st.booleans())
def test_no_bit_and_no_byte_may_differ(kept, place, bit, cut):
    content = bytearray(kept.read_bytes())
    try:
        kept.write_bytes(content[:place] if cut else bytes(b ^ (i == place) << bit for i, b in enumerate(content)))
        assert state_of(kept) is State.DAMAGED
    finally:
        kept.write_bytes(content)
    assert state_of(kept) is State.WHOLE


def test_what_the_run_did_not_write_is_not_its_file(folder):
    (folder / "a.json").write_bytes(b"1")
    assert state_of(folder / "a.json") is State.NEW
    note(folder / "a.json")
    assert state_of(folder / "a.json") is State.WHOLE


@contextmanager
def killed_in(monkeypatch, number):
    """A process that does not come beyond its first or its second write."""
    write, numbers = file_index.write_atomically, count()

    def killed(path, content):
        if next(numbers) == number:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(file_index, "write_atomically", killed)
        yield


@pytest.mark.parametrize("number", [0, 1], ids=["index", "file"])
def test_killed_while_a_file_is_written_it_is_the_old_or_the_new_one(folder, monkeypatch, number):
    path = folder / "a.json"
    write_kept(path, b"old")
    with killed_in(monkeypatch, number):
        write_kept(path, b"new")
    assert read_kept(path) == b"old"
    write_kept(path, b"new")
    assert read_kept(path) == b"new"


@pytest.mark.parametrize("number", [0, 1], ids=["file", "index"])
def test_killed_while_it_is_written_first_a_file_is_new(folder, monkeypatch, number):
    path = folder / "a.json"
    with killed_in(monkeypatch, number):
        write_kept(path, b"1")
    assert state_of(path) is State.NEW
    write_kept(path, b"2")
    assert read_kept(path) == b"2"


def test_killed_while_it_is_forgotten_a_file_is_new(folder, monkeypatch):
    path = folder / "a.json"
    write_kept(path, b"1")

    def killed(path, missing_ok):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        forget(path)
    assert state_of(path) is State.NEW


def test_an_index_is_begun_with_nothing(tmp_path):
    (tmp_path / "mine.json").write_bytes(b"1")
    begin(tmp_path)
    assert json.loads((tmp_path / INDEX).read_text())["files"] == {}


def test_a_folder_or_a_loop_in_the_place_of_a_file_is_damage(folder):
    for name, make in (("a.json", Path.mkdir), ("b.json", lambda path: path.symlink_to(path))):
        write_kept(folder / name, b"1")
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(DamagedRun, match=name):
            check(folder / name)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")], ids=["pipe", "device"])
def test_a_device_or_a_pipe_stays_what_it_is(folder, make):
    make(folder / "there")
    before = os.stat(folder / "there")
    with pytest.raises(UsageError, match="there: it is no file, but a device or a pipe"):
        write_atomically(folder / "there", b"x")
    assert os.stat(folder / "there") == before


def test_a_folder_without_an_index_is_taken_as_it_is(tmp_path):
    path = tmp_path / "a.json"
    assert state_of(path) is State.NEW
    write_kept(path, b"1")
    note(path)
    assert state_of(path) is State.WHOLE and not (tmp_path / INDEX).exists()
    (tmp_path / "finalist-0.pt").write_bytes(b"guards itself")
    adopt(tmp_path)
    assert list(json.loads((tmp_path / INDEX).read_text())["files"]) == ["a.json"]
    path.write_bytes(b"2")
    adopt(tmp_path)  # it has one
    assert state_of(path) is State.DAMAGED


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: text.replace("a.json", "b.json"), lambda _: "[]"]
)
def test_a_damaged_index_is_named(folder, damage):
    write_kept(folder / "a.json", b"1")
    (folder / INDEX).write_text(damage((folder / INDEX).read_text()))
    with pytest.raises(DamagedRun, match=f"{INDEX} is damaged"):
        check(folder / "a.json")
