"""Arrays in files come back as they were; whatever else stands in their place is a ValueError."""

import io

import numpy as np
import pytest

from edgenas.data.storage.npz_file import read_npz


def one_array():
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


def test_arrays_come_back(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), names=np.array(["é", "b"]))
    found = read_npz(tmp_path / "a.npz")
    assert set(found) == {"x", "names"} and found["x"].tolist() == [0, 1, 2] and found["names"].tolist() == ["é", "b"]


def test_any_damaged_byte_is_the_same_arrays_or_a_value_error(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(400))
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            found = read_npz(path)
        except ValueError:
            continue
        assert all(np.array_equal(array, np.arange(400)) for name, array in found.items())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("text"),
        lambda path: path.write_bytes(one_array()),
        lambda path: np.savez(path, x=np.array([{}], dtype=object)),  # a pickle
    ],
)
def test_what_is_none_is_a_value_error(tmp_path, write):
    write(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="not a readable"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", ["<U3", ">U3"])
def test_numbers_that_are_no_characters_are_a_value_error(tmp_path, dtype):
    numbers = np.array([97, 98, 0x7F000000], dtype=dtype.replace("U3", "u4"))
    np.savez(tmp_path / "a.npz", names=numbers.view(dtype))
    with pytest.raises(ValueError, match="names holds what is no text"):
        read_npz(tmp_path / "a.npz")


def test_no_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "a.npz")
