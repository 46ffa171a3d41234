"""Changes of ONNX files, as bytes and as what they describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz import hostile
from tests.fuzz.files import ANY, Mutation

OTHER_MODEL = "an ONNX file carries no hash: another graph is another model"
PLACES = ("../outside.bin", "/etc/hostname", "/tmp/edgenas-fuzz-outside/x", "weights.bin", "a\nb", "")
SIZES = (0, -1, 1, 2**31, 2**63 - 1, 100_000)

Graph = onnx.GraphProto


def graph_changed(path: Path, rng: Random) -> str:
    """Change what the file describes, by one of many ways."""
    model = onnx.load(str(path))
    how = rng.choice(list(_GRAPHS))
    _GRAPHS[how](model, rng)
    path.write_bytes(model.SerializeToString())
    return how


def _input_size(model: onnx.ModelProto, rng: Random) -> None:
    dim = rng.choice(model.graph.input[0].type.tensor_type.shape.dim)
    dim.Clear()
    if rng.random() < 0.3:
        dim.dim_param = rng.choice(("n", "", "a\nb"))
    else:
        dim.dim_value = rng.choice(SIZES)


def _input_type(model: onnx.ModelProto, rng: Random) -> None:
    model.graph.input[0].type.tensor_type.elem_type = rng.choice((0, 8, 7, 9, 10, 11, 99, TensorProto.BFLOAT16))


def _no_shape(model: onnx.ModelProto, rng: Random) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def _other_input(model: onnx.ModelProto, rng: Random) -> None:
    kind = rng.choice(("sequence", "optional", "second", "none"))
    if kind == "none":
        del model.graph.input[:]
    elif kind == "second":
        model.graph.input.append(helper.make_tensor_value_info("more", 1, [1, 2]))
    else:
        tensor = helper.make_tensor_type_proto(1, [1])
        made = (
            helper.make_sequence_type_proto(tensor) if kind == "sequence" else helper.make_optional_type_proto(tensor)
        )
        model.graph.input.append(helper.make_value_info("more", made))


def _node_deleted(model: onnx.ModelProto, rng: Random) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def _node_doubled(model: onnx.ModelProto, rng: Random) -> None:
    model.graph.node.append(rng.choice(model.graph.node))


def _circle(model: onnx.ModelProto, rng: Random) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def _op(model: onnx.ModelProto, rng: Random) -> None:
    node = rng.choice(model.graph.node)
    node.op_type = rng.choice(
        ("Identity", "Nope", "Loop", "If", "Einsum", "", "a\nb", "\x1b[31m", hostile.LETTER * 5000)
    )
    node.domain = rng.choice(("", "", "com.example", "ai.onnx.ml", "a\nb"))


def _attribute(model: onnx.ModelProto, rng: Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    attribute = rng.choice(rng.choice(nodes).attribute)
    attribute.CopyFrom(
        helper.make_attribute(
            attribute.name, rng.choice(([0, 0], [-1, -1], [2**31, 2**31], 0, -1, 2**62, [1], "text", 1.5))
        )
    )


def _weights(model: onnx.ModelProto, rng: Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    array = numpy_helper.to_array(tensor)
    changed = rng.choice(
        (array * np.float32(np.nan), array.reshape(-1), array[:0], array.astype(np.float64), array * 1e38)
    )
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(changed), tensor.name))


def _weights_torn(model: onnx.ModelProto, rng: Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]


def _weights_claimed(model: onnx.ModelProto, rng: Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    tensor.dims[0] = rng.choice(SIZES)


def _weights_outside(model: onnx.ModelProto, rng: Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=rng.choice(PLACES))
    tensor.external_data.add(key="length", value=rng.choice(("100", "-1", "1_0", str(2**63))))


def _versions(model: onnx.ModelProto, rng: Random) -> None:
    if rng.random() < 0.5:
        model.ir_version = rng.choice((0, 1, 3, 99, 2**31))
    else:
        model.opset_import[0].version = rng.choice((0, -1, 1, 6, 999))


def _names(model: onnx.ModelProto, rng: Random) -> None:
    """Rename one value, wherever it stands."""
    old, new = model.graph.input[0].name, rng.choice(("", "a\nb", "\x1b[31mred", "Q" * 5000, "../x", "output"))
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
    model.graph.input[0].name = new


def _empty_graph(model: onnx.ModelProto, rng: Random) -> None:
    rng.choice((lambda: model.ClearField("graph"), lambda: model.graph.ClearField("node")))()


def _deep(model: onnx.ModelProto, rng: Random) -> None:
    """Put graphs in graphs, in an op that is never reached."""
    inner = helper.make_graph([], "end", [], [])
    for depth in range(rng.choice((20, 90))):
        inner = helper.make_graph(
            [helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner)], f"{depth}", [], []
        )
        if len(inner.SerializeToString()) > 100_000:
            break
    model.graph.node.append(helper.make_node("If", ["c"], ["never"], then_branch=inner, else_branch=inner))


def _memory(model: onnx.ModelProto, rng: Random) -> None:
    """Add an op that makes a huge tensor."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 34], np.int64), "huge"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["huge"], ["much"]))
    model.graph.output.append(helper.make_tensor_value_info("much", 1, None))


_GRAPHS: dict[str, Callable[[onnx.ModelProto, Random], None]] = {
    "size of the input": _input_size,
    "type of the input": _input_type,
    "no shape": _no_shape,
    "other inputs": _other_input,
    "a node less": _node_deleted,
    "a node twice": _node_doubled,
    "a circle": _circle,
    "another op": _op,
    "an attribute": _attribute,
    "weights": _weights,
    "torn weights": _weights_torn,
    "weights of another size": _weights_claimed,
    "weights elsewhere": _weights_outside,
    "versions": _versions,
    "names": _names,
    "no graph": _empty_graph,
    "graphs in graphs": _deep,
    "much memory": _memory,
}
OF_MODELS = (*ANY, *(Mutation("graph", graph_changed, harmless=OTHER_MODEL),) * 20)
