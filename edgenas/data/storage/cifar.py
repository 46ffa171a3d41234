"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) in the layout that torchvision downloads: Python pickles, read safely."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.data.base import Augment, Data, Pixels
from edgenas.data.storage.copies import equal_images
from edgenas.data.storage.files import fetch, folders
from edgenas.data.storage.splits import check_labels, split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import DataError

AUGMENT = Augment(flip=True, shift=0.125)  # 4 of 32 pixels, as is usual for these sets


@dataclass(frozen=True)
class Layout:
    """The file names and dictionary keys of one of the two sets."""

    name: str
    dataset: str  # torchvision's class
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels: str
    names: str


class _ArraysOnly(pickle.Unpickler):
    """An unpickler of numpy arrays and built-in containers; it refuses any other name before it imports it."""

    def find_class(self, module: str, name: str) -> Any:
        reconstruct = np.empty(0).__reduce__()[0]
        allowed: dict[tuple[str, str], Any] = {
            # The module moved in numpy 2, and a file may name either: an array made here tells the function.
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,  # protocol 2 writes bytes as text to encode
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return allowed[module, name]


def build_cifar(
    layout: Layout,
    *,
    root: Path | None,
    seed: int,
    image_size: int | None,
    validation_share: float,
    download: bool,
    strict: bool,
    device: str,
) -> Data:
    """Return 50,000 colour images for training and validation, and 10,000 for test.

    The files are in `root` or $EDGENAS_DATA, under the layout's folder, or are downloaded.

    Raises:
        DataError: there are no such files, or they do not hold what they should.
    """
    folder = _find(layout, root)
    if folder is None and download:
        folder = _find(layout, fetch(layout.dataset, root))
    if folder is None:
        places = ", ".join(map(str, folders(root))) or "$EDGENAS_DATA (not set)"
        raise DataError(
            f"{layout.name}: no {layout.folder} in {places}; pass its parent as --data-root, or add --download"
        )
    names = load_pickle(folder / layout.meta).get(layout.names)
    if not isinstance(names, list):
        raise DataError(f"{folder / layout.meta}: no list {layout.names!r}; fetch the official file again")
    classes = tuple(map(str, names))
    parts = [_batch(folder / file, layout.labels) for file in (*layout.train, layout.test)]
    pixels = np.concatenate([images for images, _ in parts])
    labels, _ = check_labels(np.concatenate([numbers for _, numbers in parts]), classes, layout.name)
    rows = np.arange(len(labels))
    trained = len(labels) - len(parts[-1][1])
    splits = split_rows(
        labels,
        {"train": rows[:trained], "test": rows[trained:]},
        classes,
        validation_share=validation_share,
        seed=seed,
        where=layout.name,
        equal=equal_images(pixels),
        is_published=True,
    )
    return data_from_pixels(layout.name, classes, pixels, labels, splits, augment=AUGMENT, device=device)


def load_pickle(path: Path) -> Mapping[str, object]:
    """Return the dictionary in a pickle of arrays and built-in containers.

    Raises:
        DataError: the file is unreadable, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            # The official files were written by Python 2, whose byte strings only this encoding reads back unchanged.
            content = _ArraysOnly(file, encoding="latin1").load()
    # A hostile pickle can fail in any way; none of them may pass for data.
    except Exception as error:
        raise DataError(f"{path}: refused as a CIFAR pickle ({error}); fetch the official file again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not a dictionary; fetch the official file again")
    return content


def _batch(path: Path, labels: str) -> tuple[Pixels, NDArray[Any]]:
    content = load_pickle(path)
    pixels, numbers = content.get("data"), content.get(labels)
    if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
        raise DataError(f"{path}: no list of integers {labels!r}; fetch the official file again")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (len(numbers), 3072):
        raise DataError(f"{path}: 'data' is not uint8 ({len(numbers)}, 3072) as its labels want; fetch the file again")
    return pixels.reshape(-1, 3, 32, 32), np.array(numbers)


def _find(layout: Layout, root: Path | None) -> Path | None:
    for base in folders(root):
        for folder in (base / layout.folder, base):
            if all((folder / file).is_file() for file in (*layout.train, layout.test, layout.meta)):
                return folder
    return None


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")
