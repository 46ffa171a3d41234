"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour 32x32 images, 10 classes."""

from __future__ import annotations

from pathlib import Path

from edgenas.data._base import Data
from edgenas.data._cifar import Layout, build_cifar

LAYOUT = Layout(
    name="cifar10",
    dataset="CIFAR10",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    labels="labels",
    names="label_names",
)


def build(
    *,
    root: Path | None,
    seed: int,
    size: int | None,
    validation_share: float,
    download: bool,
    strict: bool,
    device: str,
) -> Data:
    """Found in `root` or $EDGENAS_DATA as `cifar-10-batches-py`, or downloaded."""
    return build_cifar(
        LAYOUT, root=root, seed=seed, validation_share=validation_share, download=download, device=device
    )
