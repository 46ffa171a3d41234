import gzip

import numpy as np
import pytest

from edgenas.data import fashion_mnist
from edgenas.errors import DataError, UsageError
from tests.data.writers import idx, labels_of, noise, write_fashion_mnist


def build(root, **changes):
    settings = {
        "seed": 0,
        "image_size": None,
        "validation_share": 0.1,
        "download": False,
        "strict": False,
        "device": "cpu",
    }
    return fashion_mnist.build(root=root, **{**settings, **changes})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", [".", "FashionMNIST/raw", "fashion-mnist"])
def test_layouts(tmp_path, place, zipped):
    write_fashion_mnist(tmp_path / place, zipped)
    data = build(tmp_path)
    assert (len(data.train), len(data.validation), len(data.held_out)) == (110, 10, 40)
    assert data.shape == (1, 28, 28) and data.classes[9] == "ankle boot"


def test_found_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGENAS_DATA", str(write_fashion_mnist(tmp_path)))
    assert len(build(None).held_out) == 40


def test_missing_files_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}/nowhere; pass .*data-root, .*dataset-fashion-mnist.*--download"):
        build(tmp_path / "nowhere")


def test_three_of_four_files_are_not_enough(tmp_path):
    (write_fashion_mnist(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="no idx files"):
        build(tmp_path)


def test_download_without_a_root_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path)
    monkeypatch.delenv("EDGENAS_DATA", raising=False)
    with pytest.raises(UsageError, match="data-root"):
        build(None, download=True)


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


BROKEN = {
    "empty": (IMAGES, b"", "cut short|unreadable"),
    "text": (IMAGES, b"text named .gz", "unreadable"),
    "truncated": (IMAGES, zipped(idx(noise(120, 28, 28)))[:-500], "unreadable"),
    "no rank": (IMAGES, zipped(b"\0\0\x08"), "unreadable"),
    "no shape": (IMAGES, zipped(b"\0\0\x08\xff"), "unreadable"),
    "one byte short": (IMAGES, zipped(idx(noise(120, 28, 28))[:-1]), "cut short"),
    "floats": (IMAGES, zipped(b"\0\0\x0d" + idx(noise(120, 28, 28))[3:]), "not an idx file of bytes"),
    "27 columns": (IMAGES, zipped(idx(noise(120, 27, 28))), "do not fit"),
    "one image less": (IMAGES, zipped(idx(noise(119, 28, 28))), "do not fit"),
    "labels of two axes": (LABELS, zipped(idx(noise(120, 1))), "do not fit"),
    "twelve classes": (LABELS, zipped(idx(labels_of(12, 10))), "out of range, 0 to 11"),
    "one class": (LABELS, zipped(idx(np.zeros(120))), "only in test, not in train"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files(tmp_path, fault):
    file, content, reason = BROKEN[fault]
    (write_fashion_mnist(tmp_path) / file).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        build(tmp_path)


def test_the_installed_set_is_complete():
    if not fashion_mnist.DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    data = build(fashion_mnist.DEBIAN)
    assert (len(data.train), len(data.validation), len(data.held_out)) == (54_000, 6_000, 10_000)
    assert np.bincount(data.train.labels).tolist() == [5400] * 10
    assert data.mean == pytest.approx((0.286,), abs=0.001)  # as published
    assert data.std == pytest.approx((0.353,), abs=0.001)
