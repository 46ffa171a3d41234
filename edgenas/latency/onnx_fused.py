"""Kernels of an optimised ONNX graph: which of its nodes run as one op of the vocabulary, and what the others move.

A kernel is *exact* if it computes what its key says, so that a latency table's row is its price. Any other has the key
of the op that runs most like it, where there is one, and counts of its own: something to estimate from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING

from edgenas.cost.counts import Counts, moved_bytes
from edgenas.graph.graph import Node
from edgenas.graph.ops import Act, SqueezeExcite
from edgenas.latency.forecast import Kernel
from edgenas.latency.onnx_ops import NOTHING, VIEWS, Match, Value, Values, attribute, convolution, macs, match

if TYPE_CHECKING:
    import onnx

MEANS = ("GlobalAveragePool", "ReduceMean")


def kernels(nodes: Sequence[onnx.NodeProto], values: Values) -> list[Kernel]:
    """Return the kernels of an optimised model in its order.

    Args:
        nodes: of the model's graph.
        values: every tensor that the nodes read or write, by name.
    """
    groups = _Groups(nodes, values)
    absorbed = {j for i, (_, members) in groups.found.items() for j in members if j != i}
    made = []
    for i, node in enumerate(nodes):
        if i not in absorbed and node.op_type not in VIEWS:
            matched, members = groups.found.get(i) or (match(node, values), [i])
            made.append(_kernel(node, matched, [nodes[j] for j in members], values))
    return made


def _kernel(node: onnx.NodeProto, matched: Match | None, members: Sequence[onnx.NodeProto], values: Values) -> Kernel:
    """Return the kernel that `node` stands for, made of `members`."""
    name = node.name or node.output[0]
    total = float(sum(macs(member, values) for member in members))
    if matched is None:
        return Kernel(name, node.op_type, "", False, _counts(members, total, values))
    like = Node(name, matched.op, (), matched.inputs, matched.op.shape(*matched.inputs), name)
    # The output's shape stands for whatever was not compared, such as the ceil_mode of a pool.
    if matched.exact and like.shape == values.get(members[-1].output[0], NOTHING).image:
        params = float(sum(prod(shape) for shape in like.parameters.values()))
        return Kernel(name, like.op.kind, like.key, True, Counts(total, params, moved_bytes(like)))
    return Kernel(name, node.op_type, like.key, False, _counts(members, total, values))


def _counts(members: Iterable[onnx.NodeProto], total: float, values: Values) -> Counts:
    """Count nodes that are no op of ours, of `total` MACs: every input is read and every output written."""
    names = [name for member in members for name in (*member.input, *member.output)]
    tensors = [values.get(name, NOTHING) for name in names]
    params = sum(prod(tensor.shape) for tensor in tensors if tensor.constant)
    return Counts(total, float(params), float(sum(tensor.bytes for tensor in tensors)))


class _Groups:
    """Nodes that are one kernel together: by the node that stands for them, the match and all members in order."""

    def __init__(self, nodes: Sequence[onnx.NodeProto], values: Values) -> None:
        self.nodes, self.values = nodes, values
        # An empty name stands for an optional output that nobody asked for.
        self.writer = {name: i for i, node in enumerate(nodes) for name in node.output if name}
        self.readers: dict[str, set[int]] = {}
        for i, node in enumerate(nodes):
            for name in node.input:
                self.readers.setdefault(name, set()).add(i)
        self.found: dict[int, tuple[Match, list[int]]] = {}
        for i, node in enumerate(nodes):
            if node.op_type == "Mul" and len(node.input) == 2:
                a, b = node.input
                any(
                    find(i, x, gate)
                    for find in (self._hard_swish, self._squeeze_excite)
                    for x, gate in ((a, b), (b, a))
                )

    def value(self, name: str) -> Value:
        """Return the tensor's shape and size."""
        return self.values.get(name, NOTHING)

    def _hard_swish(self, i: int, x: str, gate: str) -> bool:
        """Find x * HardSigmoid(x), and the convolution before it if nothing else reads that."""
        j = self.writer.get(gate, -1)
        if j < 0 or self.nodes[j].op_type != "HardSigmoid" or self.nodes[j].input[0] != x or self.readers[gate] != {i}:
            return False
        # ONNX's defaults of HardSigmoid are others than hard-swish has: x / 6 + 1 / 2.
        slope, offset = attribute(self.nodes[j], "alpha", 0.2), attribute(self.nodes[j], "beta", 0.5)
        if abs(slope - 1 / 6) > 1e-4 or offset != 0.5:
            return False
        c = self.writer.get(x, -1)
        bare = c >= 0 and self.nodes[c].op_type == "Conv" and self.readers[x] == {i, j}
        if bare and (conv := convolution(self.nodes[c], self.values, "hswish")):
            self.found[c] = conv, [c, j, i]
        else:
            value = self.value(x)
            self.found[i] = Match(Act("hswish"), (value.image,), value.is_image), [j, i]
        return True

    def _squeeze_excite(self, i: int, x: str, gate: str) -> bool:
        """Find x * gate(mean(x)) with two 1x1 convolutions. Activations on (C, 1, 1) take no time: any will do."""
        members, name = [i], gate
        while (j := self.writer.get(name, -1)) >= 0 and self.value(name).image[1:] == (1, 1):
            if not self.nodes[j].input:  # it makes numbers up, such as RandomUniform
                return False
            if not self.readers[name] <= set(members):
                return False
            members.append(j)
            name = self.nodes[j].input[0]
            if self.nodes[j].op_type in MEANS:
                break
        convs = [self.nodes[j] for j in members if self.nodes[j].op_type in ("Conv", "FusedConv")]
        if name != x or len(convs) != 2 or not self.value(x).is_image:
            return False
        # Members go from the gate back to the mean, so the reducing convolution is the second.
        hidden = self.value(convs[1].output[0]).shape[1]
        self.found[i] = Match(SqueezeExcite(hidden), (self.value(x).image,), True), sorted(members)
        return True
