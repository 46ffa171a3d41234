"""Random draws over rows: the split of a set, the order of an epoch, and the classes that are drawn more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgenas.errors import DataError

Rows = NDArray[np.int64]

# The first word of a random stream's seed. It keeps the streams of one seed apart: order, split and augmentation never
# draw the same numbers. Results follow from these values: do not change them.
ORDER_STREAM, SPLIT_STREAM, AUGMENT_STREAM, CUTOUT_STREAM = 1, 2, 3, 4
# How many times as many images the largest class has as the smallest, from which on classes are balanced. Below it a
# network still learns the small ones, and balancing would cost accuracy on the large ones.
MOST_IMBALANCE = 10


def permutation(n: int, seed: int, epoch: int) -> Rows:
    """Return the order of one epoch; a generator of its own makes it independent of what was drawn before."""
    return np.random.default_rng((ORDER_STREAM, seed, epoch)).permutation(n)


def balanced(labels: Rows, seed: int, epoch: int) -> Rows:
    """Return as many positions as there are labels, in random order, each class in proportion to the root of its size.

    A small class comes several times an epoch, always whole before any of it again. A large one gives another part of
    itself in each epoch.

    Args:
        labels: (N,) class numbers.
        seed: of the order.
        epoch: number of the epoch, which the draw follows from too.
    """
    rng = np.random.default_rng((ORDER_STREAM, seed, epoch))
    found, counts = np.unique(labels, return_counts=True)
    roots = np.sqrt(counts)
    drawn = []
    for label, want in zip(found, apportion(len(labels), (roots / roots.sum()).tolist()), strict=True):
        rows = np.flatnonzero(labels == label)
        rounds = [rng.permutation(rows) for _ in range(-(-int(want) // len(rows)))]
        drawn.append(np.concatenate(rounds)[:want])
    return rng.permutation(np.concatenate(drawn))


def imbalance(labels: Rows) -> float:
    """Return how many times as many images the largest class has as the smallest one that has any."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.max() / counts.min())


def stratified_split(
    labels: ArrayLike, shares: Sequence[float], seed: int, classes: Sequence[str] | None = None
) -> list[Rows]:
    """Return disjoint index arrays that together hold every row, each class in proportion and at least once.

    The arrays are shuffled, because sources are often sorted by class and the first rows of a split should be of many
    classes.

    Args:
        labels: (N,) class numbers.
        shares: one per split; they sum to 1.
        seed: of the draw.
        classes: names for the message; without them it gives the number.

    Raises:
        DataError: a class has fewer rows than there are splits.
    """
    array = np.asarray(labels)
    rng = np.random.default_rng((SPLIT_STREAM, seed))
    parts: list[list[Rows]] = [[] for _ in shares]
    for label in np.unique(array):
        rows = rng.permutation(np.flatnonzero(array == label))
        if len(rows) < len(shares):
            name = classes[label] if classes else int(label)
            raise DataError(
                f"class {name!r} has {len(rows)} images for {len(shares)} splits; add images or drop the class"
            )
        for part, piece in zip(parts, np.split(rows, np.cumsum(apportion(len(rows), shares))[:-1]), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def apportion(n: int, shares: Sequence[float]) -> Rows:
    """Return whole numbers near n * shares, none below 1, that sum to n (largest remainder method)."""
    ideal = n * np.asarray(shares, dtype=np.float64)
    counts = np.maximum(np.floor(ideal).astype(np.int64), 1)
    while counts.sum() < n:
        counts[np.argmax(ideal - counts)] += 1
    # Shares that were raised to 1 are taken from those that have more than their due.
    while counts.sum() > n:
        counts[np.argmax(np.where(counts > 1, counts - ideal, -np.inf))] -= 1
    return counts
