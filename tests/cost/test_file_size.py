from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from edgenas.cost.file_size import FileBytes
from edgenas.exporters.onnx import random_weights, to_bytes, to_onnx
from edgenas.exporters.quantize import quantize
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import one_hot, sample
from edgenas.system import plugins
from tests._toys import all_archs, recipes

SPACES = plugins.names("spaces")


def file_of(graph, rng):
    return to_bytes(to_onnx(graph, random_weights(graph, rng)))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("side", [28, 64])
def test_a_file_is_never_larger_and_little_smaller_than_was_said(name, side, rng):
    space = build_space(name, (3, side, side), 10)
    archs = [sample(space, rng) for _ in range(12)]
    said = FileBytes(space).many(space, archs)
    real = np.array([len(file_of(space.graph(arch), rng)) for arch in archs])
    assert (real <= said).all()
    assert (real >= 0.98 * said).all()


@pytest.mark.parametrize("name", SPACES)
def test_an_int8_file_is_never_larger_and_not_much_smaller(name, rng):
    space = build_space(name, (3, 28, 28), 10)
    # Of one size: the quantiser takes its time for a large network, and sizes differ in no op.
    space = space.restrict({space.choices[i].name: [0] for i in space.static_indices})
    graph = space.graph(sample(space, rng))
    images = rng.standard_normal((1, 1, *graph.input.shape)).astype(np.float32)
    real = len(quantize(file_of(graph, rng), images, reduce_range=False))
    said = FileBytes(space, "int8")(graph)
    assert 0.9 * said <= real <= said


def test_it_is_a_sum_over_nodes(rng):
    space = build_space("mbconv", (1, 28, 28), 10)
    cost, arch = FileBytes(space), sample(space, rng)
    assert cost.many(space, [arch])[0] == cost(space.graph(arch))
    assert cost.expected(space, space.statics(arch), one_hot(space, arch)) == pytest.approx(cost(space.graph(arch)))


@given(recipes())
def test_no_program_has_a_larger_file(space):
    rng = np.random.default_rng(0)
    cost = FileBytes(space)
    for arch in all_archs(space)[:9]:
        graph = space.graph(arch)
        assert len(file_of(graph, rng)) <= cost(graph)
