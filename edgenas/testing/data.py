"""What every data set promises: splits, order, batches that can be resumed, and test images that are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgenas.data.base import Data, Split
from edgenas.testing.toy import require

BATCH, STEPS, SIZE = 4, 6, 16  # images a batch, batches, and their side in pixels

Batches = list[tuple[Tensor, Tensor]]


def data_contract(build: Callable[..., Data], root: Path | None = None, **settings: Any) -> None:
    """Check that a data set keeps all that trainings rely on.

    Args:
        build: what makes it, called as a data plugin's: root, seed, image_size, validation_share, download, strict and
            device by name.
        root: where its files are.
        settings: other values than seed 0, the images' own size, a validation share of 0.2, no download and the CPU.

    Raises:
        AssertionError: it does not keep the contract; the sentence says where.

    >>> from edgenas.data import digits
    >>> data_contract(digits.build)
    """
    values: dict[str, Any] = {
        "seed": 0,
        "image_size": None,
        "validation_share": 0.2,
        "download": False,
        "strict": False,
        "device": "cpu",
        **settings,
    }
    data = build(root=root, **values)
    splits_are_disjoint_and_stratified(data)
    batches_have_the_stated_form(data)
    batches_follow_from_seed_and_epoch(data)
    parts_are_those_of_the_whole(data)
    again, other = build(root=root, **values), build(root=root, **values | {"seed": values["seed"] + 1})
    require(same(stream(data.train), stream(again.train)), "built again, it gives other batches")
    require(set(other.validation.rows) != set(data.validation.rows), "another seed cuts the same validation split")
    reads_of_test_images_are_counted(again)


def stream(split: Split, **changes: Any) -> Batches:
    """Return the first batches of a split."""
    chosen = {"size": SIZE, "epoch": 0, "seed": 0, "augment": True, "limit": STEPS, **changes}
    return list(split.batches(BATCH, **chosen))


def same(left: Batches, right: Batches) -> bool:
    """Return whether two streams have equal batches, at least one."""
    pairs = list(zip(left, right, strict=True))
    # Two streams without a batch are equal as well, and would prove nothing.
    return bool(pairs) and all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


def splits_are_disjoint_and_stratified(data: Data) -> None:
    """No image is in two splits, each class is in all, and validation has its share of each."""
    splits = {"train": data.train, "validation": data.validation, "test": data.held_out}
    rows = np.concatenate([split.rows for split in splits.values()])
    require(len(np.unique(rows)) == len(rows), "an image is in two splits")
    counts = {name: np.bincount(split.labels.numpy(), minlength=len(data.classes)) for name, split in splits.items()}
    for name, split in splits.items():
        require(split.labels.shape == (len(split),) and split.labels.dtype == torch.int64, f"{name}: labels not (N,)")
        require(len(counts[name]) == len(data.classes), f"{name}: a label beyond the {len(data.classes)} classes")
        require((counts[name] > 0).all(), f"{name}: a class without images")
    both = counts["train"] + counts["validation"]
    share = counts["validation"].sum() / both.sum()
    # Whole images can miss the share of a class by one.
    require(np.abs(counts["validation"] - share * both).max() <= 1, "validation does not have its share of each class")


def batches_have_the_stated_form(data: Data) -> None:
    """Images are finite float32 (B, C, size, size), channels last; labels are int64 (B,)."""
    # Only seed and epoch may decide: what else the program draws must not change the batches, nor they that.
    before = torch.get_rng_state()
    for x, y in stream(data.train):
        require(x.shape == (BATCH, data.shape[0], SIZE, SIZE), f"images of shape {tuple(x.shape)}")
        require(x.dtype == torch.float32 and torch.isfinite(x).all(), "images that are no finite float32")
        require(x.is_contiguous(memory_format=torch.channels_last), "images that are not channels last")
        require(y.shape == (BATCH,) and y.dtype == torch.int64, "labels that are not (B,) int64")
    require(torch.equal(torch.get_rng_state(), before), "batches draw from torch's global generator")


def batches_follow_from_seed_and_epoch(data: Data) -> None:
    """Order follows from (seed, epoch), a later start continues it, and augmentation leaves labels alone."""
    augmented, plain = stream(data.train), stream(data.train, augment=False)
    require(same(augmented, stream(data.train)), "asked twice, it gives other batches")
    for change in ({"epoch": 1}, {"seed": 1}):
        require(not same(plain, stream(data.train, augment=False, **change)), f"{change} gives the same order")
    labels = all(torch.equal(y, z) for (_, y), (_, z) in zip(plain, augmented, strict=True))
    require(labels, "augmentation changes the labels")
    for start in (1, 2):
        require(same(stream(data.train, start=start, limit=1), augmented[start : start + 1]), "start does not continue")
    # A training leaves out images that do not fill a batch; an accuracy is over all of them.
    kept = sum(len(y) for _, y in stream(data.validation, epoch=None, augment=False, limit=None))
    require(kept == len(data.validation), "without an epoch, images are left out")


def parts_are_those_of_the_whole(data: Data) -> None:
    """The part of a batch that a process makes is what it is in the whole batch."""
    for changes in ({}, {"augment": False}, {"cutout": 0.5}):
        whole = stream(data.train, limit=2, **changes)
        # Unequal parts: an error in the offset of the second one shows.
        for part in (slice(0, 3), slice(3, BATCH)):
            cut = [(x[part], y[part]) for x, y in whole]
            require(same(cut, stream(data.train, limit=2, part=part, **changes)), "a part differs from the whole batch")


def reads_of_test_images_are_counted(data: Data) -> None:
    """Test images are only given by `test()`, which counts."""
    require(data.test_reads == 0, "test images were read before anybody asked")
    require(len(data.test()) == len(data.test()) == len(data.held_out), "test() gives other images than are held out")
    require(data.test_reads == 2, f"test() was called twice, and counted {data.test_reads} times")
