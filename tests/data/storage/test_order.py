import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.data.storage.order import balanced, imbalance, permutation

counts_of_classes = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def labels_of(counts) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


@given(counts_of_classes, st.integers(0, 3), st.integers(0, 3))
def test_a_balanced_epoch_has_every_class_and_as_many_images(counts, seed, epoch):
    labels = labels_of(counts)
    drawn = balanced(labels, seed, epoch)
    assert len(drawn) == len(labels) and set(labels[drawn]) == set(labels)
    assert np.array_equal(drawn, balanced(labels, seed, epoch))
    for label in set(labels):
        times = np.bincount(drawn, minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1  # all of a class before any of it again


@pytest.mark.parametrize("counts, drawn", [((100, 1), (92, 9)), ((90, 10), (75, 25)), ((7, 7), (7, 7))])
def test_shares_are_roots(counts, drawn):
    labels = labels_of(counts)
    assert tuple(np.bincount(labels[balanced(labels, 0, 0)])) == drawn


def test_a_large_class_gives_another_part_each_epoch():
    labels = labels_of((100, 1))
    seen = set(np.concatenate([balanced(labels, 0, epoch) for epoch in range(9)]))
    assert seen == set(range(101))


@pytest.mark.parametrize("labels, ratio", [([0] * 30 + [2] * 3, 10.0), ([1], 1.0)])
def test_imbalance(labels, ratio):
    assert imbalance(np.array(labels)) == ratio


def test_a_permutation_follows_from_seed_and_epoch():
    assert np.array_equal(permutation(9, 1, 2), permutation(9, 1, 2))
    assert not np.array_equal(permutation(9, 1, 2), permutation(9, 1, 3))
