from __future__ import annotations

import pytest

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Graph
from edgenas.graph.ops import Add, Conv, SqueezeExcite
from edgenas.nn.supernet import weight_groups
from edgenas.spaces.mbconv import BLOCKS, STAGES, MBConv, halvings, resolutions, scaled

SPACE = MBConv((3, 64, 64), 10)


def arch(space: MBConv = SPACE, *, others: int = 0, **options: object) -> Arch:
    """Options by value; `others` is the index of the option of every choice that is not named (-1: the last)."""
    values = {name.replace("__", "."): value for name, value in options.items()}
    unknown = set(values) - set(space.index)
    assert not unknown, unknown
    return tuple(
        choice.options.index(values[choice.name]) if choice.name in values else range(len(choice.options))[others]
        for choice in space.choices
    )


def kernels(graph: Graph) -> list[tuple[int, ...]]:
    """(kernel, stride, groups, out) of each convolution."""
    ops = [node.op for node in graph if isinstance(node.op, Conv)]
    return [(op.kernel, op.stride, op.groups, op.out) for op in ops]


@pytest.mark.parametrize("side", range(28, 225, 4))
def test_last_map_has_five_to_eight_pixels_at_every_resolution(side):
    space = MBConv((1, side, side), 2)
    for statics in space.all_statics():
        nodes = {node.name: node for node in space.supergraph(statics)}
        assert nodes["input"].shape[1] == space.static_values(statics)["resolution"]
        assert 5 <= nodes["head"].shape[1] <= 8


@pytest.mark.parametrize(
    "side, expected",
    [(28, (20, 24, 28)), (32, (24, 28, 32)), (64, (48, 64)), (224, (160, 192, 224))],
)
def test_resolutions(side, expected):
    assert resolutions(side) == expected


@pytest.mark.parametrize("side, times", [(20, 2), (32, 2), (33, 3), (64, 3), (65, 4), (128, 4), (129, 5), (224, 5)])
def test_halvings(side, times):
    assert halvings(side) == times


@pytest.mark.parametrize("channels, width, expected", [(16, 1.0, 16), (16, 0.5, 8), (40, 0.75, 32), (16, 0.1, 8)])
def test_channels_come_in_eights(channels, width, expected):
    assert scaled(channels, width) == expected


@pytest.mark.parametrize("shape", [(3, 27, 27), (3, 225, 225), (3, 32, 64), (3, 0, 0)])
def test_images_that_do_not_fit(shape):
    with pytest.raises(UsageError, match="square images of 28 to 224 pixels, not .*; see --image-size and --shape"):
        MBConv(shape, 10)


def test_smallest_network():
    graph = SPACE.graph(arch())
    assert graph.input.shape == (3, 48, 48) and graph.output.shape == (10, 1, 1)
    blocks = [(1, 1, 1), (3, 1, 0), (1, 1, 1)]  # expansion, depthwise (groups aside), projection
    assert [(k, s) for k, s, *_ in kernels(graph)] == [
        (3, 2),
        *((k, 2 if k == 3 and stage in (2, 4) else 1) for stage in range(1, 5) for k, *_ in blocks),
        (1, 1),
    ]
    assert not any(isinstance(node.op, SqueezeExcite) for node in graph)


def test_largest_network():
    graph = SPACE.graph(arch(others=-1))
    assert graph.input.shape == (3, 64, 64)
    assert len(kernels(graph)) == 2 + 3 * STAGES * BLOCKS
    assert sum(isinstance(node.op, SqueezeExcite) for node in graph) == STAGES * BLOCKS
    depthwise = [kernel for kernel in kernels(graph) if kernel[2] > 1]
    assert all(k == 7 and groups == out for k, _, groups, out in depthwise)


def test_each_choice_does_what_it_says():
    small = SPACE.graph(arch())
    kernel, wide, gated, deep, act = (
        SPACE.graph(arch(**option))
        for option in (
            {"s2__b1__kernel": 7},
            {"s2__b1__expand": 4},
            {"s2__b1__se": True},
            {"s2__depth": 2},
            {"s2__act": "hswish"},
        )
    )
    changed = [(a, b) for a, b in zip(kernels(small), kernels(kernel), strict=True) if a != b]
    assert [(a[0], b[0]) for a, b in changed] == [(3, 7)]
    assert [b[3] / a[3] for a, b in zip(kernels(small), kernels(wide), strict=True) if a[3] != b[3]] == [2, 2]
    assert len(gated.nodes) == len(small.nodes) + 1
    assert len(kernels(deep)) == len(kernels(small)) + 3
    acts = [node.name for node in act if isinstance(node.op, Conv) and node.op.act == "hswish"]
    assert [name.split(".")[:2] for name in acts] == [["s2", "b1"]] * 2  # expansion and depthwise, not the projection


def test_projections_are_linear_and_shortcuts_join_equal_shapes():
    graph = SPACE.graph(arch(others=-1))
    by_name = {node.name: node for node in graph}
    projections = [node for node in graph if node.weights.endswith(".project")]
    assert len(projections) == STAGES * BLOCKS and {node.op.act for node in projections} == {"none"}
    shortcuts = [node for node in graph if isinstance(node.op, Add)]
    assert {node.name for node in shortcuts} >= {f"s{s}.b{b}.add" for s in range(1, 5) for b in (2, 3)}
    assert all(by_name[name].shape == node.shape for node in shortcuts for name in node.inputs)


def test_every_alternative_shares_the_weights_of_its_layer():
    """Kernel, expansion, activation, width and resolution are slices: the largest network uses every weight."""
    groups = weight_groups(SPACE.supergraph(statics) for statics in SPACE.all_statics())
    largest = SPACE.graph(arch(others=-1))
    layers = {node.weights for node in largest if node.parameters}
    assert set(groups) == layers
    assert sum(node.weights == "s2.b1.depthwise" for node in SPACE.supergraph((0, 0))) == 2 * 3 * 2
