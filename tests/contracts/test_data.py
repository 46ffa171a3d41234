"""Every data source, by existing: splits, order, resuming, normalisation, counted test reads, no network."""

import inspect
import socket

import numpy as np
import pytest
import torch

from edgenas.data.base import Data, Split, preprocess
from edgenas.system import plugins
from tests.data import writers

WRITERS = {
    "fashion-mnist": writers.write_fashion_mnist,
    "cifar10": writers.write_cifar10,
    "cifar100": writers.write_cifar100,
    "npz": writers.write_npz,
    "folder": writers.write_folder,
}
BATCH = 4


def build(name: str, root, **changes) -> Data:
    settings = {
        "seed": 0,
        "image_size": None,
        "validation_share": 0.2,
        "download": False,
        "strict": False,
        "device": "cpu",
    }
    return plugins.load("data", name).build(root=root, **{**settings, **changes})


@pytest.fixture(scope="module", autouse=True)
def no_cache_is_left(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", params=plugins.names("data"))
def source(request, tmp_path_factory):
    """Name and root: a tiny copy on disk, or nothing for sources that bring their own images."""
    write = WRITERS.get(request.param)
    return request.param, write(tmp_path_factory.mktemp("data")) if write else None


@pytest.fixture(scope="module")
def data(source) -> Data:
    return build(*source)


def stream(split: Split, **changes) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(split.batches(BATCH, **{"size": 16, "epoch": 0, "seed": 0, "augment": True, "limit": 6, **changes}))


def same(left, right) -> bool:
    pairs = list(zip(left, right, strict=True))
    return bool(pairs) and all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


def test_build_has_the_common_signature(source):
    parameters = inspect.signature(plugins.load("data", source[0]).build).parameters
    # What else a source takes is left to it: `photos` is for sources of files.
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    assert set(parameters) - set(needed) <= {"photos"}
    assert needed == ["root", "seed", "image_size", "validation_share", "download", "strict", "device"]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())


def test_building_opens_no_socket(source, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    build(*source)


def test_splits_are_disjoint_and_stratified(data):
    splits = {"train": data.train, "validation": data.validation, "test": data.held_out}
    rows = np.concatenate([split.rows for split in splits.values()])
    assert len(np.unique(rows)) == len(rows)
    counts = {key: np.bincount(split.labels.numpy(), minlength=len(data.classes)) for key, split in splits.items()}
    assert all((count > 0).all() for count in counts.values())
    both = counts["train"] + counts["validation"]
    share = counts["validation"].sum() / both.sum()
    assert np.abs(counts["validation"] - share * both).max() <= 1


def test_another_seed_cuts_otherwise(source, data):
    assert np.array_equal(build(*source).train.rows, data.train.rows)
    assert set(build(*source, seed=1).validation.rows) != set(data.validation.rows)


def test_batches_have_the_stated_form(data):
    for x, y in stream(data.train, size=12):
        assert x.shape == (BATCH, data.shape[0], 12, 12) and x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert torch.isfinite(x).all()
        assert y.shape == (BATCH,) and y.dtype == torch.int64


def test_labels_belong_to_the_data_set(data):
    for split in (data.train, data.validation, data.held_out):
        assert split.labels.shape == (len(split),) and split.labels.dtype == torch.int64
        assert 0 <= int(split.labels.min()) and int(split.labels.max()) < len(data.classes)


def test_batches_are_the_preprocessed_images(data):
    (x, y), *_ = data.train.batches(BATCH, size=data.shape[1])
    images = data.train.images(range(BATCH))
    assert images.dtype == np.uint8 and images.shape == (BATCH, *data.shape)
    by_hand = (images / 255 - np.reshape(data.mean, (-1, 1, 1))) / np.reshape(data.std, (-1, 1, 1))
    np.testing.assert_allclose(x.numpy(), by_hand, atol=1e-5)
    assert torch.equal(preprocess(images, data.shape[1], data.mean, data.std), x)
    assert torch.equal(y, data.train.labels[:BATCH])


def test_same_seed_same_batches(source, data):
    assert same(stream(data.train), stream(build(*source).train))


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_is_another_order(data, change):
    assert not same(stream(data.train, augment=False), stream(data.train, augment=False, **change))


def test_augmentation_changes_images_but_not_labels(data):
    plain, augmented = stream(data.train, augment=False), stream(data.train)
    assert all(torch.equal(y, z) for (_, y), (_, z) in zip(plain, augmented, strict=True))
    assert not same(plain, augmented)


@pytest.mark.parametrize("start", [1, 2])
def test_start_is_the_uninterrupted_stream_continued(data, start):
    assert same(stream(data.train, start=start, limit=1), stream(data.train)[start : start + 1])


@pytest.mark.parametrize("changes", [{}, {"augment": False}, {"cutout": 0.5}, {"epoch": None, "augment": False}])
def test_a_part_is_that_of_the_whole_batch(data, changes):
    whole = stream(data.train, limit=2, **changes)
    for part in (slice(0, 3), slice(3, BATCH)):
        assert same([(x[part], y[part]) for x, y in whole], stream(data.train, limit=2, part=part, **changes))


def test_an_epoch_draws_each_row_at_most_once_and_drops_the_rest(data):
    batches = stream(data.validation, augment=False, limit=None)
    assert len(batches) == max(1, len(data.validation) // BATCH)
    kept = sum(len(y) for _, y in stream(data.validation, epoch=None, augment=False, limit=None))
    assert kept == len(data.validation)


def test_batches_leave_global_randomness_alone(data):
    before = torch.get_rng_state()
    stream(data.train)
    assert torch.equal(torch.get_rng_state(), before)


def test_test_reads_are_counted(source):
    data = build(*source)
    assert data.test_reads == 0
    assert len(data.test()) == len(data.test()) == len(data.held_out)
    assert data.test_reads == 2
