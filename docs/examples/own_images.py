"""Search a model for your own images, and use it.

    python docs/examples/own_images.py photos --budget-ms 8

`photos` has a folder for each class, or is an .npz file. Without an argument, the example draws two classes of images
and takes its smallest settings: a latency table that comes with edgenas in place of measuring this machine, and little
training.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import edgenas


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", help="folder with a folder for each class, or an .npz file")
    parser.add_argument("--budget-ms", type=float, default=8.0)
    parser.add_argument("--image-size", type=int, default=96, help="side in pixels of a folder's images")
    args = parser.parse_args()
    if args.photos is None:
        with tempfile.TemporaryDirectory() as folder:
            x, y = drawn()
            result = edgenas.search(
                (x, y),
                budget_ms=1.0,
                device="amd-epyc-zen4",
                trials=4,
                shape_choices=1,
                supernet_epochs=1,
                finalists=1,
                final_epochs=8,
                int8=False,
                output=Path(folder) / "run",
            )
            report(result, x[:4])
    else:
        result = edgenas.search(args.photos, budget_ms=args.budget_ms, image_size=args.image_size, progress=True)
        report(result, next(Path(args.photos).glob("*/*")) if Path(args.photos).is_dir() else None)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return 120 grey images (N, 32, 32) of bars that lie and bars that stand, and their classes (N,)."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 80, (120, 32, 32), dtype=np.uint8)
    y = np.arange(120) % 2
    for image, stands in zip(x, y, strict=True):
        row, column = rng.integers(4, 20, 2)
        if stands:
            image[row - 4 : row + 12, column : column + 3] = 220
        else:
            image[column : column + 3, row - 4 : row + 12] = 220
    return x, y


def report(result: edgenas.Result, images: object) -> None:
    """Print what was found, and what the delivered file says of some images."""
    latency = result.measured_ms or result.predicted_ms
    print(f"{latency:.3f} of {result.budget_ms:g} ms, test accuracy {100 * result.test_accuracy:.1f} %")
    print(f"the bundle is in {result.path}; {len(result.front)} architectures are on the front")
    if images is not None:
        predictions = result.model(images)
        print(*predictions.labels, predictions.probabilities.max(axis=1).round(2))


if __name__ == "__main__":
    main()
