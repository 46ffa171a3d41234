"""Fashion-MNIST (Xiao et al., 2017, arXiv:1708.07747): 70,000 grey 28x28 images of clothing, in four idx files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgenas.data.base import Augment, Data, Pixels
from edgenas.data.storage.copies import equal_images
from edgenas.data.storage.files import fetch, folders
from edgenas.data.storage.splits import check_labels, split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import DataError

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
# No shifts: the garments are centred, and shifts cost two points in a training of a few epochs.
AUGMENT = Augment(flip=True)


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
    """Return 60,000 images for training and validation, and 10,000 for test.

    Raises:
        DataError: there are no such files, or they do not hold what they should.
    """
    files = _find(root)
    if files is None and download:
        files = _find(fetch("FashionMNIST", root))
    if files is None:
        places = ", ".join(map(str, folders(root, DEBIAN)))
        raise DataError(
            f"fashion-mnist: no idx files in {places}; pass their folder as --data-root, install the Debian package"
            " dataset-fashion-mnist, or add --download"
        )
    images, labels, test_images, test_labels = map(read_idx, files)
    for file, part, numbers in ((files[0], images, labels), (files[2], test_images, test_labels)):
        if part.shape != (*numbers.shape, 28, 28):
            raise DataError(f"{file}: images {part.shape} do not fit labels {numbers.shape}; fetch the files again")
    target, classes = check_labels(np.concatenate([labels, test_labels]), CLASSES, "fashion-mnist")
    rows = np.arange(len(target))
    given = {"train": rows[: len(labels)], "test": rows[len(labels) :]}
    pixels = np.concatenate([images, test_images])[:, None]
    splits = split_rows(
        target,
        given,
        classes,
        validation_share=validation_share,
        seed=seed,
        where="fashion-mnist",
        equal=equal_images(pixels),
        is_published=True,
    )
    return data_from_pixels("fashion-mnist", classes, pixels, target, splits, augment=AUGMENT, device=device)


def read_idx(path: Path) -> Pixels:
    """Return the uint8 array of an idx file, plain or gzipped.

    Raises:
        DataError: not idx, not uint8, or cut short.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        # Two zero bytes, the type of the numbers (8 is uint8), how many dimensions, then the size of each, big-endian.
        rank = content[3]
        shape = struct.unpack_from(f">{rank}I", content, 4)
    except (OSError, EOFError, zlib.error, IndexError, struct.error) as error:
        raise DataError(f"{path}: unreadable ({error}); fetch the file again") from error
    body = len(content) - 4 - 4 * rank
    if content[:3] != b"\0\0\x08" or body != math.prod(shape):
        raise DataError(
            f"{path}: not an idx file of bytes, or cut short ({body} bytes for {shape}); fetch the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)


def _find(root: Path | None) -> list[Path] | None:
    """Return the four files from one folder: as downloaded, unpacked, or in torchvision's layout."""
    for base in folders(root, DEBIAN):
        for folder in (base, base / "fashion-mnist", base / "FashionMNIST" / "raw"):
            found = [next((f for f in (folder / part, folder / f"{part}.gz") if f.is_file()), None) for part in PARTS]
            if None not in found:
                return [file for file in found if file is not None]
    return None
