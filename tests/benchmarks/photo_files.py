"""Pictures of an .npz file of JPEG data as files, one folder for each class, for benchmarks that take folders.

    python -m tests.benchmarks.photo_files cifar10_jpeg.npz DIR --train 5000 --test 1000

The file holds `blob`, `length`, `label`, `is_train` and `classes`. As many pictures of each class are drawn, by seed 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("npz", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=1000)
    arguments = parser.parse_args()
    with np.load(arguments.npz) as file:
        names = ("blob", "length", "label", "is_train", "classes")
        blob, length, label, is_train, classes = (file[name] for name in names)
    starts, rng = np.r_[0, np.cumsum(length)], np.random.default_rng(0)
    for split, count in (("train", arguments.train), ("test", arguments.test)):
        for number, name in enumerate(classes):
            folder = arguments.folder / split / str(name)
            folder.mkdir(parents=True)
            there = np.flatnonzero((label == number) & (is_train.astype(bool) == (split == "train")))
            for row in sorted(rng.permutation(there)[: count // len(classes)]):
                (folder / f"{row:05}.jpg").write_bytes(blob[starts[row] : starts[row + 1]].tobytes())


if __name__ == "__main__":
    main()
