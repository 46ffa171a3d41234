import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from edgenas.errors import ExportError
from edgenas.exporters.onnx import (
    identity,
    probe,
    random_weights,
    to_bytes,
    to_onnx,
)
from edgenas.exporters.session import outputs
from edgenas.graph.derive import derive
from edgenas.graph.graph import Builder, Choice, Graph
from edgenas.graph.ops import (
    ACTIVATIONS,
    Act,
    Add,
    Concat,
    Conv,
    FactorizedReduce,
    GlobalPool,
    Input,
    Linear,
    Pool,
    SqueezeExcite,
    Zero,
)
from edgenas.spaces.build import build_space

TORCH_ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "hswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "hsigmoid": F.hardsigmoid,
}


def reference(graph: Graph, weights, feeds) -> np.ndarray:
    """The graph in torch, written from the meaning of each op, apart from edgenas.nn."""
    values = {}
    for node in graph:
        op, x = node.op, [values[name] for name in node.inputs]
        p = {name: torch.from_numpy(weights[f"{node.name}.{name}"]) for name in node.parameters}
        match op:
            case Input():
                y = torch.from_numpy(feeds[node.name])
            case Conv():
                padding = op.dilation * (op.kernel // 2)
                y = F.conv2d(x[0], p["weight"], p["bias"], op.stride, padding, op.dilation, op.groups)
                y = TORCH_ACTIVATIONS[op.act](y)
            case FactorizedReduce():  # as 3x3 kernels that are zero but in one place
                kernel = torch.zeros(*p["weight"].shape[:2], 3, 3)
                kernel[: op.out // 2, :, 1, 1] = p["weight"][: op.out // 2, :, 0, 0]
                kernel[op.out // 2 :, :, 2, 2] = p["weight"][op.out // 2 :, :, 0, 0]
                y = F.conv2d(x[0], kernel, p["bias"], 2, 1)
            case Pool(mode="max"):
                y = F.max_pool2d(x[0], op.kernel, op.stride, op.kernel // 2)
            case Pool():
                y = F.avg_pool2d(x[0], op.kernel, op.stride, op.kernel // 2, count_include_pad=False)
            case Act():
                y = TORCH_ACTIVATIONS[op.act](x[0])
            case Linear():
                y = F.linear(x[0].flatten(1), p["weight"], p["bias"])[:, :, None, None]
            case GlobalPool():
                y = x[0].mean((2, 3), keepdim=True)
            case SqueezeExcite():
                gate = F.relu(F.conv2d(x[0].mean((2, 3), keepdim=True), p["reduce.weight"], p["reduce.bias"]))
                y = x[0] * torch.sigmoid(F.conv2d(gate, p["expand.weight"], p["expand.bias"]))
            case Add():
                y = x[0] + x[1]
            case Concat():
                y = torch.cat(x, 1)
            case Zero():
                y = torch.zeros(len(x[0]), *node.shape)
        assert tuple(y.shape[1:]) == node.shape
        values[node.name] = y
    y = values[graph.output.name]
    return (y.flatten(1) if y.shape[2:] == (1, 1) else y).numpy()


def assert_same(graph: Graph, *, batch: int | None = 1, images: int = 1) -> None:
    rng = np.random.default_rng(0)
    weights = random_weights(graph, rng)
    model = to_onnx(graph, weights, batch=batch)
    onnx.checker.check_model(model, full_check=True)
    feeds = {n.name: rng.standard_normal((images, *n.shape), np.float32) for n in graph if isinstance(n.op, Input)}
    session = onnxruntime.InferenceSession(to_bytes(model), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, feeds)
    np.testing.assert_allclose(got, reference(graph, weights, feeds), rtol=1e-4, atol=1e-4)


def one_op(op, *shapes) -> Graph:
    g = Builder(shapes[0], (), {})
    inputs = [g.input, *(g.append(f"x{i}", Act("none"), g.input) for i in range(1, len(shapes)))]
    return probe(g.append("it", op, *inputs))


OPS = [
    *(Conv(6, 3, 1, 1, act) for act in ACTIVATIONS),
    Conv(6),
    Conv(8, 5, 2, 4, "hswish"),
    Conv(4, 7, 2, 4, "relu"),
    Conv(4, 3, 1, 4, dilation=2),
    Conv(6, 5, 2, dilation=2),
    FactorizedReduce(6),
    *(Pool(mode, kernel, stride) for mode in ("max", "avg") for kernel in (1, 3, 5) for stride in (1, 2)),
    *(Act(act) for act in ACTIVATIONS),
    GlobalPool(),
    SqueezeExcite(3),
    Zero(),
]


@pytest.mark.parametrize("sides", [(7, 7), (6, 9), (1, 1)])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.label())
def test_every_op_equals_torch(op, sides):
    assert_same(one_op(op, (4, *sides)))


@pytest.mark.parametrize("op, count", [(Add(), 2), (Concat(), 2), (Concat(), 3)])
def test_ops_of_several_inputs_equal_torch(op, count):
    graph = one_op(op, *[(4, 5, 5)] * count)
    assert sum(isinstance(node.op, Input) for node in graph) == count
    assert_same(graph)


def test_linear_in_the_middle_keeps_its_image_shape():
    g = Builder((3, 4, 4), (), {})
    x = g.act("relu", g.linear("hidden", g.global_pool("mean", g.input), out=5), "hswish")
    g.linear("classifier", g.add("sum", x, g.linear("again", x, out=5)), out=2)
    assert_same(g.graph())


@st.composite
def graphs(draw) -> Graph:
    """Random programs: each node reads any earlier ones that fit."""
    side = draw(st.integers(4, 9))
    g = Builder((draw(st.integers(1, 4)), side, side), (), {})
    nodes = [g.input]
    for i in range(draw(st.integers(1, 6))):
        x = draw(st.sampled_from(nodes))
        fitting = [node for node in nodes if node.shape == x.shape]
        op = draw(
            st.sampled_from(
                [
                    Conv(4, draw(st.sampled_from((1, 3, 5))), draw(st.sampled_from((1, 2))), 1, "hswish"),
                    Conv(x.shape[0], 3, 1, x.shape[0], draw(st.sampled_from(ACTIVATIONS))),
                    Pool(draw(st.sampled_from(("max", "avg"))), 3, 2),
                    SqueezeExcite(2),
                    Act("sigmoid"),
                    Add(),
                    Concat(),
                    Zero(),
                ]
            )
        )
        inputs = (x, draw(st.sampled_from(fitting))) if isinstance(op, Add | Concat) else (x,)
        nodes.append(g.append(f"n{i}", op, *inputs))
    if draw(st.booleans()):
        g.linear("classifier", g.global_pool("mean", nodes[-1]), out=3)
    return g.graph()


@settings(deadline=None, max_examples=40)
@given(graphs(), st.sampled_from([(1, 1), (2, 2), (None, 1), (None, 3)]))
def test_random_graphs_equal_torch(graph, batches):
    batch, images = batches
    assert_same(graph, batch=batch, images=images)


def test_dead_branches_are_not_in_the_file():
    g = Builder((3, 8, 8), (Choice("op", ("conv", "none")),), {})
    x = g.conv("stem", g.input, out=4)
    y = g.choose("op", {"conv": g.conv("conv", x, out=4, kernel=3), "none": g.zero("none", x)})
    g.linear("classifier", g.global_pool("mean", g.concat("both", x, y)), out=2)
    graph = derive(g.graph(), {"op": 1}, (1,))
    model = to_onnx(graph, random_weights(graph, np.random.default_rng(0)))
    assert not [tensor.name for tensor in model.graph.initializer if tensor.name.startswith("conv.")]
    assert_same(graph)
    assert_same(graph, batch=None, images=2)


def test_format(small, model):
    proto = onnx.load_from_string(model)
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 18)]
    assert proto.ir_version == 8
    assert not proto.metadata_props and not proto.producer_name and not proto.doc_string
    assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    sides = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in (proto.graph.input[0], proto.graph.output[0])]
    assert (proto.graph.input[0].name, proto.graph.output[0].name) == ("input", "logits")
    assert sides == [[1, 3, 16, 16], [1, 5]]


def test_same_bytes_in_every_process(model):
    code = """
import sys
import numpy as np
from edgenas.exporters.onnx import random_weights, to_bytes, to_onnx
sys.path.insert(0, sys.argv[1])
from conftest import _small
graph = _small()
sys.stdout.buffer.write(to_bytes(to_onnx(graph, random_weights(graph, np.random.default_rng(0)))))
"""
    command = [sys.executable, "-c", code, os.path.dirname(__file__)]
    for seed in ("1", "2"):
        found = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        assert found.stdout == model


def test_writing_needs_no_torch(small):
    code = "import sys; sys.modules['torch'] = sys.modules['onnxruntime'] = None; import edgenas.exporters.onnx, onnx"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_probes_of_one_key_are_one_model():
    space = build_space("mbconv", (3, 32, 32), 10)
    nodes = space.supergraph(max(space.all_statics()))
    first, second = (next(n for n in nodes if n.name == f"s2.b{b}.e2.k3.relu") for b in (2, 3))
    assert first.key == second.key

    def written(node):
        graph = probe(node)
        return to_bytes(to_onnx(graph, random_weights(graph, np.random.default_rng(0))))

    assert written(first) == written(second)
    assert probe(first).output.key == first.key


@pytest.mark.parametrize("shape", [(3, 5, 5), (7, 1, 1)])
def test_identity_returns_its_input(shape):
    x = np.random.default_rng(0).standard_normal((2, *shape), np.float32)
    assert outputs(to_bytes(to_onnx(identity(shape), {})), x).ravel().tolist() == x.ravel().tolist()


@pytest.mark.parametrize("option", [0, -1])
def test_random_weights_keep_deep_networks_in_range(option):
    space = build_space("mbconv", (3, 64, 64), 10)
    graph = space.graph(tuple(range(len(c.options))[option] for c in space.choices))
    weights = random_weights(graph, np.random.default_rng(0))
    assert set(weights) == {f"{node.name}.{name}" for node in graph for name in node.parameters}
    for node in graph.priced:  # each activation in turn is the output
        cut = Graph(graph.nodes[: graph.nodes.index(node) + 1])
        if not isinstance(node.op, Conv | Linear):
            continue
        y = outputs(to_bytes(to_onnx(cut, weights)), np.ones((1, *graph.input.shape), np.float32))
        assert 1e-4 < np.abs(y).max() < 1e4
        assert not ((y != 0) & (np.abs(y) < np.finfo(np.float32).tiny)).any()


def test_weights_that_do_not_fit_are_refused(small):
    weights = random_weights(small, np.random.default_rng(0))
    with pytest.raises(ExportError, match="project.weight"):
        to_onnx(small, {name: value for name, value in weights.items() if name != "project.weight"})
    with pytest.raises(ExportError, match="head.bias"):
        to_onnx(small, weights | {"head.bias": np.zeros(3, np.float32)})


def test_supergraphs_are_refused():
    graph = build_space("mbconv", (3, 32, 32), 10).supergraph((0, 0))
    with pytest.raises(ExportError, match="one architecture"):
        to_onnx(graph, random_weights(graph, np.random.default_rng(0)))
