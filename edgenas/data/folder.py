"""Class folders of JPEG and PNG files, decoded as they are needed: root/<class>/*, or root/train/<class>/* and so on.

Folders `validation` (`val`, `valid`) and `test` beside `train` are kept; missing splits are drawn from train, seeded.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from edgenas.data.base import Augment, Data, Rows, Split
from edgenas.data.storage.files import check_skipped
from edgenas.data.storage.filestore import FileStore, find_unreadable
from edgenas.data.storage.splits import check_labels, split_rows
from edgenas.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
FOLDERS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
SIDE = 96  # pixels; photographs stay recognisable, and a search on a CPU takes minutes
# ImageNet's statistics fit most photographs closely enough, and save a second pass over the files.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AUGMENT = Augment(flip=True, scale=0.4)


def build(
    *,
    root: Path | None,
    seed: int,
    image_size: int | None,
    validation_share: float,
    download: bool,
    strict: bool,
    device: str,
) -> Data:
    """Return squares of `image_size` (96) pixels; every file is decoded once here, so that none can stop training.

    Raises:
        DataError: there are no such folders, too many unusable files, or one image is in two splits.
    """
    if root is None or not root.is_dir():
        raise DataError(f"folder: no folder {root or 'named'}; give one with a folder per class as --data")
    parts, classes = _layout(root), class_names(root)
    found = [
        (split, label, file)
        for split, base in parts.items()
        for label, name in enumerate(classes)
        for file in _images(base / name)
    ]
    if not found:
        raise DataError(f"{root}: no images found; put JPEG or PNG files in one folder per class")
    files = [file for _, _, file in found]
    side = image_size or SIDE
    bad = {**_repeated(found), **find_unreadable(files, side)}
    listed = [f"{file.relative_to(root)}: {bad[file]}" for file in files if file in bad]
    skipped = check_skipped(listed, len(files), strict=strict, where=str(root))
    kept = [entry for entry in found if entry[2] not in bad]
    labels, _ = check_labels(np.array([label for _, label, _ in kept], dtype=np.int64), classes, str(root))
    given = {
        split: np.array([i for i, entry in enumerate(kept) if entry[0] == split], dtype=np.int64) for split in parts
    }
    splits = split_rows(labels, given, classes, validation_share=validation_share, seed=seed, where=str(root))
    store = FileStore(tuple(file for *_, file in kept), side, MEAN, STD, AUGMENT, torch.device(device))

    def part(rows: Rows) -> Split:
        return Split(store, rows, torch.from_numpy(labels[rows]))

    train, validation, test = map(part, (splits.train, splits.validation, splits.test))
    # Resolved, because `.` has no name.
    return Data(root.resolve().name, classes, (3, side, side), MEAN, STD, AUGMENT, train, validation, test, skipped)


def class_names(root: Path) -> tuple[str, ...]:
    """Return the names of the classes in a folder of images, sorted; no image is read."""
    return tuple(sorted({folder.name for base in _layout(root).values() for folder in _folders(base)}))


def _layout(root: Path) -> dict[str, Path]:
    """Return the folder of each split that root defines; without folders in root/train, "train" is a class."""
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


def _repeated(found: Iterable[tuple[str, int, Path]]) -> dict[Path, str]:
    """Return later copies of a file within one split, which a random split could spread over two.

    Raises:
        DataError: two splits or two classes hold the same file content.
    """
    # Files of different sizes are different: only files of one size are read for their hash. Empty ones are told apart
    # later, as files that are no images.
    by_size: Mapping[int, list[tuple[str, int, Path]]] = defaultdict(list)
    for entry in found:
        by_size[entry[2].stat().st_size].append(entry)
    seen: dict[bytes, tuple[str, int, Path]] = {}
    repeated: dict[Path, str] = {}
    for split, label, file in (entry for size, group in by_size.items() if size and len(group) > 1 for entry in group):
        first = seen.setdefault(hashlib.blake2b(file.read_bytes()).digest(), (split, label, file))
        if first[0] != split:
            raise DataError(f"{file}: the same image is {first[2]}, in {first[0]} and {split}; keep it in one split")
        if first[1] != label:
            raise DataError(f"{file}: the same image is {first[2]}, of another class; keep it in one class")
        if first[2] != file:
            repeated[file] = f"copy of {first[2].name}"
    return repeated


def _folders(base: Path) -> list[Path]:
    return sorted(path for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    files = folder.rglob("*") if folder.is_dir() else ()
    return sorted(f for f in files if f.suffix.lower() in SUFFIXES and f.is_file() and not f.name.startswith("."))
