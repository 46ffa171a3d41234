"""The squares that evaluation sees, made of the full pictures once for each size, and kept beside the decoded ones."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edgenas.data.storage.decode import Unreadable, decode
from edgenas.data.storage.disk import MappedFile, check_room, locked, write_whole
from edgenas.data.storage.loader import loaded
from edgenas.data.storage.order import Rows
from edgenas.data.view import Pixels, View
from edgenas.errors import DataError, EnvironmentFault

CHUNK = 16  # squares that a worker hands over at once


class Squares:
    """Squares by row and size. Of each size a file holds those that were asked for, another their places in it."""

    def __init__(self, folder: Path, files: Sequence[Path], view: View) -> None:
        """Keep squares of `files` in `folder`, which holds nothing of other files."""
        self.folder, self.files, self.view = folder, tuple(files), view
        self._known: dict[int, tuple[Rows, MappedFile]] = {}

    def __getstate__(self) -> tuple[Path, tuple[Path, ...], View]:
        """Return what another process needs to open the same squares."""
        return self.folder, self.files, self.view

    def __setstate__(self, state: tuple[Path, tuple[Path, ...], View]) -> None:
        """Open the squares of another process's object."""
        self.__init__(*state)  # type: ignore[misc]

    def make(self, rows: Rows, size: int) -> None:
        """Make the squares of these rows, of `size` pixels, as far as they are not there yet.

        Raises:
            DataError: a file cannot be read any more.
            EnvironmentFault: the disk lacks the room.
        """
        if (self._places(size)[rows] >= 0).all():
            return
        with locked(self.folder, lambda: None):
            self._known.pop(size, None)  # another process may have made some meanwhile
            places = self._places(size).copy()
            missing = np.unique(rows[places[rows] < 0])
            if len(missing) == 0:
                return
            what = f"a cache of {len(missing):,} squares of {size} pixels"
            check_room(self.folder, len(missing) * size * size * 3, what)
            count = int(places.max()) + 1
            try:
                self._append(missing, size, count)
                places[missing] = np.arange(count, count + len(missing))
                write_whole(self._path(size, "npy"), lambda path: np.save(path, places))
            except OSError as error:
                raise EnvironmentFault(
                    f"{self.folder}: {what} cannot be written ({error.strerror}); make room, or name another place "
                    "by --cache"
                ) from error
            self._known.pop(size, None)

    def read(self, rows: Rows, size: int) -> Pixels:
        """Return squares (n, size, size, 3) that were made."""
        places, pixels = self._places(size), self._known[size][1]
        length = size * size * 3
        found = np.empty((len(rows), size, size, 3), dtype=np.uint8)
        for square, place in zip(found, places[rows], strict=True):
            square[:] = pixels.read(int(place) * length, length).reshape(square.shape)
        pixels.release()
        return found

    def _places(self, size: int) -> Rows:
        """Return the place of each row's square in the file; -1 where there is none."""
        if size not in self._known:
            path = self._path(size, "npy")
            places: Rows = np.load(path) if path.exists() else np.full(len(self.files), -1, dtype=np.int64)
            self._known[size] = places, MappedFile(self._path(size, "bin"))
        return self._known[size][0]

    def _append(self, rows: Rows, size: int, count: int) -> None:
        """Write squares behind the first `count`; what an interrupted process left there is overwritten."""
        batches = [rows[first : first + CHUNK].tolist() for first in range(0, len(rows), CHUNK)]
        path = self._path(size, "bin")
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(count * size * size * 3)
            file.seek(0, os.SEEK_END)
            for made in loaded(_Viewed(self.files, self.view, size), batches, stack):
                file.write(checked(made).numpy().tobytes())
            file.flush()
            os.fsync(file.fileno())

    def _path(self, size: int, suffix: str) -> Path:
        return self.folder / f"{self.view.fit}-{self.view.white}-{size}.{suffix}"


class _Viewed(Dataset[Any]):
    """Squares (size, size, 3) of full pictures by row, or the reason why there is none; pickled to workers."""

    def __init__(self, files: tuple[Path, ...], view: View, size: int) -> None:
        self.files, self.view, self.size = files, view, size

    def __getitem__(self, row: int) -> Tensor | str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata and large images
                image = decode(self.files[row], white=self.view.white)
        except Unreadable as error:
            return f"{self.files[row]}: {error}"
        return torch.from_numpy(np.array(self.view.square(image, self.size)))


def stack(items: list[Tensor | str]) -> Tensor | str:
    """Return a batch, or the message about the first broken file: an error raised in a worker would span many lines."""
    for item in items:
        if isinstance(item, str):
            return item
    return torch.stack([item for item in items if isinstance(item, Tensor)])


def checked(batch: Tensor | str) -> Tensor:
    """Return what `stack` made. Raises DataError if that is a message."""
    if isinstance(batch, str):
        raise DataError(f"{batch}; the file was readable at the start, restore it")
    return batch
