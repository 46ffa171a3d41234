"""CIFAR-100 (Krizhevsky, 2009): 60,000 colour 32x32 images, 100 classes (the fine labels)."""

from __future__ import annotations

from functools import partial

from edgenas.data.storage.cifar import Layout, build_cifar

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

build = partial(build_cifar, LAYOUT)
