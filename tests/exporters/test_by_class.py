"""Figures by class: recall, confusion, and what is never found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.exporters.by_class import MOST_CLASSES, ByClass, by_class


def figures(pairs, classes):
    true, predicted = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return by_class(true, predicted, classes)


@pytest.mark.parametrize(
    "pairs, recall, balanced, lost",
    [
        ([(0, 0), (0, 1), (1, 1)], (0.5, 1.0), 0.75, ()),
        ([(0, 0), (1, 0), (1, 0)], (1.0, 0.0), 0.5, (1,)),
        ([(0, 0), (0, 0)], (1.0, None), 1.0, ()),  # a class without an image is not lost
        ([(1, 0)], (None, 0.0), 0.0, (1,)),
    ],
)
def test_recall(pairs, recall, balanced, lost):
    found = figures(pairs, 2)
    assert (found.recall, found.balanced_accuracy, found.never_found) == (recall, balanced, lost)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_the_matrix_counts_every_image_once(pairs):
    found = figures(pairs, 5)
    matrix = np.array(found.confusion)
    assert all(matrix[i, j] == pairs.count((i, j)) for i in range(5) for j in range(5))
    assert found.images == tuple(matrix.sum(axis=1)) and found.correct == tuple(matrix.diagonal())
    assert found.accuracy == sum(i == j for i, j in pairs) / len(pairs)


def test_a_matrix_of_many_classes_is_not_kept():
    assert figures([(0, 0)], MOST_CLASSES).confusion is not None
    found = figures([(0, 0), (MOST_CLASSES, 1)], MOST_CLASSES + 1)
    assert found.confusion is None and found.never_found == (MOST_CLASSES,)


@pytest.mark.parametrize("correct, warned", [((3, 1, 0), False), ((3, 0, 0), True)])
def test_a_class_that_is_never_found_is_a_warning(correct, warned):
    lines = ByClass((4, 5, 0), correct, None).warnings(["cat", "dog", "no image"])
    assert [line.split(";")[0] for line in lines] == ["never found: 'dog' (5 test images)"] * warned
