"""Class folders: which files are pictures, what else lies among them, and what the classes' names tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgenas.data.storage.decode import HEIC_EXTRA, HEIC_SUFFIXES, SUFFIXES, reads_heic
from edgenas.errors import DataError

FOLDERS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
LEAVINGS = frozenset({"thumbs.db", "desktop.ini"})  # of file managers; others begin with a dot
SIDES = {"left": "right", "right": "left"}

Entry = tuple[str, int, Path]  # split, class number, file


def layout(root: Path) -> dict[str, Path]:
    """Return the folder of each split that root defines; without folders in root/train, "train" is a class.

    Raises:
        DataError: a split has two folders.
    """
    if not ((root / "train").is_dir() and _folders(root / "train")):
        return {"train": root}
    parts = {}
    for split, names in FOLDERS.items():
        present = [root / name for name in names if (root / name).is_dir()]
        if len(present) > 1:
            raise DataError(f"{root}: both {present[0].name} and {present[1].name}; keep one of them")
        if present:
            parts[split] = present[0]
    return parts


def class_names(root: Path) -> tuple[str, ...]:
    """Return the names of the classes in a folder of images, sorted; no image is read."""
    return tuple(sorted({folder.name for base in layout(root).values() for folder in _folders(base)}))


def list_pictures(root: Path, classes: Sequence[str]) -> tuple[list[Entry], tuple[str, ...]]:
    """Return the pictures by split, class and name; and what is to be said of files that are none.

    Args:
        root: with the folders.
        classes: names of the classes.

    Raises:
        DataError: there are no pictures that can be read, or a class has none because HEIC cannot be.
    """
    found: list[Entry] = []
    others: Counter[str] = Counter()
    for split, base in layout(root).items():
        for label, name in enumerate(classes):
            for file in _files(base / name):
                suffix = file.suffix.lower()
                if suffix in SUFFIXES and (suffix not in HEIC_SUFFIXES or reads_heic()):
                    found.append((split, label, file))
                else:
                    others[suffix or "no suffix"] += 1
    notices = _left_out(others)
    filled = {label for _, label, _ in found}
    lacking = [name for label, name in enumerate(classes) if label not in filled]
    if found and lacking and notices and "HEIC" in notices[0]:
        raise DataError(f"{root}: class {lacking[0]!r} has no other pictures, and {notices[0]}")
    if not found:
        raise DataError(
            f"{root}: no images found; put pictures (JPEG, PNG, WebP, TIFF, ...) in one folder per class"
            + "".join(f"; {notice}" for notice in notices)
        )
    return found, notices


def are_mirrored(classes: Iterable[str]) -> bool:
    """Return whether some classes differ in left and right alone: mirroring a picture would change its class.

    >>> are_mirrored(["turn left", "turn right", "stop"]), are_mirrored(["left luggage", "hat"])
    (True, False)
    """
    words = {tuple(re.findall(r"[^\W_]+", name.lower())) for name in classes}
    return any(
        set(name) & SIDES.keys() and tuple(SIDES.get(word, word) for word in name) in words - {name} for name in words
    )


def _left_out(others: Counter[str]) -> tuple[str, ...]:
    heic = sum(others.pop(suffix, 0) for suffix in HEIC_SUFFIXES)
    notices = [f"{heic:,} HEIC pictures are left out; `{HEIC_EXTRA}` reads them"] if heic else []
    if others:
        listed = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(others.items()))
        notices.append(f"files whose names are of no picture are left out: {listed}")
    return tuple(notices)


def _folders(base: Path) -> list[Path]:
    return sorted(path for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    files = folder.rglob("*") if folder.is_dir() else ()
    return sorted(f for f in files if f.is_file() and not f.name.startswith(".") and f.name.lower() not in LEAVINGS)
