from __future__ import annotations

import re
import time

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Graph
from edgenas.graph.ops import Add, Concat, Conv, Pool
from edgenas.nn.supernet import weight_groups
from edgenas.spaces.build import build_space
from edgenas.spaces.chain import LAYERS, SOURCES, Chain, stem_and_stages
from edgenas.spaces.sampling import sample

SPACE = build_space("chain", (1, 28, 28), 10)
DIRECT, ADD, CONCAT = range(3)
CONV3, CONV5, MAX3, AVG3 = range(4)


def arch(changes: dict[int, tuple[int, int, int]], base: tuple[int, int] = (MAX3, DIRECT)) -> Arch:
    """Layer number to (op, connection, source); the others are `base`."""
    layers = [changes.get(i + 1, (*base, i)) for i in range(LAYERS)]
    return tuple(gene for layer in layers for gene in layer)


def samples(count: int) -> list[Arch]:
    rng = np.random.default_rng(0)
    return [sample(SPACE, rng) for _ in range(count)]


# Shapes


@pytest.mark.parametrize("side", range(28, 97))
def test_sides_are_halved_and_widths_doubled_from_stage_to_stage(side):
    space = Chain((3, side, side), 2)
    shapes = [node.shape for node in space.supergraph(()) if re.fullmatch(r"l\d+\.op", node.name)]
    stages = list(dict.fromkeys(shapes))
    assert len(shapes) == LAYERS and len(stages) == stem_and_stages(side)[1]
    assert stages[0][0] == 16 and 5 <= stages[-1][1] <= 8
    for (width, height, _), after in zip(stages, stages[1:], strict=False):
        assert after == (2 * width, -(-height // 2), -(-height // 2))


@pytest.mark.parametrize("shape", [(3, 27, 27), (3, 97, 97), (3, 32, 64), (3, 0, 0)])
def test_images_that_do_not_fit(shape):
    with pytest.raises(UsageError, match="square images of 28 to 96 pixels, not .*; see --image-size and --shape"):
        Chain(shape, 10)


# Networks


def priced(graph: Graph) -> list[str]:
    return [node.name for node in graph.priced]


def test_the_least_network_by_hand():
    """Twelve max pools: what remains are stem, two projections of the previous layer, head, mean and classifier."""
    graph = SPACE.graph(arch({}))
    ends = [[f"l{i}.max" for i in stage] for stage in ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12))]
    assert priced(graph) == ["stem", *ends[0], "s2.l4", *ends[1], "s3.l8", *ends[2], "head", "pool", "classifier"]
    params = sum(np.prod(shape) for node in graph for shape in node.parameters.values())
    assert params == (9 * 16 + 16) + (16 * 32 + 32) + (32 * 64 + 64) + (64 * 128 + 128) + (128 * 10 + 10)


def test_each_choice_does_what_it_says():
    least = set(priced(SPACE.graph(arch({}))))
    for layer, more, fewer in [
        ((CONV3, DIRECT, 3), {"l6.k3"}, {"l6.max"}),
        ((CONV5, DIRECT, 3), {"l6.k5"}, {"l6.max"}),
        ((AVG3, DIRECT, 3), {"l6.avg"}, {"l6.max"}),
        ((MAX3, ADD, 3), {"s2.l2", "l6.add"}, set()),
        ((MAX3, CONCAT, 3), {"s2.l2", "l6.concat", "l6.merge"}, set()),
        ((MAX3, CONCAT, 5), {"l6.concat", "l6.merge"}, set()),  # the previous layer's own projection serves
        ((MAX3, ADD, 0), {"s2.image", "l6.add"}, set()),
        ((MAX3, ADD, 1), {"s2.stem", "l6.add"}, set()),
    ]:
        assert set(priced(SPACE.graph(arch({6: layer})))) == least - fewer | more


def test_an_op_is_applied_to_the_combination():
    nodes = {node.name: node for node in SPACE.graph(arch({3: (CONV5, CONCAT, 0)}))}
    assert nodes["l3.concat"].inputs == ("l2.max", "s1.image")
    assert nodes["l3.merge"].inputs == ("l3.concat",) and nodes["l3.k5"].inputs == ("l3.merge",)
    assert nodes["l4.max"].inputs == ("l3.k5",)


def test_the_source_of_a_direct_layer_does_not_matter():
    names = {tuple(priced(SPACE.graph(arch({9: (CONV3, DIRECT, source)})))) for source in range(9)}
    assert len(names) == 1


def test_projections_are_there_exactly_where_they_are_read():
    """From outside of its stage a layer reads its predecessor, always, and its source, unless it is direct."""
    per_stage = LAYERS // 3
    for each in samples(50):
        expected = set()
        for i in range(LAYERS):
            _, connection, source = each[3 * i : 3 * i + 3]
            stage = i // per_stage
            first = 2 + stage * per_stage  # position among SOURCES of what is of this stage; the stem is of the first
            read = {i + 1} | ({source} if connection != DIRECT else set())
            expected |= {f"s{stage + 1}.{SOURCES[r]}" for r in read if r < (1 if stage == 0 else first)}
        graph = SPACE.graph(each)
        found = [node for node in graph if re.fullmatch(r"s\d\..*", node.name)]
        assert {node.name for node in found} == expected
        assert all(isinstance(node.op, Conv) and node.op.kernel == 1 and node.op.act == "none" for node in found)


def test_ops_are_counted_as_chosen():
    for each in samples(20):
        ops, connections = each[::3], each[1::3]
        nodes = SPACE.graph(each).nodes
        convolutions = [node.op.kernel for node in nodes if isinstance(node.op, Conv) and node.weights in SOURCES]
        pools = [node.op.mode for node in nodes if isinstance(node.op, Pool)]
        assert sum(isinstance(node.op, Add) for node in nodes) == connections.count(ADD)
        assert sum(isinstance(node.op, Concat) for node in nodes) == connections.count(CONCAT)
        assert (pools.count("max"), pools.count("avg")) == (ops.count(MAX3), ops.count(AVG3))
        # The stem is among SOURCES, the last layer is not.
        last = (ops[-1] == CONV3, ops[-1] == CONV5)
        assert convolutions.count(3) == 1 + ops.count(CONV3) - last[0]
        assert convolutions.count(5) == ops.count(CONV5) - last[1]


def test_kernels_of_a_layer_share_their_weights():
    groups = weight_groups([SPACE.supergraph(())])
    for i in range(1, LAYERS + 1):
        width = 16 << (i - 1) // 4
        assert groups[f"l{i}"][1]["weight"] == (width, width, 5, 5)
        assert groups[f"l{i}.merge"][1]["weight"] == (width, 2 * width, 1, 1)


def test_conditions_are_small():
    space = Chain((3, 96, 96), 10)
    started = time.process_time()
    assert len(space.conditions(()).diagrams.tests) < 1000
    assert time.process_time() - started < 0.5


# Published form


def changed(number: int, *layer: int) -> str:
    """Twelve pairs (0, 0), one of them replaced."""
    return str([layer if i == number else (0, 0) for i in range(1, LAYERS + 1)])


@pytest.mark.parametrize(
    "text, layers",
    [
        (str([(0, 0)] * LAYERS), {}),
        (changed(1, 2, 1), {1: (MAX3, ADD, 0)}),
        (changed(12, 3, 2), {12: (AVG3, CONCAT, 11)}),
        (changed(12, 3, 2, 0), {12: (AVG3, CONCAT, 0)}),
        (changed(4, 1, 1, 1), {4: (CONV5, ADD, 1)}),
        (changed(5, 0, 0, 2), {5: (CONV3, DIRECT, 2)}),
    ],
)
def test_published(text, layers):
    expected = arch(layers, base=(CONV3, DIRECT))
    assert SPACE.published(expected) == text
    for written in (text, f"  {text}\n", text.replace(" ", ""), text.replace("(", "( ")):
        assert SPACE.read_published(written) == SPACE.parse(written) == expected


def test_published_is_read_back():
    for each in samples(100):
        assert SPACE.read_published(SPACE.published(each)) == each


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "000", SPACE.code(arch({})), "[(0, 0)", "(0, 0), (0, 0)", "[[0, 0]]", "[(0, 0),, (0, 0)]"),
        *("[(0,)]", "[(0, 0, 0, 0)]", "[(-1, 0)]", "[(0.0, 0)]", "[(True, 0)]", "[(01, 0)]", "[(0, 0x1)]", "[(0, ٣)]"),
        *("[(0, 0)] * 12", "[(0, 0) for i in range(12)]", "[(0, __import__('os'))]", "[" * 10_000, "[(0, 99999)]"),
    ],
)
def test_text_of_another_form_is_left_to_others(text):
    assert SPACE.read_published(text) is None


@pytest.mark.parametrize(
    "text, message",
    [
        (str([(0, 0)] * 11), "12 layers, got 11"),
        (str([(0, 0)] * 13), "12 layers, got 13"),
        (changed(3, 4, 0), "l3.op has no option number 4"),
        (changed(3, 0, 3), "l3.conn has no option number 3"),
        (changed(3, 0, 0, 3), "l3.source has no option number 3"),
    ],
)
def test_pairs_of_no_architecture(text, message):
    with pytest.raises(UsageError, match=message):
        SPACE.parse(text)
