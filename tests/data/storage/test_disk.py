import pickle
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.data.storage.disk import MappedFile, amount, check_room, locked, make_folder, write_whole
from edgenas.errors import EnvironmentFault


def test_a_map_is_read_released_pickled_and_grows(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(10)))
    file = MappedFile(path)
    assert file.read(2, 3).tolist() == [2, 3, 4]
    file.release()
    assert file.read(0, 2).tolist() == [0, 1]
    with path.open("ab") as more:
        more.write(b"\xff" * 5000)
    assert file.read(5000, 2).tolist() == [255, 255]
    assert len(pickle.dumps(file)) < 1000 and pickle.loads(pickle.dumps(file)).read(3, 1).tolist() == [3]


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_pixels_that_are_gone_are_named(tmp_path, content):
    if content is not None:
        (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(EnvironmentFault, match="x.bin: .* gone; start the command again") as caught:
        MappedFile(tmp_path / "x.bin").read(0, 9)
    assert caught.value.exit_code == 4


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.npy"
    write_whole(path, lambda part: np.save(part, np.arange(3)))

    def fail(part):
        part.write_bytes(b"torn")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert np.load(path).tolist() == [0, 1, 2] and [file.name for file in tmp_path.iterdir()] == ["x.npy"]


def test_a_disk_that_is_too_small_is_refused_with_both_sizes_and_the_flags(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e9))
    check_room(tmp_path, 0.9e9, "it")
    with pytest.raises(EnvironmentFault, match=r"it takes about 3\.5 GB.* 1\.0 GB free.*--cache.*--cache-size"):
        check_room(tmp_path, 3.5e9, "it")


def test_a_folder_that_cannot_be_written_names_the_flag(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnvironmentFault, match="--cache"):
        make_folder(tmp_path / "file" / "below")


def test_who_comes_later_waits_and_says_so(tmp_path):
    said, order = [], []

    def later() -> None:
        with locked(tmp_path, lambda: said.append("waiting")):
            order.append("later")

    with locked(tmp_path, lambda: said.append("never")):
        thread = threading.Thread(target=later)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "later"] and said == ["waiting"]


def test_amounts():
    assert [amount(size) for size in (0, 5e5, 1e9)] == ["0.0 MB", "0.5 MB", "1.0 GB"]
