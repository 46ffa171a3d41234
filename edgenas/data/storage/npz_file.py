"""One reader for all .npz files of arrays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; nothing in it is unpickled, which could run code.

    Raises:
        OSError: there is no such file.
        ValueError: it is none of plain arrays, or damaged.
    """
    with path.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception as error:  # in a damaged file numpy, zipfile and zlib raise whatever they stumble over
            raise ValueError(f"not a readable .npz of plain arrays ({error})") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} in it is no array")
        if not _is_sound(array):
            raise ValueError(f"{name} holds what is no text")
    return arrays


def _is_sound(array: NDArray[Any]) -> bool:
    """Tell whether all numbers in an array of texts are characters: Python's texts break on others in use."""
    if array.dtype.kind != "U" or not array.nbytes:
        return True
    numbers = array.reshape(-1).astype(array.dtype.newbyteorder("=")).view(np.uint32)
    return int(numbers.max()) <= sys.maxunicode
