"""Large sets: the workers of a DataLoader decode files and augment each with torchvision's v2 transforms."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edgenas.data.base import AUGMENT_STREAM, Augment, Pixels, Rows, Step, preprocess
from edgenas.data.storage.decode import Unreadable, decode, square
from edgenas.data.storage.files import torchvision_module
from edgenas.data.view import Picture
from edgenas.errors import DataError

_WORTH_WORKERS = 256  # images; fewer are decoded before worker processes have started
_MOST_WORKERS = 8  # more decode faster than one device trains, and each holds a few hundred MB

Key = tuple[int, int | None]  # row, and the seed of its augmentation


@dataclass(frozen=True, eq=False)
class FileStore:
    """Files by row; each is decoded to an RGB image of `side` x `side` pixels."""

    files: tuple[Path, ...]
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment
    device: torch.device

    def images(self, rows: Rows) -> Pixels:
        """Return the images (n, 3, side, side) as they are stored, without augmentation."""
        chunks = list(self._decoded([[(int(row), None) for row in rows]]))
        array: Pixels = chunks[0].numpy()
        return array

    def pictures(self, rows: Rows) -> list[Picture]:
        """Return the pictures in full size, with the bytes of their files."""
        return [_picture(self.files[row]) for row in rows]

    def stream(self, steps: Sequence[Step], size: int) -> Iterator[Tensor]:
        """Yield batches that workers decode and augment and the device preprocesses."""
        for images in self._decoded([_keys(step) for step in steps]):
            yield preprocess(images.to(self.device, non_blocking=True), size, self.mean, self.std)

    def _decoded(self, batches: list[list[Key]]) -> Iterator[Tensor]:
        dataset = _Images(self.files, self.side, _random_view(self.augment, self.side))
        for images in _loader(dataset, batches, _stack, pin_memory=self.device.type == "cuda"):
            if isinstance(images, str):
                raise DataError(f"{images}; the file was readable at the start, restore it")
            yield images


def _picture(file: Path) -> Picture:
    try:
        return Picture(file.read_bytes(), file.suffix, np.asarray(decode(file)))
    except (OSError, Unreadable) as error:
        raise DataError(f"{file}: {error}; the file was readable at the start, restore it") from error


def find_unreadable(files: Sequence[Path], side: int) -> dict[Path, str]:
    """Return the reason for each file that cannot be decoded.

    Args:
        files: JPEG and PNG files.
        side: of the square that they will become, in pixels.
    """
    dataset = _Images(tuple(files), side, None)
    batches: list[list[Key]] = [
        [(row, None) for row in range(i, min(i + 64, len(files)))] for i in range(0, len(files), 64)
    ]
    reasons = [reason for batch in _loader(dataset, batches, _faults) for reason in batch]
    return {file: reason for file, reason in zip(files, reasons, strict=True) if reason is not None}


class _Images(Dataset[Any]):
    """Images (3, side, side) uint8 by key, or the reason why there is none; pickled to workers."""

    def __init__(self, files: tuple[Path, ...], side: int, random_view: Callable[[Any], Tensor] | None) -> None:
        self.files, self.side, self.random_view = files, side, random_view

    def __getitem__(self, key: Key) -> Tensor | tuple[Path, str]:
        row, seed = key
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata and large images
                image = decode(self.files[row], self.side)
        except Unreadable as error:
            return self.files[row], str(error)
        if seed is None or self.random_view is None:
            return torch.from_numpy(np.array(square(image, self.side))).permute(2, 0, 1)
        # v2 draws from the global CPU generator; that of CUDA must not notice, so no torch.manual_seed.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.random_view(image)


def _random_view(augment: Augment, side: int) -> Callable[[Any], Tensor]:
    """Return the declared augmentation of one image; `scale` s crops 1 - s to 1 of the sides, at a random place."""
    v2 = torchvision_module("transforms.v2")
    # RandomResizedCrop takes a share of the area, which is the square of that of the sides.
    steps = [v2.RandomResizedCrop(side, scale=((1 - augment.scale) ** 2, 1.0), antialias=True)]
    if augment.rotate or augment.shift:
        steps.append(
            v2.RandomAffine(augment.rotate, (augment.shift, augment.shift), interpolation=v2.InterpolationMode.BILINEAR)
        )
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip())
    steps.append(v2.PILToTensor())
    # Last, because it takes tensors alone.
    if augment.erase:
        steps.append(v2.RandomErasing(augment.erase))
    view: Callable[[Any], Tensor] = v2.Compose(steps)
    return view


def _loader(
    dataset: _Images, batches: list[list[Key]], collate: Callable[[list[Any]], Any], *, pin_memory: bool = False
) -> DataLoader[Any]:
    busy = sum(map(len, batches)) >= _WORTH_WORKERS
    workers = min(_MOST_WORKERS, torch.get_num_threads()) if busy else 0
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # else it draws from the global one, which resuming would then have to restore
    )


def _keys(step: Step) -> list[Key]:
    rows = step.rows[step.part]
    if step.key is None:
        return [(int(row), None) for row in rows]
    seed, epoch, _ = step.key
    # By row, so that it does not matter which part of a batch is made here.
    return [(int(row), _seed(seed, epoch, int(row))) for row in rows]


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence((AUGMENT_STREAM, *words)).generate_state(1, np.uint64)[0])


def _stack(items: list[Tensor | tuple[Path, str]]) -> Tensor | str:
    """Return a batch, or the message about the first broken file: an error raised in a worker would span many lines."""
    for item in items:
        if not isinstance(item, Tensor):
            return f"{item[0]}: {item[1]}"
    return torch.stack([item for item in items if isinstance(item, Tensor)])


def _faults(items: list[Tensor | tuple[Path, str]]) -> list[str | None]:
    return [None if isinstance(item, Tensor) else item[1] for item in items]
