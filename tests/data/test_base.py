import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgenas.data.base import Augment, Split, preprocess, stratified_split, subset
from edgenas.data.storage.tensor import TensorStore
from edgenas.errors import DataError
from tests.data.writers import noise


def split_of(n: int) -> Split:
    """Image i is filled with i, so that batches show which rows they hold."""
    pixels = torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    store = TensorStore(pixels, (0.0,), (1 / 255,), Augment(flip=True))
    return Split(store, np.arange(n), torch.arange(n) % 3)


def rows_seen(split: Split, **changes) -> list[list[int]]:
    return [x[:, 0, 0, 0].round().int().tolist() for x, _ in split.batches(4, **{"size": 4, **changes})]


@pytest.mark.parametrize(
    "n, changes, sizes",
    [
        (10, {}, [4, 4, 2]),
        (10, {"epoch": 0}, [4, 4]),
        (3, {"epoch": 0}, [3]),
        (10, {"start": 1}, [4, 2]),
        (10, {"start": 1, "limit": 1}, [4]),
        (10, {"limit": 0}, []),
        (10, {"start": 3}, []),
        (10, {"start": 9, "limit": 9}, []),
    ],
)
def test_batch_sizes(n, changes, sizes):
    assert [len(rows) for rows in rows_seen(split_of(n), **changes)] == sizes


def test_stored_order_without_an_epoch():
    assert rows_seen(split_of(6)) == [[0, 1, 2, 3], [4, 5]]


def test_an_epoch_is_a_permutation():
    assert sorted(sum(rows_seen(split_of(12), epoch=3, seed=5), [])) == list(range(12))


def test_augmentation_wants_an_epoch():
    with pytest.raises(ValueError, match="epoch"):
        rows_seen(split_of(6), augment=True)


def test_subset_of_a_subset():
    part = subset(subset(split_of(10), [9, 7, 5, 3]), [0, 2])
    assert rows_seen(part) == [[9, 5]]
    assert part.labels.tolist() == [0, 2]
    assert part.images([1]).flat[0] == 5


@given(
    st.lists(st.integers(3, 40), min_size=1, max_size=6),
    st.sampled_from([(0.9, 0.1), (0.7, 0.1, 0.2), (0.5, 0.5), (0.01, 0.98, 0.01)]),
    st.integers(0, 5),
)
def test_stratified_split_covers_in_proportion(counts, shares, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = stratified_split(labels, shares, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part, share in zip(parts, shares, strict=True):
        found = np.bincount(labels[part], minlength=len(counts))
        assert (found >= 1).all()
        assert (np.abs(found - share * np.array(counts)) <= len(shares)).all()


def test_imbalance_of_one_to_a_thousand_is_split():
    labels = np.array([0] * 3000 + [1] * 3)
    assert [np.bincount(labels[part]).tolist() for part in stratified_split(labels, (0.8, 0.1, 0.1), 0)] == [
        [2400, 1],
        [300, 1],
        [300, 1],
    ]


def test_a_class_smaller_than_the_splits_is_named():
    with pytest.raises(DataError, match="'rare' has 2 images for 3 splits"):
        stratified_split([0, 0, 0, 1, 1], (0.6, 0.2, 0.2), 0, ("common", "rare"))


def test_preprocess_normalises_in_the_stated_order():
    images = noise(2, 3, 5, 5)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    expected = (images / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(preprocess(images, 5, mean, std).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("size", [6, 24])
def test_preprocess_resizes_with_antialias(size):
    checkers = np.indices((12, 12)).sum(0).astype(np.uint8)[None, None] % 2 * 255
    resized = preprocess(checkers, size, (0.0,), (1.0,))
    assert resized.shape == (1, 1, size, size)
    assert float(resized.mean()) == pytest.approx(0.5, abs=0.02)
    if size < 12:  # without antialias a halved checkerboard is not grey throughout
        assert float(resized.std()) < 0.1


def test_preprocess_leaves_its_input_alone():
    images = torch.full((1, 1, 2, 2), 200.0)
    preprocess(images, 2, (0.5,), (0.5,))
    assert images.eq(200).all()


def test_cutout_hides_one_square_of_at_most_its_side_in_every_image():
    pixels = torch.full((64, 1, 16, 16), 255, dtype=torch.uint8)
    split = Split(TensorStore(pixels, (0.0,), (1.0,), Augment()), np.arange(64), torch.zeros(64, dtype=torch.int64))
    ((x, _),) = split.batches(64, size=16, epoch=0, augment=True, cutout=0.5)
    hidden = (x[:, 0] == 0).int()
    heights, widths = hidden.amax(2).sum(1), hidden.amax(1).sum(1)
    assert torch.equal(hidden.sum((1, 2)), heights * widths)  # a rectangle
    for sides in (heights, widths):
        assert sides.min() >= 4 and sides.max() == 8 and (sides == 8).sum() > 16
