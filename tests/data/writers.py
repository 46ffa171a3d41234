"""Tiny data sets on disk, in the layouts that the sources read."""

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def labels_of(classes: int, each: int) -> np.ndarray:
    return np.repeat(np.arange(classes), each)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_fashion_mnist(root: Path, zipped: bool = True) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for part, each in (("train", 12), ("t10k", 4)):
        labels = labels_of(10, each)
        for name, array in (("images-idx3", noise(len(labels), 28, 28, seed=each)), ("labels-idx1", labels)):
            path = root / f"{part}-{name}-ubyte"
            if zipped:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(idx(array), compresslevel=1, mtime=0))
            else:
                path.write_bytes(idx(array))
    return root


def write_cifar10(root: Path) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        labels = labels_of(10, 3)
        content = {"data": noise(len(labels), 3072, seed=seed), "labels": labels.tolist(), "filenames": [b"x"]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"thing {i}" for i in range(10)]}, protocol=2))
    return root


def write_cifar100(root: Path) -> Path:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, each) in enumerate((("train", 4), ("test", 1))):
        labels = labels_of(100, each)
        content = {"data": noise(len(labels), 3072, seed=seed), "fine_labels": labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"thing {i}" for i in range(100)]}, protocol=2))
    return root


def write_npz(root: Path, **changes: object) -> Path:
    """60 colour images of 3 classes; a change to None leaves that array out."""
    arrays: dict[str, object] = {"images": noise(60, 12, 12, 3), "label": labels_of(3, 20), **changes}
    path = root / "toys.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def blobs(files: list[bytes]) -> dict[str, np.ndarray]:
    return {
        "blob": np.frombuffer(b"".join(files), dtype=np.uint8),
        "length": np.array([len(file) for file in files], dtype=np.int32),
    }


def write_folder(root: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 15, seed: int = 0) -> Path:
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            kind = ("png", "jpg")[i % 2]
            image = noise(20 + i, 30, 3, seed=seed + 1000 * label + i)
            (root / name / f"{i:02}.{kind}").write_bytes(encoded(image, {"png": "PNG", "jpg": "JPEG"}[kind]))
    return root
