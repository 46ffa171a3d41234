"""One .npz file: uint8 arrays, or JPEG and PNG blobs, with labels and, if it has them, splits and class names.

images | x         uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), where C is 1 or 3
blob, length       instead of images: uint8 bytes of all files end to end, and the length of each file
label | labels | y integers (N,)
is_train           optional: bool (N,), or 0 and 1; or `split`, strings train, val | validation, test
classes            optional: names

Splits that the file does not mark are drawn from its training images, seeded.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.data.base import Data, Pixels, Rows
from edgenas.data.found import LeftOut
from edgenas.data.storage.arrays import AUGMENT, channels_first, check_counts
from edgenas.data.storage.class_folders import FOLDERS
from edgenas.data.storage.copies import equal_images
from edgenas.data.storage.decode import Unreadable, decode, square
from edgenas.data.storage.files import check_skipped, folders
from edgenas.data.storage.npz_file import read_npz
from edgenas.data.storage.splits import check_labels, split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import DataError, UsageError

SPLIT_NAMES = {name: split for split, names in FOLDERS.items() for name in names}
# Mean size of a file from which threads pay: below, they slow decoding down, because Pillow holds the interpreter's
# lock while it parses a header.
_WORTH_THREADS_BYTES = 8_000


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
    """Read the file at `root`, or of that name in $EDGENAS_DATA; blobs become squares if `image_size` is given.

    Raises:
        DataError: there is no such file, or its contents do not fit together.
    """
    path = _find(root)
    arrays = _load(path)
    labels = np.atleast_1d(_one_of(arrays, ("label", "labels", "y"), path))
    names = _texts(arrays["classes"], "classes", path) if "classes" in arrays else None
    if "blob" in arrays:
        pixels, bad = _decode_blobs(arrays, image_size, path)
    else:
        pixels, bad = channels_first(_one_of(arrays, ("images", "x"), path), str(path)), {}
    left_out = [LeftOut(f"image {row}", reason) for row, reason in bad.items()]
    check_skipped(left_out, len(labels), strict=strict, where=str(path))
    check_counts(len(pixels) + len(bad), len(labels), str(path))
    keep = np.setdiff1d(np.arange(len(labels)), list(bad)).astype(np.int64)
    target, classes = check_labels(labels[keep], names, str(path))
    given = _given_splits(arrays, len(labels), keep, path)
    splits = split_rows(
        target,
        given,
        classes,
        validation_share=validation_share,
        seed=seed,
        where=str(path),
        equal=equal_images(pixels),
        name=lambda row: f"image {keep[row]}",
    )
    return data_from_pixels(
        path.stem, classes, pixels, target, splits, augment=AUGMENT, device=device, left_out=left_out
    )


def _find(root: Path | None) -> Path:
    if root is None:
        raise UsageError("npz: no file named; pass the .npz file as --data")
    places = [root] if root.is_absolute() else [root, *(folder / root for folder in folders(None))]
    for path in places:
        if path.is_file():
            return path
    raise UsageError(f"npz: no file {' or '.join(map(str, places))}; pass an .npz file as --data, or set $EDGENAS_DATA")


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_npz(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; write it with numpy.savez") from error


def _one_of(arrays: dict[str, NDArray[Any]], keys: tuple[str, ...], path: Path) -> NDArray[Any]:
    for key in keys:
        if key in arrays:
            return arrays[key]
    raise DataError(f"{path}: no array {' or '.join(keys)}, only {', '.join(arrays)}; add it")


def _list(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    if array.ndim != 1:
        raise DataError(f"{path}: {name} has shape {array.shape}; give a list, (N,)")
    return array


def _texts(array: NDArray[Any], name: str, path: Path) -> list[str]:
    """Return a list of texts; byte strings are read as UTF-8."""
    try:
        items = _list(array, name, path).tolist()
        return [item.decode() if isinstance(item, bytes) else str(item) for item in items]
    except ValueError as error:  # not UTF-8
        raise DataError(f"{path}: {name} holds what is no text ({error}); write texts, or bytes of UTF-8") from error


def _decode_blobs(arrays: dict[str, NDArray[Any]], size: int | None, path: Path) -> tuple[Pixels, dict[int, str]]:
    """Return the images (n, 3, H, W) that decode, and the reason by index of those that do not."""
    blob, length = arrays["blob"], arrays.get("length")
    if length is None or blob.dtype != np.uint8 or not np.issubdtype(length.dtype, np.integer) or length.ndim != 1:
        raise DataError(f"{path}: blob wants uint8 bytes and integer `length` of each file beside it")
    length = length.astype(np.int64)  # the difference of a signed and an unsigned number of 64 bits is a float
    if (length < 0).any() or length.sum() != blob.size:
        raise DataError(f"{path}: lengths do not add up to the {blob.size} bytes of blob; write the file again")
    ends = np.cumsum(length)

    def one(index: int) -> Pixels | str:
        try:
            image = decode(blob[ends[index] - length[index] : ends[index]].tobytes(), size)
        except Unreadable as error:
            return str(error)
        return np.asarray(square(image, size) if size is not None else image)

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        parallel = blob.size > _WORTH_THREADS_BYTES * len(length)
        images = list((pool.map if parallel else map)(one, range(len(length))))
    good = [image for image in images if not isinstance(image, str)]
    shapes = {image.shape for image in good}
    if len(shapes) > 1:
        raise DataError(
            f"{path}: images of {len(shapes)} shapes, like {sorted(shapes)[:2]}; give one --image-size to bring them to"
        )
    stacked = np.ascontiguousarray(np.stack(good).transpose(0, 3, 1, 2)) if good else np.empty((0, 3, 1, 1), np.uint8)
    return stacked, {index: image for index, image in enumerate(images) if isinstance(image, str)}


def _given_splits(arrays: dict[str, NDArray[Any]], total: int, keep: Rows, path: Path) -> dict[str, Rows]:
    """Return the rows of each split that the file marks; rows count the readable images only."""
    if "is_train" in arrays:
        marks = _list(arrays["is_train"], "is_train", path)
        if marks.dtype != bool and not (np.issubdtype(marks.dtype, np.integer) and np.isin(marks, (0, 1)).all()):
            raise DataError(f"{path}: is_train is {marks.dtype}; give true or false, or 1 or 0, for each image")
        names = ["train" if mark else "test" for mark in marks.tolist()]
    elif "split" in arrays:
        names = [name.lower() for name in _texts(arrays["split"], "split", path)]
    else:
        names = ["train"] * total
    unknown = sorted(set(names) - SPLIT_NAMES.keys())
    if unknown or len(names) != total:
        named = f"unknown split {unknown[0]!r}" if unknown else f"{len(names)} split marks for {total} images"
        raise DataError(f"{path}: {named}; mark each image as train, validation or test")
    plain = np.array([SPLIT_NAMES[name] for name in names])[keep]
    if "train" not in plain:
        raise DataError(f"{path}: no training images; mark some as train")
    return {str(name): np.flatnonzero(plain == name) for name in np.unique(plain)}
