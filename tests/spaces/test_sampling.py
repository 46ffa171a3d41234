from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edgenas.spaces.sampling import crossover, free_choices, is_allowed, mutate, neighbours, one_hot, sample, within
from tests._toys import Cell, Shared, all_archs


def differences(a, b) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("space", [Shared(), Cell().restrict({"0-1": [1, 3]})], ids=["shared", "restricted cell"])
def test_samples_are_uniform_over_what_is_allowed(space, rng):
    archs = all_archs(space)
    counts = Counter(sample(space, rng) for _ in range(100 * len(archs)))
    assert set(counts) == set(archs)
    # 100 expected of each, with a standard deviation of 10.
    assert all(50 < counts[arch] < 150 for arch in archs)


def test_same_seed_same_sample():
    first, second = (sample(Cell(), np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_one_hot_scores():
    assert one_hot(Shared(), (0, 1, 0, 1)) == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]


def test_mutants_are_the_neighbours(rng):
    space, arch = Cell().restrict({"0-2": [1], "1-2": [0, 1]}), (0, 1, 0)
    mutants = {mutate(space, arch, rng) for _ in range(200)}
    assert mutants == set(neighbours(space, arch)) == {(1, 1, 0), (2, 1, 0), (3, 1, 0), (0, 1, 1)}


def test_nothing_free_nothing_mutates(rng):
    space = Shared().restrict({choice.name: [1] for choice in Shared().choices})
    assert free_choices(space) == []
    assert mutate(space, (1, 1, 1, 1), rng) == (1, 1, 1, 1)
    assert neighbours(space, (1, 1, 1, 1)) == []


def test_free_choices_have_two_options_allowed():
    assert free_choices(Shared().restrict({"kernel": [0], "width": [1]})) == [1, 3]


def test_children_take_each_choice_from_a_parent(rng):
    a, b = (0,) * 40, (1,) * 40
    children = [crossover(a, b, rng) for _ in range(50)]
    assert all(set(child) <= {0, 1} and isinstance(child[0], int) for child in children)
    assert 0.45 < np.mean(children) < 0.55
    assert crossover(a, a, rng) == a


def test_neighbours_differ_in_one_choice():
    near = neighbours(Cell(), (0, 1, 2))
    assert len(near) == len(set(near)) == 9
    assert {differences(arch, (0, 1, 2)) for arch in near} == {1}


@pytest.mark.parametrize(
    "arch, allowed", [((1, 0, 2), True), ((3, 1, 2), True), ((0, 0, 2), False), ((1, 0, 1), False)]
)
def test_what_is_not_allowed_is_redrawn(rng, arch, allowed):
    space = Cell().restrict({"0-1": [1, 3], "1-2": [2]})
    redrawn = within(space, arch, rng)
    assert is_allowed(space, arch) == allowed == (redrawn == arch)
    assert redrawn in all_archs(space)
