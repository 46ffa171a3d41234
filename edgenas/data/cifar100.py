"""CIFAR-100 (Krizhevsky, 2009): 60,000 colour 32x32 images, 100 classes (the fine labels)."""

from __future__ import annotations

from pathlib import Path

from edgenas.data._base import Data
from edgenas.data._cifar import Layout, build_cifar

LAYOUT = Layout(
    name="cifar100",
    dataset="CIFAR100",
    folder="cifar-100-python",
    train=("train",),
    test="test",
    meta="meta",
    labels="fine_labels",
    names="fine_label_names",
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
    """Found in `root` or $EDGENAS_DATA as `cifar-100-python`, or downloaded."""
    return build_cifar(
        LAYOUT, root=root, seed=seed, validation_share=validation_share, download=download, device=device
    )
