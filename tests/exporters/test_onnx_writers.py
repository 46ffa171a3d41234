"""Writers of ops: there is one for each op that a network may hold, and what they append has one name each."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.errors import ExportError
from edgenas.exporters.onnx import identity, written
from edgenas.exporters.onnx_writers import WRITERS, Program
from edgenas.graph.graph import Builder
from edgenas.graph.ops import Act, Choose, Conv, FactorizedReduce, Linear, Op, Pool, SqueezeExcite


def kinds(op: type[Op]) -> set[type[Op]]:
    return {op}.union(*(kinds(sub) for sub in op.__subclasses__()))


def test_every_op_but_a_choice_has_a_writer():
    # Dataclasses with slots are made twice: the first, without slots, lives on as a subclass of its base. Steps of
    # traced networks are ops elsewhere, and in no graph.
    ops = {op.__name__ for op in kinds(Op) if op.__module__.startswith("edgenas.graph.")}
    assert {op.__name__ for op in WRITERS} == ops - {"Op", Choose.__name__}


@pytest.mark.parametrize(
    "op",
    [Conv(6, 3, 2, 1, "hswish"), Conv(4, act="relu6"), FactorizedReduce(8), Pool("avg"), Act("none"), SqueezeExcite(2)],
    ids=lambda op: op.label(),
)
def test_names_of_nodes_and_tensors_are_unique_and_begin_with_the_node_s(op):
    g = Builder((4, 8, 8), (), {})
    nodes, tensors = written(g.append("it", op, g.input), "x.out")
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names) and all(name.startswith("it") for name in names)
    assert nodes[0].input[0] == "x.out" and all(tensor.name not in names for tensor in tensors)


def test_constants_are_written_once():
    program = Program(identity((1, 1, 1)), {}, 1)
    for _ in range(2):
        program.activation("relu6", "a", "x")
    assert sorted(program.initializers) == ["clip.max", "clip.min"]


def test_weights_of_another_shape_are_refused():
    g = Builder((4, 1, 1), (), {})
    node = g.append("it", Linear(3), g.input)
    weights = {"it.weight": np.zeros((4, 3), np.float32), "it.bias": np.zeros(3, np.float32)}
    with pytest.raises(ExportError, match=r"'it.weight' is \(4, 3\), not \(3, 4\)"):
        Program(g.graph(), weights, 1).parameters(node)
