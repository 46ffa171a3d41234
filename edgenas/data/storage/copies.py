"""Equal images: copies are left out, and whatever is in two classes or two splits is refused."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from edgenas.data.storage.order import Rows
from edgenas.data.view import Pixels
from edgenas.errors import DataError

BEGINNING = 4096  # bytes: of photos of one size, hardly two begin alike
LISTED = 5  # conflicts in a message; `inspect` lists all

Item = TypeVar("Item", bound=Hashable)


def equal_files(files: Sequence[Path]) -> list[list[int]]:
    """Return groups of places in `files` whose contents are equal, empty ones apart; few files are read whole."""
    groups = _alike(range(len(files)), lambda i: files[i].stat().st_size or None)
    return _alike(_alike_within(groups, lambda i: _beginning(files[i])), lambda i: _digest(files[i].read_bytes()))


def equal_images(pixels: Pixels) -> list[list[int]]:
    """Return groups of rows of (N, C, H, W) whose pixels are equal."""
    return _alike(range(len(pixels)), lambda i: _digest(pixels[i].tobytes()))


def later_copies(
    groups: Iterable[Sequence[int]],
    labels: Rows,
    split_of: Mapping[int, str],
    classes: Sequence[str],
    name: Callable[[int], str],
    where: str,
    *,
    is_published: bool = False,
) -> dict[int, str]:
    """Return the rows that are copies of an earlier one, and so could come into two splits, with the reason.

    Args:
        groups: rows of equal images.
        labels: (N,) class numbers.
        split_of: the split of each row, as the source has it.
        classes: a name per class.
        name: of a row, in messages.
        where: the file or the data set, for messages.
        is_published: whether nobody can repair the set, as everybody has it as it is: what is in two classes or in two
            splits is left out, too, that of test last.

    Raises:
        DataError: one image is in two classes or two splits; `details` names all such pairs.
    """
    copies: dict[int, str] = {}
    conflicts: list[str] = []
    for group in groups:
        first, *others = sorted(group, key=lambda row: split_of[row] != "test") if is_published else group
        for row in others:
            splits, labelled = (split_of[first], split_of[row]), (int(labels[first]), int(labels[row]))
            if is_published or (splits[0] == splits[1] and labelled[0] == labelled[1]):
                copies[row] = f"copy of {name(first)}"
            elif splits[0] != splits[1]:
                conflicts.append(f"{name(first)} in {splits[0]} and {name(row)} in {splits[1]}")
            else:
                conflicts.append(f"{name(first)} of {classes[labelled[0]]} and {name(row)} of {classes[labelled[1]]}")
    if conflicts:
        conflicts.sort()
        rest = len(conflicts) - LISTED
        more = f"; and {rest} more, which `edgenas inspect` lists" if rest > 0 else ""
        raise DataError(
            f"{where}: the same picture is in two classes or two splits, where it belongs into one: "
            f"{'; '.join(conflicts[:LISTED])}{more}",
            details=conflicts,
        )
    return copies


def _alike(items: Iterable[Item], key: Callable[[Item], Hashable | None]) -> list[list[Item]]:
    """Groups of those that share their key with another; those without a key are left out."""
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        if (found := key(item)) is not None:
            groups[found].append(item)
    return [group for group in groups.values() if len(group) > 1]


def _alike_within(groups: Iterable[Sequence[Item]], key: Callable[[Item], Hashable | None]) -> list[Item]:
    return [item for group in groups for alike in _alike(group, key) for item in alike]


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(BEGINNING)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
