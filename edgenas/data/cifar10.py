"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour 32x32 images, 10 classes."""

from __future__ import annotations

from functools import partial

from edgenas.data.storage.cifar import Layout, build_cifar

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

build = partial(build_cifar, LAYOUT)
