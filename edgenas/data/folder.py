"""Class folders of photographs, decoded once into a cache: root/<class>/*, or root/train/<class>/* and so on.

Folders of validation and test pictures beside `train` are kept; missing splits are drawn from train, seeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgenas.data.base import Augment, Data, Rows, Split
from edgenas.data.found import Found, LeftOut
from edgenas.data.storage.class_folders import Listing, are_mirrored, list_pictures
from edgenas.data.storage.class_folders import class_names as class_names
from edgenas.data.storage.copies import equal_files
from edgenas.data.storage.files import check_skipped
from edgenas.data.storage.filestore import FileStore
from edgenas.data.storage.options import PhotoOptions
from edgenas.data.storage.order import MOST_IMBALANCE, imbalance
from edgenas.data.storage.pictures import Pictures, cached_pictures
from edgenas.data.storage.splits import Splits, check_labels, split_rows
from edgenas.data.storage.squares import Squares
from edgenas.data.view import View
from edgenas.errors import UsageError

SIDE = 96  # pixels; photographs stay recognisable, and a search on a CPU takes minutes
# ImageNet's statistics fit most photographs closely enough, and save a second pass over the files.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AUGMENT = Augment(flip=True, scale=0.4)
# Share of a picture that a crop may hide, on average: of 4:3 it is a quarter, mostly background. Of 16:9 it is 44 %.
MOST_HIDDEN = 0.3


def build(
    *,
    root: Path | None,
    seed: int,
    image_size: int | None,
    validation_share: float,
    download: bool,
    strict: bool,
    device: str,
    photos: PhotoOptions = PhotoOptions(),  # noqa: B008 - it is frozen
) -> Data:
    """Return squares of `image_size` (96) pixels; every file is decoded once here, so that none can stop training.

    Raises:
        DataError: there are no such folders, too many unusable files, or one image is in two splits.
        EnvironmentFault: the disk lacks the room for the decoded pictures.
    """
    if root is None or not root.is_dir():
        raise UsageError(f"folder: no folder {root or 'named'}; give one with a folder per class as --data")
    listing = list_pictures(root)
    files, classes = tuple(file for *_, file in listing.entries), listing.classes
    side = image_size or SIDE
    pictures = cached_pictures(root, files, side, photos)
    bad = pictures.unreadable
    unreadable = [LeftOut(str(files[row].relative_to(root)), bad[row]) for row in sorted(bad)]
    check_skipped(unreadable, len(files), strict=strict, where=str(root))
    rows, labels, splits = _splits(root, listing, bad, validation_share, seed)
    view, seen = _view(pictures, photos)
    augment, mirrored = _augment(classes, photos)
    store = FileStore(
        *(files, side, MEAN, STD, augment, torch.device(device)),
        *(view, pictures, Squares(pictures.folder, files, view)),
    )
    ratio = imbalance(labels[splits.train])
    others = [LeftOut(str(file.relative_to(root)), reason) for file, reason in listing.left_out]
    left_out = (*unreadable, *sorted(splits.copies), *others)

    def part(chosen: Rows, balance: bool = False) -> Split:
        return Split(store, rows[chosen], torch.from_numpy(labels[chosen]), balance)

    return Data(
        root.resolve().name,  # resolved, because `.` has no name
        classes,
        (3, side, side),
        MEAN,
        STD,
        augment,
        part(splits.train, ratio > MOST_IMBALANCE),
        part(splits.validation),
        part(splits.test),
        view,
        (*listing.notices, *seen, *mirrored, *_balance(ratio)),
        Found(left_out, splits.drawn, pictures.sizes(), pictures.hidden(), *pictures.depth()),
    )


def _splits(root: Path, listing: Listing, bad: Mapping[int, str], share: float, seed: int) -> tuple[Rows, Rows, Splits]:
    """Return the rows of the good pictures, their labels, and the splits as positions among them."""
    rows = np.array([row for row in range(len(listing.entries)) if row not in bad], dtype=np.int64)
    kept = [listing.entries[row] for row in rows]
    where = str(root)
    labels, _ = check_labels(np.array([label for _, label, _ in kept], dtype=np.int64), listing.classes, where)
    given = {
        split: np.array([i for i, entry in enumerate(kept) if entry[0] == split], dtype=np.int64)
        for split in listing.splits
    }
    files = [file for *_, file in kept]
    splits = split_rows(
        labels,
        given,
        listing.classes,
        validation_share=share,
        seed=seed,
        where=where,
        equal=equal_files(files),
        name=lambda row: str(files[row].relative_to(root)),
    )
    return rows, labels, splits


def _view(pictures: Pictures, photos: PhotoOptions) -> tuple[View, tuple[str, ...]]:
    """Return how pictures are seen, and why, if that was decided here."""
    if photos.fit is not None:
        return View(photos.fit, pictures.white), ()
    hidden = pictures.hidden()
    view = View("crop" if hidden <= MOST_HIDDEN else "squash", pictures.white)
    return view, (
        f"--fit {view.fit} was chosen: the centred square that a crop keeps hides {hidden:.0%} of a picture on average",
    )


def _augment(classes: Sequence[str], photos: PhotoOptions) -> tuple[Augment, tuple[str, ...]]:
    """Return what training changes, and a word if mirroring is off on account of the classes' names."""
    mirrored = are_mirrored(classes)
    flip = photos.flip if photos.flip is not None else not mirrored
    notice = "--no-flip was chosen: some classes are named left and right, and mirroring would swap them"
    return replace(AUGMENT, flip=flip), (notice,) if mirrored and photos.flip is None else ()


def _balance(ratio: float) -> tuple[str, ...]:
    if ratio <= MOST_IMBALANCE:
        return ()
    return (
        f"the largest class has {ratio:.0f} times as many training images as the smallest: training draws small "
        "classes more often, each in proportion to the square root of its images",
    )
