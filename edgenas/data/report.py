"""What a data set holds, as it is used: told before anything is trained, and kept with what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.data.base import Data
from edgenas.data.found import Found
from edgenas.data.storage.order import imbalance

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DataReport:
    """What a data set holds.

    Args:
        name: of the data set.
        classes: by class, images that are used in each split.
        shape: channels, height and width that networks are trained with at most.
        fit: how a picture becomes a square.
        imbalance: how many times as many training images the largest class has as the smallest.
        notices: what was decided, in sentences.
        found: what else the source has found.
    """

    name: str
    classes: Mapping[str, Mapping[str, int]]
    shape: tuple[int, int, int]
    fit: str
    imbalance: float
    notices: tuple[str, ...]
    found: Found

    @property
    def images(self) -> Mapping[str, int]:
        """Return the number of images in each split."""
        return {split: sum(counts[split] for counts in self.classes.values()) for split in SPLITS}

    def line(self) -> str:
        """Return what is used, in a line."""
        parts = [f"{n:,} {split}{' (drawn)' if split in self.found.drawn else ''}" for split, n in self.images.items()]
        return f"{sum(self.images.values()):,} images of {len(self.classes)} classes: {', '.join(parts)}"


def report_of(data: Data) -> DataReport:
    """Return what a data set holds."""
    parts = (data.train, data.validation, data.held_out)
    counts = zip(*(np.bincount(part.labels, minlength=len(data.classes)).tolist() for part in parts), strict=True)
    return DataReport(
        data.name,
        {name: dict(zip(SPLITS, row, strict=True)) for name, row in zip(data.classes, counts, strict=True)},
        data.shape,
        data.view.fit,
        imbalance(data.train.labels.numpy()),
        data.notices,
        data.found,
    )
