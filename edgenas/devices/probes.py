"""What a device kit measures: one ONNX model per distinct op, whole networks, and what prices are net of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.cost.counts import Counts, count_ops
from edgenas.exporters.onnx import identity, probe, random_weights, to_bytes, to_onnx
from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Shape, shape_text
from edgenas.runtimes import reference
from edgenas.spaces.base import SearchSpace

PRECISIONS = ("fp32", "int8")
REPEATED = 1024  # floats, after which weights repeat: zip finds what lies at most 32 KB back
CALIBRATION_INPUTS = 4  # any will do: an int8 kernel takes as long whatever its scales are

Net = tuple[SearchSpace, Arch]


@dataclass(frozen=True)
class Probe:
    """One model to time. `entry` is what its line in the kit's manifest says beside the rest.

    `kind` is `reference`, `empty` (an identity: what a call costs), `pair` (quantise and dequantise one shape), `op`,
    `net` (for the correction) or `test` (for its test); `id` is the op key, the shape, or `<space spec> <code>`.
    """

    kind: str
    id: str
    precision: str
    model: bytes
    entry: Mapping[str, object]


def probes(
    nodes: Sequence[Node],
    nets: Sequence[Net],
    tests: Sequence[Net],
    precisions: Sequence[str],
    rng: np.random.Generator,
    *,
    repeated: bool = False,
) -> Iterator[Probe]:
    """Make the probes of a kit, the reference first; one model at a time, as together they may not fit in memory.

    Args:
        nodes: whose ops are probed, once each.
        nets: whole networks that the correction is fitted on.
        tests: whole networks that test the table.
        precisions: each of them gets all of these.
        rng: draws the weights.
        repeated: whether the weights of a layer repeat themselves, so that they take next to no place in the kit.
    """
    yield reference_probe()
    distinct = {node.key: node for node in nodes}
    counts = count_ops(distinct.values())
    for precision in precisions:
        yield from _in_precision(distinct, counts, {"net": nets, "test": tests}, precision, rng, repeated)


def reduced_probes(
    chosen: Mapping[str, tuple[Sequence[Node], Sequence[Net]]], rng: np.random.Generator
) -> Iterator[Probe]:
    """Make the probes of a reduced kit.

    Args:
        chosen: ops and networks of each precision.
        rng: draws the weights.
    """
    yield reference_probe()
    for precision, (nodes, nets) in chosen.items():
        distinct = {node.key: node for node in nodes}
        yield from _in_precision(distinct, count_ops(nodes), {"net": nets}, precision, rng)


def reference_probe() -> Probe:
    """Return what every kit begins with."""
    return Probe("reference", "", "fp32", reference.reference_model(), {})


def _in_precision(
    nodes: Mapping[str, Node],
    counts: Mapping[str, Counts],
    nets: Mapping[str, Sequence[Net]],
    precision: str,
    rng: np.random.Generator,
    repeated: bool = False,
) -> Iterator[Probe]:
    # An empty call quantises nothing, so its model is fp32 in either precision.
    yield Probe("empty", "", precision, random_model(identity((1, 1, 1)), "fp32", rng), {})
    if precision == "int8":
        for shape in quantised_shapes(nodes.values()):
            yield Probe("pair", shape_text(shape), precision, pair_model(shape), {})
    for key, node in nodes.items():
        c = counts[key]
        entry = {"macs": c.macs, "params": c.params, "bytes": c.bytes, "pairs": _pairs(node)}
        yield Probe("op", key, precision, random_model(probe(node), precision, rng, repeated=repeated), entry)
    for kind, several in nets.items():
        for space, arch in several:
            name = f"{space.spec} {space.code(arch)}"
            model = random_model(space.graph(arch), precision, rng, repeated=repeated)
            yield Probe(kind, name, precision, model, {})


def quantised_shapes(nodes: Iterable[Node]) -> list[Shape]:
    """Return the shapes that int8 models of the nodes quantise or dequantise."""
    return sorted({shape for node in nodes for shape in (*node.in_shapes, node.shape)})


def _pairs(node: Node) -> list[list[str]]:
    """Return the shapes that an int8 probe of the node quantises, and those that it dequantises."""
    return [[shape_text(shape) for shape in node.in_shapes], [shape_text(node.shape)]]


def random_model(graph: Graph, precision: str, rng: np.random.Generator, *, repeated: bool = False) -> bytes:
    """Write a graph as ONNX with random weights and calibration inputs: a kernel's time depends on neither.

    Args:
        graph: the network, or an op alone.
        precision: fp32 or int8.
        rng: draws weights and inputs.
        repeated: whether the weights of a layer repeat themselves.
    """
    weights = random_weights(graph, rng)
    if repeated:
        weights = {name: np.resize(values.reshape(-1)[:REPEATED], values.shape) for name, values in weights.items()}
    model = to_bytes(to_onnx(graph, weights))
    if precision == "fp32":
        return model
    from edgenas.exporters.quantize import quantize

    # A kit may go to any processor: weights of 7 bits are right on all of them, and take as long.
    return quantize(model, _inputs(graph, rng), reduce_range=True)


def _inputs(graph: Graph, rng: np.random.Generator) -> list[tuple[np.ndarray[Any, Any], ...]]:
    sources = [node for node in graph if not node.inputs]
    return [
        tuple(rng.standard_normal((1, *node.shape), np.float32) for node in sources) for _ in range(CALIBRATION_INPUTS)
    ]


def pair_model(shape: Shape) -> bytes:
    """Return a model that quantises one shape to uint8 and back."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.array(0.05, np.float32), "scale"),
        numpy_helper.from_array(np.array(128, np.uint8), "zero"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["input", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["output"]),
        ],
        "pair",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, *shape])],
        constants,
    )
    return to_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))
