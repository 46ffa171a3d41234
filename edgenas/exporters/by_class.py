"""How well a model finds each class: recall, confusion, and the classes that it never finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CLASSES = 100  # of a confusion matrix that is kept: one of 1,000 classes is a file of megabytes

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ByClass:
    """What a model said of a split, class by class.

    Args:
        images: of each class.
        correct: of these, how many were found.
        confusion: images by true class (rows) and by what the model said (columns); None beyond 100 classes.
    """

    images: tuple[int, ...]
    correct: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...] | None

    @property
    def recall(self) -> tuple[float | None, ...]:
        """The share of each class that was found, 0..1; None for a class without an image."""
        return tuple(c / n if n else None for c, n in zip(self.correct, self.images, strict=True))

    @property
    def accuracy(self) -> float:
        """The share of all images whose class was found."""
        return sum(self.correct) / sum(self.images)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images."""
        known = [share for share in self.recall if share is not None]
        return float(np.mean(known)) if known else 0.0

    @property
    def never_found(self) -> tuple[int, ...]:
        """The classes that have images, none of which was found."""
        return tuple(i for i, share in enumerate(self.recall) if share == 0)

    def warnings(self, names: Sequence[str]) -> list[str]:
        """Return a warning of the classes that are never found; none where all are.

        Args:
            names: of all classes.
        """
        lost = [f"{names[i]!r} ({self.images[i]} test images)" for i in self.never_found]
        if not lost:
            return []
        return [f"never found: {', '.join(lost)}; add pictures, check the labels, or leave the class out"]


def by_class(true: Indices, predicted: Indices, classes: int) -> ByClass:
    """Return the figures by class.

    Args:
        true: labels of the images, (n,).
        predicted: what the model said of them, (n,).
        classes: how many there are.
    """
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (true, predicted), 1)
    rows = tuple(tuple(int(n) for n in row) for row in matrix) if classes <= MOST_CLASSES else None
    return ByClass(tuple(int(n) for n in matrix.sum(axis=1)), tuple(int(n) for n in matrix.diagonal()), rows)
