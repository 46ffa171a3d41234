"""Check labels, and split rows into train, validation and test where the source does not split them itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.data.base import Rows, stratified_split
from edgenas.data.found import LeftOut
from edgenas.data.storage.copies import later_copies
from edgenas.errors import DataError, UsageError

TEST_SHARE = 0.2  # share of all images that become the test split of a source without one; the usual fifth


@dataclass(frozen=True)
class Splits:
    """The rows of three disjoint splits.

    Args:
        train: rows of the training images.
        validation: of those that choices are made on.
        test: of those that nothing is chosen on.
        copies: images that are in none of them.
        drawn: splits that the source does not define.
    """

    train: Rows
    validation: Rows
    test: Rows
    copies: tuple[LeftOut, ...] = ()
    drawn: tuple[str, ...] = ()


def check_labels(
    labels: NDArray[np.generic], classes: Sequence[str] | None, where: str
) -> tuple[Rows, tuple[str, ...]]:
    """Return the labels (N,) as int64, and the class names, which are the numbers where `classes` is None.

    Args:
        labels: (N,) integers.
        classes: a name per class.
        where: the file or the data set, for the message.

    Raises:
        DataError: labels are NaN, no integers or out of range, a name is there twice or not in UTF-8, or fewer than two
            classes or a class without images.
    """
    if labels.ndim != 1 or len(labels) == 0:
        raise DataError(f"{where}: labels have shape {labels.shape}; give one class number per image")
    if np.issubdtype(labels.dtype, np.floating) and np.isnan(labels).any():
        raise DataError(f"{where}: {int(np.isnan(labels).sum())} labels are NaN; remove those images")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels are {labels.dtype}; give class numbers 0, 1, 2, ... as integers")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= len(classes)):
        top = "..." if classes is None else str(len(classes) - 1)
        raise DataError(
            f"{where}: labels out of range, {low} to {high} where 0 to {top} are classes; correct the labels"
        )
    found = np.unique(labels)
    count = high + 1 if classes is None else len(classes)
    if count < 2:
        raise DataError(f"{where}: only one class; a classifier needs at least two")
    if odd := [name for name in classes or () if not _is_utf8(str(name))]:
        raise DataError(f"{where}: the name of class {odd[0]!r} is not in UTF-8; rename it, or its folder")
    if twice := [name for name, times in Counter(classes or ()).items() if times > 1]:
        raise DataError(f"{where}: two classes are named {twice[0]!r}; name each once")
    if len(found) < count:
        missing = next(label for label in range(count) if label >= len(found) or found[label] != label)
        name = classes[missing] if classes else missing
        raise DataError(f"{where}: class {name!r} has no images; add some or drop the class")
    return labels.astype(np.int64), tuple(classes or map(str, range(count)))


def _is_utf8(name: str) -> bool:
    """Tell whether a name can be written to a file: bytes of a folder's name that are not UTF-8 are lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def split_rows(
    labels: Rows,
    given: Mapping[str, Rows],
    classes: Sequence[str],
    *,
    validation_share: float,
    seed: int,
    where: str,
    equal: Iterable[Sequence[int]] = (),
    name: Callable[[int], str] = "image {}".format,
    is_published: bool = False,
) -> Splits:
    """Return the splits that a source defines; those that it does not are drawn from its `train`, stratified.

    Whatever the source, each split holds images, and each of them once. A validation split that is given is shuffled,
    as one that is drawn: sources are sorted by class, and whoever looks at a part of it should see many classes.

    Args:
        labels: (N,) class numbers of all images.
        given: rows of each split that the source defines; `train` is always there.
        classes: a name per class.
        validation_share: share of `train` that is drawn for validation, where it is not given.
        seed: of the draw.
        where: the file or the data set, for messages.
        equal: groups of rows whose images are equal.
        name: of a row, in messages.
        is_published: as `later_copies` has it.

    Raises:
        UsageError: the shares leave nothing to train on.
        DataError: a class is too small to be split, train or validation lacks one, a split is empty, or one image is
            in two classes or two splits.
    """
    split_of = {int(row): split for split, rows in given.items() for row in rows}
    copies = later_copies(equal, labels, split_of, classes, name, where, is_published=is_published)
    if copies:
        given = {split: rows[~np.isin(rows, list(copies))] for split, rows in given.items()}
    shares = {"validation": validation_share, "test": TEST_SHARE}
    drawn = {name: share for name, share in shares.items() if name not in given}
    room = 1 - drawn.get("test", 0)
    if not 0 < validation_share < room:
        raise UsageError(f"validation share {validation_share} is not between 0 and {room:g}; 0.1 is usual")
    pool = given["train"]
    _check_coverage(labels, given, classes, where)
    pieces = stratified_split(labels[pool], (1 - sum(drawn.values()), *drawn.values()), seed, classes)
    if "validation" in given:
        listed = given["validation"]
        given = {**given, "validation": listed[stratified_split(labels[listed], (1.0,), seed, classes)[0]]}
    rows = {**given, **{name: pool[piece] for name, piece in zip(("train", *drawn), pieces, strict=True)}}
    left_out = tuple(LeftOut(name(row), reason) for row, reason in copies.items())
    return Splits(rows["train"], rows["validation"], rows["test"], left_out, tuple(drawn))


def _check_coverage(labels: Rows, given: Mapping[str, Rows], classes: Sequence[str], where: str) -> None:
    """Check that train and a given validation split hold every class; a test split may lack some, but not all."""
    held = {name: set(labels[rows].tolist()) for name, rows in given.items()}
    if "test" in held and not held["test"]:
        raise DataError(f"{where}: the test split has no images; add some, or leave the split out to have one drawn")
    for label, name in enumerate(classes):
        others = [split for split, found in held.items() if label in found]
        if "train" not in others:
            raise DataError(
                f"{where}: class {name!r} is only in {' and '.join(others)}, not in train; move images there"
            )
        if "validation" in held and "validation" not in others:
            raise DataError(f"{where}: class {name!r} has no validation images; add some or give no validation split")
