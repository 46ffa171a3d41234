import os
import pickle

import numpy as np
import pytest

from edgenas.data import cifar10, cifar100
from edgenas.data.storage.cifar import load_pickle
from edgenas.errors import DataError, UsageError
from tests.data.writers import labels_of, noise, write_cifar10, write_cifar100


def build(module, root, **changes):
    settings = {
        "seed": 0,
        "image_size": None,
        "validation_share": 0.2,
        "download": False,
        "strict": False,
        "device": "cpu",
    }
    return module.build(root=root, **{**settings, **changes})


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "module, write, sizes",
    [(cifar10, write_cifar10, (120, 30, 30)), (cifar100, write_cifar100, (300, 100, 100))],
)
def test_layout(tmp_path, module, write, sizes, inside):
    write(tmp_path)
    data = build(module, tmp_path / module.LAYOUT.folder if inside else tmp_path)
    assert (len(data.train), len(data.validation), len(data.held_out)) == sizes
    assert data.shape == (3, 32, 32) and data.classes[3] == "thing 3"
    first = noise(sizes[2], 3072, seed=len(module.LAYOUT.train))[0]
    assert np.array_equal(data.held_out.images([0]).ravel(), first)


def test_missing_files_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no cifar-10-batches-py.*data-root.*--download"):
        build(cifar10, tmp_path)
    monkeypatch.delenv("EDGENAS_DATA", raising=False)
    with pytest.raises(DataError, match="not set"):
        build(cifar100, None)
    with pytest.raises(UsageError, match="data-root"):
        build(cifar100, None, download=True)


class Hostile:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "call, arguments",
    [(os.system, ("touch owned",)), (eval, ("open('owned', 'w')",)), (open, ("owned", "w")), (np.load, ("x",))],
)
def test_foreign_objects_are_refused_before_they_act(tmp_path, monkeypatch, call, arguments, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": Hostile(call, *arguments)}, protocol=protocol))
    with pytest.raises(DataError, match="it asks for"):
        load_pickle(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "content", [b"", b"text", pickle.dumps({"data": noise(9)})[:-20], pickle.dumps([1]), b"\x80\x04N."]
)
def test_broken_pickles(tmp_path, content):
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    with pytest.raises(DataError, match="test_batch: .*official file"):
        load_pickle(path)


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_and_containers_are_read(tmp_path, protocol):
    content = {"data": noise(4, 3), "labels": [1, 2], "names": ("a", b"\xff"), "more": {"none": None, "share": 0.5}}
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    loaded = load_pickle(path)
    assert np.array_equal(loaded.pop("data"), content.pop("data"))
    assert loaded == content


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"labels": labels_of(10, 3).tolist()[:-1]}, "as its labels want"),
        ({"labels": [0.5] * 30}, "no list of integers"),
        ({"labels": "0123456789" * 3}, "no list of integers"),
        ({"labels": None}, "no list of integers"),
        ({"labels": [10] * 30}, "out of range, 0 to 10 where 0 to 9"),
        ({"data": noise(30, 3072).astype(float)}, "not uint8"),
        ({"data": [[1, 2]] * 30}, "not uint8"),
    ],
)
def test_broken_batches(tmp_path, changes, reason):
    content = {"data": noise(30, 3072), "labels": labels_of(10, 3).tolist(), **changes}
    (write_cifar10(tmp_path) / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=reason):
        build(cifar10, tmp_path)


def test_names_that_no_file_can_hold_are_refused(tmp_path):
    names = [f"thing {i}" for i in range(9)] + ["caf\udce9"]
    content = pickle.dumps({"label_names": names}, protocol=4)
    (write_cifar10(tmp_path) / "cifar-10-batches-py" / "batches.meta").write_bytes(content)
    with pytest.raises(DataError, match=r"class 'caf\\udce9' is not in UTF-8"):
        build(cifar10, tmp_path)


def test_class_names_are_needed(tmp_path):
    (write_cifar10(tmp_path) / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match="no list 'label_names'"):
        build(cifar10, tmp_path)
