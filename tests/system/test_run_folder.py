import errno
import json
import tempfile
from dataclasses import dataclass

import pytest

from edgenas.errors import CheckpointError, DamagedRun, EnvironmentFault, UsageError
from edgenas.system import run_folder
from edgenas.system.file_index import INDEX, write_kept
from edgenas.system.run_folder import (
    CONFIG,
    FORMAT,
    FORMAT_FILE,
    KeptFolder,
    RunFolder,
    cache_folder,
    check_format,
    read_artefact,
    write_artefact,
    write_atomically,
    write_format,
)


@dataclass(frozen=True)
class Figure:
    x: float


def test_artefacts_are_made_once_and_survive_a_move(tmp_path):
    made = []

    def make():
        made.append(1)
        return Figure(1.5)

    folder = RunFolder(tmp_path / "run", resume=False)
    assert folder.artefact("a", Figure, make) == folder.artefact("a", Figure, make) == Figure(1.5)
    folder.add_seconds("a", 1.0)
    folder.unlock()
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    again = RunFolder(moved, resume=True)
    assert again.artefact("a", Figure, make) == Figure(1.5) and made == [1]
    again.add_seconds("a", 0.5)
    assert again.seconds == {"a": 1.5}
    assert str(tmp_path) not in "".join(p.read_text() for p in moved.iterdir())


def test_a_damaged_artefact_is_named(tmp_path):
    folder = RunFolder(tmp_path, resume=False)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CheckpointError, match="a.json is damaged"):
        folder.artefact("a", Figure, lambda: Figure(1.0))
    (tmp_path / "a.json").write_text('{"x": "1"}')
    with pytest.raises(CheckpointError, match=r"a.json is damaged \(Figure.x: '1' is no float\); put back a copy"):
        read_artefact(tmp_path, "a", Figure)


def test_a_folder_to_look_into_makes_nothing(tmp_path):
    write_artefact(tmp_path, "a", Figure(2.0))
    kept = KeptFolder(tmp_path)
    assert kept.artefact("a", Figure, lambda: Figure(1.0)) == Figure(2.0)
    kept.add_seconds("a", 1.0)
    kept.unlock()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(FileNotFoundError):
        kept.artefact("b", Figure, lambda: Figure(1.0))


def test_a_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "there", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_format_of_a_folder_is_checked(tmp_path):
    with pytest.raises(UsageError, match="its format is 1, written by edgenas 0.1.0"):
        check_format(tmp_path)
    write_format(tmp_path, "0.2.0")
    check_format(tmp_path)
    noted = json.loads((tmp_path / FORMAT_FILE).read_text())
    write_kept(tmp_path / FORMAT_FILE, json.dumps(noted | {"format": FORMAT + 1, "version": "9.9"}).encode())
    with pytest.raises(UsageError, match=f"written by edgenas 9.9, and this version reads format {FORMAT}"):
        check_format(tmp_path)
    (tmp_path / FORMAT_FILE).write_text("{}")
    with pytest.raises(CheckpointError, match="is damaged"):
        check_format(tmp_path)


def test_a_run_is_not_begun_over_another(tmp_path):
    (tmp_path / CONFIG).write_text("")
    with pytest.raises(UsageError, match="--resume"):
        RunFolder(tmp_path, resume=False)
    RunFolder(tmp_path, resume=True)


def test_an_index_that_is_no_runs_is_somebodys_own(tmp_path):
    (tmp_path / INDEX).write_text("[]")
    with pytest.raises(UsageError, match=f"{INDEX} is there, and is not a run's; choose another --output") as caught:
        RunFolder(tmp_path, resume=False)
    assert caught.value.exit_code == 2 and [path.name for path in tmp_path.iterdir()] == [INDEX]
    (tmp_path / CONFIG).write_text("")
    with pytest.raises(DamagedRun, match=f"{INDEX} is damaged"):
        RunFolder(tmp_path, resume=False)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(EnvironmentFault, match="is a file"):
        RunFolder(tmp_path / "run", resume=False)


def test_a_folder_that_is_worked_in_is_refused(tmp_path):
    folder = RunFolder(tmp_path, resume=False)
    with pytest.raises(UsageError, match="works in it"):
        RunFolder(tmp_path, resume=True)
    folder.unlock()
    RunFolder(tmp_path, resume=True).unlock()


def test_a_refusal_leaves_no_folder_locked(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_atomically", full)
        with pytest.raises(EnvironmentFault, match=r"run: cannot be written \(No space left"):
            RunFolder(tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_the_cache_is_the_users_or_else_a_temporary_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder("a", "b") == tmp_path / "home/edgenas/a/b"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert cache_folder("a") == tmp_path / "temporary/edgenas/a"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert cache_folder("a") is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
def test_a_disk_that_cannot_be_written_is_found_before_anything_is_begun(tmp_path, monkeypatch, code):
    def refuse(path, content):
        raise OSError(code, "cannot")

    with monkeypatch.context() as patch, pytest.raises(EnvironmentFault, match=r"\(cannot\); choose another") as caught:
        patch.setattr(run_folder, "write_atomically", refuse)
        RunFolder(tmp_path, resume=False)
    assert caught.value.exit_code == 4 and not list(tmp_path.iterdir())
    RunFolder(tmp_path, resume=False).unlock()


def test_a_path_may_hold_blanks_letters_of_any_script_and_line_breaks(tmp_path):
    path = tmp_path / "a b" / "ü日\nrun's"
    folder = RunFolder(path, resume=False)
    write_kept(path / CONFIG, b"")
    assert folder.artefact("a", Figure, lambda: Figure(1.0)) == Figure(1.0)
    folder.unlock()
    again = RunFolder(path, resume=True)
    assert again.artefact("a", Figure, lambda: Figure(2.0)) == Figure(1.0)
    again.unlock()
