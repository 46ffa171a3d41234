import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgenas.data import npz
from edgenas.errors import DataError, UsageError
from tests.data.writers import blobs, encoded, labels_of, noise, write_npz

LABELS = labels_of(3, 20)


def build(root, **changes):
    settings = {
        "seed": 0,
        "image_size": None,
        "validation_share": 0.2,
        "download": False,
        "strict": False,
        "device": "cpu",
    }
    return npz.build(root=root, **{**settings, **changes})


def sizes(data):
    return len(data.train), len(data.validation), len(data.held_out)


@pytest.mark.parametrize(
    "images, shape",
    [
        (noise(60, 9, 8), (1, 9, 8)),
        (noise(60, 9, 8, 1), (1, 9, 8)),
        (noise(60, 9, 8, 3), (3, 9, 8)),
        (noise(60, 3, 9, 8), (3, 9, 8)),
        (noise(60, 1, 9, 8), (1, 9, 8)),
        (np.arange(60, dtype=np.uint8).reshape(60, 1, 1), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("key", ["images", "x"])
def test_array_layouts(tmp_path, images, shape, key):
    data = build(write_npz(tmp_path, **{"images": None, key: images}))
    assert data.shape == shape and data.name == "toys"
    first = images[data.train.rows[0]]
    expected = first.transpose(2, 0, 1) if first.shape == (*shape[1:], shape[0]) else first.reshape(shape)
    assert np.array_equal(data.train.images([0])[0], expected)


@pytest.mark.parametrize("key", ["label", "labels", "y"])
def test_label_keys(tmp_path, key):
    data = build(write_npz(tmp_path, **{"label": None, key: LABELS}))
    assert np.array_equal(data.train.labels, LABELS[data.train.rows])


PARTS = np.tile(["train", "train", "train", "val", "test"], 12)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, (36, 12, 12)),
        ({"is_train": PARTS != "test"}, (39, 9, 12)),
        ({"is_train": (PARTS != "test").astype(np.uint8)}, (39, 9, 12)),
        ({"split": PARTS}, (36, 12, 12)),
        ({"split": PARTS.astype("S")}, (36, 12, 12)),
        ({"split": np.where(PARTS == "val", "validation", "train")}, (39, 12, 9)),
    ],
)
def test_splits(tmp_path, changes, expected):
    data = build(write_npz(tmp_path, **changes))
    assert sizes(data) == pytest.approx(expected, abs=1)
    if "split" in changes:
        assert set(changes["split"][data.validation.rows].astype(str)) <= {"val", "validation"}


def test_class_names(tmp_path):
    assert build(write_npz(tmp_path, classes=["ant", "bee", "cow"])).classes == ("ant", "bee", "cow")
    names = ("ant", "b\u00e9e", "cow")
    assert build(write_npz(tmp_path, classes=[name.encode() for name in names])).classes == names
    assert build(write_npz(tmp_path)).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"images": None}, "no array images or x, only label"),
        ({"label": None}, "no array label or labels or y"),
        ({"images": noise(60, 12, 12, 3) / 255}, "images are float64; store them as uint8"),
        ({"images": np.full((60, 4, 4), np.nan)}, "images are float64 with NaN"),
        ({"images": noise(60, 12, 12, 4)}, "not clearly NHW"),
        ({"images": noise(60, 3, 12, 3)}, "not clearly NHW"),
        ({"images": noise(60, 144)}, "not clearly NHW"),
        ({"images": noise(59, 12, 12)}, "59 images but 60 labels"),
        ({"label": LABELS.astype(float) * np.nan}, "60 labels are NaN"),
        ({"label": LABELS - 1}, "out of range, -1 to 1"),
        ({"label": LABELS, "classes": ["ant", "bee"]}, "out of range, 0 to 2 where 0 to 1"),
        ({"label": LABELS, "classes": ["ant", "bee", "cow", "dog"]}, "class 'dog' has no images"),
        ({"label": LABELS * 0}, "only one class"),
        ({"label": LABELS * 2}, "class 1 has no images"),
        ({"label": 3}, "60 images but 1 labels"),
        ({"label": np.r_[[3, 3], LABELS[2:]]}, "class '3' has 2 images for 3 splits"),
        ({"label": np.array([{}] * 60)}, "plain arrays"),
        ({"split": np.full(60, "night")}, "unknown split 'night'"),
        ({"split": np.full(59, "train")}, "59 split marks for 60 images"),
        ({"is_train": np.zeros(60, dtype=bool)}, "no training images"),
        ({"is_train": np.full(60, "False")}, "is_train is <U5; give true or false"),
        ({"is_train": np.full(60, np.nan)}, "is_train is float64; give true or false"),
        ({"is_train": np.full(60, 2)}, "is_train is int64; give true or false"),
        ({"is_train": np.ones((60, 2), dtype=bool)}, r"is_train has shape \(60, 2\); give a list"),
        ({"split": np.full((60, 1), "train")}, r"split has shape \(60, 1\); give a list"),
        ({"label": LABELS, "classes": "ant"}, r"classes has shape \(\); give a list"),
        ({"label": LABELS, "classes": ["ant", "bee", "ant"]}, "two classes are named 'ant'"),
        ({"label": LABELS, "classes": [b"ant", b"b\xe9e", b"cow"]}, "classes holds what is no text .*bytes of UTF-8"),
        ({"label": LABELS, "classes": np.full(3, 2**21).view("U1")}, "classes holds what is no text"),
        ({"label": LABELS, "classes": ["ant", "b\udce9e", "cow"]}, r"class 'b\\udce9e' is not in UTF-8"),
        ({"label": LABELS, "split": [b"tr\xe9in"] * 60}, "split holds what is no text"),
        ({"is_train": LABELS != 2}, "class '2' is only in test, not in train"),
        ({"split": np.where(LABELS == 2, "val", "train")}, "no validation images|only in validation"),
    ],
)
def test_unusable_contents(tmp_path, changes, reason):
    with pytest.raises(DataError, match=reason):
        build(write_npz(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short", np.lib.format.magic(1, 0)])
def test_other_files_named_npz(tmp_path, content):
    path = tmp_path / "toys.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable .npz"):
        build(path)


def test_a_member_that_is_no_array_is_named(tmp_path):
    path = write_npz(tmp_path, label=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("label.npy", b"/etc/hostname")
    with pytest.raises(DataError, match="label in it is no array"):
        build(path)


def test_a_flipped_byte_is_noticed(tmp_path):
    path = write_npz(tmp_path)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable .npz"):
        build(path)


def test_a_relative_name_is_looked_up(tmp_path, monkeypatch):
    write_npz(tmp_path)
    monkeypatch.setenv("EDGENAS_DATA", str(tmp_path))
    assert sizes(build(Path("toys.npz"))) == (36, 12, 12)
    with pytest.raises(UsageError, match="no file absent.npz or .*absent.npz; pass"):
        build(Path("absent.npz"))
    with pytest.raises(UsageError, match="as --data"):
        build(None)


def write_blobs(root: Path, files: list[bytes], **changes) -> Path:
    labels = np.arange(len(files)) % 3
    return write_npz(root, **{"images": None, "label": labels, **blobs(files), **changes})


def files_of(n: int) -> list[bytes]:
    return [encoded(noise(6, 7, 3, seed=i)) for i in range(n)]


def test_blobs_are_decoded(tmp_path):
    data = build(write_blobs(tmp_path, files_of(60)))
    assert data.shape == (3, 6, 7)
    row = int(data.train.rows[0])
    assert np.array_equal(data.train.images([0])[0], noise(6, 7, 3, seed=row).transpose(2, 0, 1))


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.uint64])
def test_lengths_are_integers_of_any_kind(tmp_path, kind):
    files = files_of(60)
    assert sum(sizes(build(write_blobs(tmp_path, files, length=np.array(list(map(len, files)), kind))))) == 60


@pytest.mark.parametrize("bad", [b"", b"text", files_of(1)[0][:40]])
def test_few_broken_blobs_are_skipped_and_named(tmp_path, bad):
    files = files_of(120)
    files[7], files[11] = bad, files[8]
    path = write_blobs(tmp_path, files)
    data = build(path)
    assert [one.name for one in data.found.left_out] == ["image 7", "image 11"]
    assert sum(sizes(data)) == 118
    images = data.validation.images(range(len(data.validation)))
    originals = {noise(6, 7, 3, seed=i).transpose(2, 0, 1).tobytes(): i % 3 for i in range(120)}
    assert [originals[image.tobytes()] for image in images] == data.validation.labels.tolist()
    with pytest.raises(DataError, match="1 of 120 images unusable, strict"):
        build(path, strict=True)


def test_many_broken_blobs_stop(tmp_path):
    with pytest.raises(DataError, match="2 of 60 images unusable.*image 0"):
        build(write_blobs(tmp_path, [b"", b"", *files_of(58)]))
    with pytest.raises(DataError, match="60 of 60 images unusable"):
        build(write_blobs(tmp_path, [b""] * 60))


def test_blobs_of_several_shapes_need_a_size(tmp_path):
    path = write_blobs(tmp_path, [encoded(noise(6 + i % 2, 7, 3, seed=i)) for i in range(60)])
    with pytest.raises(DataError, match="2 shapes.*give one --image-size"):
        build(path)
    assert build(path, image_size=5).shape == (3, 5, 5)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"length": None}, "length"),
        ({"length": np.ones(60)}, "length"),
        ({"length": np.full(60, 10)}, "do not add up"),
        ({"length": np.r_[-5, np.full(59, 10)]}, "do not add up"),
        ({"blob": np.zeros(9)}, "uint8"),
        ({"label": LABELS[:50]}, "60 images but 50 labels"),
    ],
)
def test_blobs_that_do_not_fit(tmp_path, changes, reason):
    with pytest.raises(DataError, match=reason):
        build(write_blobs(tmp_path, files_of(60), **changes))


def test_cifar10_as_jpeg(tmp_path):
    """Every 100th image of the real file, in its own layout."""
    path = Path(os.environ.get("EDGENAS_DATA", "")) / "cifar10_jpeg.npz"
    if not path.is_file():
        pytest.skip("$EDGENAS_DATA has no cifar10_jpeg.npz")
    with np.load(path) as real:
        arrays = {key: real[key] for key in real.files}
    ends = np.cumsum(arrays["length"], dtype=np.int64)
    files = [arrays["blob"][ends[i] - arrays["length"][i] : ends[i]].tobytes() for i in range(0, len(ends), 100)]
    rest = {key: array[::100] for key, array in arrays.items() if len(array) == len(ends)}
    data = build(write_npz(tmp_path, images=None, **{**rest, "classes": arrays["classes"], **blobs(files)}))
    assert sizes(data) == (400, 100, 100)
    assert data.shape == (3, 32, 32) and data.classes[0] == "airplane" and not data.found.left_out
    assert np.bincount(data.validation.labels).tolist() == [10] * 10
    assert data.mean == pytest.approx((0.491, 0.482, 0.447), abs=0.03)  # as published for CIFAR-10


def test_an_array_that_promises_more_than_anybody_has_room_for_is_refused(tmp_path):
    """A bomb: some hundred bytes whose header says 60 TB."""
    header = io.BytesIO()
    shape = (60, 10**6, 10**6)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    path = write_npz(tmp_path, images=None)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(DataError, match="not a readable .npz"):
        build(path)
