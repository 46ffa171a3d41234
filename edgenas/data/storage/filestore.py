"""Large sets: pictures in files, which training reads from a cache of decoded ones, and evaluation as squares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgenas.data.base import Augment, Pixels, Rows, Step, preprocess
from edgenas.data.storage.decode import Unreadable, decode
from edgenas.data.storage.loader import loaded
from edgenas.data.storage.pictures import Pictures
from edgenas.data.storage.random_view import RandomViews, keys
from edgenas.data.storage.squares import Squares, checked, stack
from edgenas.data.view import Picture, View
from edgenas.errors import DataError

MADE_AT_ONCE = 2048  # squares that are made before the first of them is read


@dataclass(frozen=True, eq=False)
class FileStore:
    """Files by row; images are RGB, and stored images are squares of `side` pixels."""

    files: tuple[Path, ...] = field(repr=False)
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment
    device: torch.device
    view: View
    cache: Pictures = field(repr=False)
    squares: Squares = field(repr=False)

    def images(self, rows: Rows) -> Pixels:
        """Return the squares (n, 3, side, side), made of the full pictures."""
        self.squares.make(rows, self.side)
        return self.squares.read(rows, self.side).transpose(0, 3, 1, 2)

    def pictures(self, rows: Rows) -> list[Picture]:
        """Return the pictures in full size, with the bytes of their files."""
        return [self._picture(self.files[row]) for row in rows]

    def stream(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        """Yield batches: random views that workers make of the cache, or the squares that an app would see."""
        if not steps:
            return
        for pixels in self._squares(steps, size) if steps[0].key is None else self._views(steps, size):
            x = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
            yield preprocess(x, size, self.mean, self.std)

    def _views(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        dataset = RandomViews(self.cache, self.augment, self.view, size)
        yield from map(checked, loaded(dataset, [keys(step) for step in steps], stack, pin_memory=self._pinned))

    def _squares(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        parts = [step.rows[step.part] for step in steps]
        made = 0
        for i, rows in enumerate(parts):
            if i == made:
                # The first alone, as many ask for no more; then enough at once to keep workers busy.
                made = i + (1 if i == 0 else max(1, MADE_AT_ONCE // max(1, len(rows))))
                self.squares.make(np.concatenate(parts[i:made]), size)
            pixels = torch.from_numpy(self.squares.read(rows, size))
            yield pixels.pin_memory() if self._pinned else pixels

    @property
    def _pinned(self) -> bool:
        return self.device.type == "cuda"

    def _picture(self, file: Path) -> Picture:
        try:
            return Picture(file.read_bytes(), file.suffix, np.asarray(decode(file, white=self.view.white)))
        except (OSError, Unreadable) as error:
            raise DataError(f"{file}: {error}; the file was readable at the start, restore it") from error
