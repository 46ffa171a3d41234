"""A PyTorch network as steps of our vocabulary: torch.fx traces it, then what one kernel computes becomes one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch.fx
from torch import Tensor, nn
from torch.nn import functional as F

from edgenas.errors import UsageError
from edgenas.graph.ops import GATES, Act, Add, Concat, Conv, GlobalPool, Linear, Op, SqueezeExcite
from edgenas.pretrained.converter.layers import ACTS, NOTHING, SAME, Unfit, of_call, of_module
from edgenas.pretrained.converter.step import IMAGE, Norm, Product, Step, Steps, readers

# What tells sizes only; of its values nothing is kept, and a change of form that needs them is looked at by its own.
SIZES = frozenset({"size", "getattr", "getitem", "dim", "eq"})
SUMS = frozenset({"add", "iadd"})
PRODUCTS = frozenset({"mul", "imul"})


class _Tracer(torch.fx.Tracer):
    """Looks into a module unless it is a layer that `of_module` knows, also one that a library has derived from it."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kind = type(m).__name__
        known = kind in NOTHING or kind in ACTS or kind in SAME or isinstance(m, nn.BatchNorm2d)
        # timm has a Linear of its own, for another precision; others that are derived may compute something else.
        known = known or (isinstance(m, nn.Linear) and kind == "Linear")
        return known or super().is_leaf_module(m, module_qualified_name)


def trace(module: nn.Module, name: str) -> Steps:
    """Return the steps of a network in evaluation mode, in topological order; the last gives the logits.

    Args:
        module: takes images (N, C, H, W) and returns logits (N, classes).
        name: of the network, for messages.

    Raises:
        UsageError: torch.fx cannot trace it, or a layer is none that edgenas can express; it is named.
    """
    module.eval()
    try:
        graph = _Tracer().trace(module)
    except Exception as error:  # whatever a foreign forward does with a tensor that has no values
        raise UsageError(
            f"{name}: torch.fx cannot trace it ({type(error).__name__}: {error}); its forward may not depend on values"
        ) from error
    steps = _Reader(module, name).read(graph)
    for fuse in (_sigmoid_products, _norms, _activations, _attention):
        steps = fuse(steps)
    for step in steps.values():
        if isinstance(step.op, Norm | Product):
            raise UsageError(
                f"{name}: layer {step.name!r} is a {step.op.kind} that edgenas cannot express: batch norm must follow "
                "a convolution, and a product be an activation or channel attention"
            )
    return steps


class _Reader:
    """Reads the nodes of torch.fx one by one; `alias` says which step a node's value is."""

    def __init__(self, module: nn.Module, network: str) -> None:
        self.module, self.network = module, network
        self.steps: Steps = {}
        self.alias: dict[torch.fx.Node, str] = {}

    def read(self, graph: torch.fx.Graph) -> Steps:
        """Return the steps that the output depends on."""
        last = ""
        for node in graph.nodes:
            if node.op == "placeholder" and not self.alias:
                self.alias[node] = IMAGE
            elif node.op == "output":
                value = node.args[0]
                if not isinstance(value, torch.fx.Node):
                    raise UsageError(f"{self.network}: it returns {type(value).__name__}, not one tensor of logits")
                last = self.alias[value]
            elif node.users:
                self._node(node)
        needed = {last}
        for step in reversed(self.steps.values()):
            if step.name in needed:
                needed.update(step.inputs)
        return {name: step for name, step in self.steps.items() if name in needed}

    def _node(self, node: torch.fx.Node) -> None:
        layer = str(node.target) if node.op == "call_module" else node.name
        try:
            if node.op == "call_module":
                module = self.module.get_submodule(str(node.target))
                self._append(node, layer, *of_module(module))
                # timm has batch norm with an activation inside.
                if isinstance(module, nn.BatchNorm2d) and isinstance(act := getattr(module, "act", None), nn.Module):
                    self._follow(node, f"{layer}.act", *of_module(act))
            elif node.op in ("call_function", "call_method"):
                self._call(node)
            else:
                raise Unfit(f"a {node.op.replace('_', ' ')}")
        except Unfit as error:
            raise UsageError(f"{self.network}: layer {layer!r} is {error}; edgenas cannot express that") from error

    def _call(self, node: torch.fx.Node) -> None:
        name = _name(node.target)
        if name in SIZES and not self._is_value(node):
            return
        if name in SUMS | PRODUCTS | {"cat"}:
            values = node.args[0] if name == "cat" else node.args[:2]
            assert isinstance(values, list | tuple)
            if not all(isinstance(value, torch.fx.Node) and value in self.alias for value in values):
                raise Unfit(f"a {name} with a number")
            op = Concat() if name == "cat" else Add() if name in SUMS else Product()
            if name == "cat" and (node.args[1:] or [node.kwargs.get("dim", 0)])[0] not in (1, -3):
                raise Unfit("a concatenation along another axis than channels")
            self._append(node, node.name, op, {}, *values)
            return
        rest = tuple(node.args[1:])
        # Sizes that were read from a tensor stand for the batch, or for channels: `of_call` looks at the others.
        arguments = tuple("size" if isinstance(a, torch.fx.Node) else a for a in rest)
        self._append(node, node.name, of_call(name, arguments, node.kwargs), {})

    def _follow(self, node: torch.fx.Node, layer: str, op: Op | None, weights: dict[str, Tensor]) -> None:
        """Append what a module does to the result that it has so far."""
        if op is not None:
            self.steps[layer] = Step(layer, op, (self.alias[node],), weights)
            self.alias[node] = layer

    def _is_value(self, node: torch.fx.Node) -> bool:
        """Tell whether an item is taken from a tensor, not from its shape."""
        source = node.args[0]
        return _name(node.target) == "getitem" and isinstance(source, torch.fx.Node) and source in self.alias

    def _append(self, node: torch.fx.Node, layer: str, op: Op | None, weights: dict[str, Tensor], *values: Any) -> None:
        sources = values or node.args[:1]
        inputs = []
        for value in sources:
            if not isinstance(value, torch.fx.Node) or value not in self.alias:
                raise Unfit("a computation with something that is no tensor")
            inputs.append(self.alias[value])
        if op is None:
            self.alias[node] = inputs[0]
            return
        if layer in self.steps:
            if weights:
                raise Unfit("used twice")
            layer = node.name
        self.steps[layer] = Step(layer, op, tuple(inputs), {k: v.detach() for k, v in weights.items()})
        self.alias[node] = layer


def _name(target: Any) -> str:
    """The name of a function or a method."""
    if isinstance(target, str):
        return target
    known = {F.max_pool2d: "max_pool2d", torch.max_pool2d: "max_pool2d"}  # dispatched by a function without a name
    return known.get(target) or str(getattr(target, "__name__", target))


def _replaced(steps: Steps, found: dict[str, Step], gone: dict[str, str]) -> Steps:
    """Steps with some exchanged, and without those whose value another step gives."""

    def now(name: str) -> str:
        while name in gone:
            name = gone[name]
        return name

    kept = (found.get(step.name, step) for step in steps.values() if step.name not in gone)
    return {step.name: replace(step, inputs=tuple(map(now, step.inputs))) for step in kept}


def _sigmoid_products(steps: Steps) -> Steps:
    """Make x * sigmoid(x) one activation, as networks do that were written before torch had it."""
    read = readers(steps)
    found: dict[str, Step] = {}
    gone: dict[str, str] = {}
    for step in steps.values():
        if isinstance(step.op, Product):
            for x, gate in (step.inputs, step.inputs[::-1]):
                other = steps.get(gate)
                if other and other.op == Act("sigmoid") and other.inputs == (x,) and read[gate] == [step.name]:
                    found[step.name] = replace(step, op=Act("silu"), inputs=(x,))
                    gone[gate] = x
    return _replaced(steps, found, gone)


def _fused(steps: Steps, fits: Callable[[Step, Step], Step | None]) -> Steps:
    """Join each step with the one before it, where only it reads that and `fits` returns what both are."""
    read = readers(steps)
    found: dict[str, Step] = {}
    gone: dict[str, str] = {}
    for step in steps.values():
        source = step.inputs[0] if step.inputs else ""
        first = found.get(gone.get(source, source)) or steps.get(gone.get(source, source))
        if first is not None and read[source] == [step.name] and (both := fits(first, step)):
            found[first.name], gone[step.name] = both, first.name
    return _replaced(steps, found, gone)


def _norms(steps: Steps) -> Steps:
    """Make a batch norm a part of the convolution before it."""

    def both(conv: Step, norm: Step) -> Step | None:
        if not isinstance(conv.op, Conv) or conv.op.epsilon is not None or not isinstance(norm.op, Norm):
            return None
        weights = {"weight": conv.weights["weight"], **norm.weights}
        weights["mean"] = weights["mean"] - conv.weights["bias"]  # the norm takes it away again
        return replace(conv, op=replace(conv.op, epsilon=norm.op.epsilon), weights=weights)

    return _fused(steps, both)


def _activations(steps: Steps) -> Steps:
    """Make an activation a part of the convolution before it."""

    def both(conv: Step, act: Step) -> Step | None:
        if not isinstance(conv.op, Conv) or conv.op.act != "none" or not isinstance(act.op, Act):
            return None
        return replace(conv, op=replace(conv.op, act=act.op.act))

    return _fused(steps, both)


def _attention(steps: Steps) -> Steps:
    """Make x * gate(expand(act(reduce(mean(x))))) one step; both layers inside are 1x1 convolutions or linear."""
    read = readers(steps)
    found: dict[str, Step] = {}
    gone: dict[str, str] = {}
    for step in steps.values():
        if isinstance(step.op, Product):
            for x, gate in (step.inputs, step.inputs[::-1]):
                chain = _gate(steps, read, step.name, gate)
                if chain and chain[-1].inputs == (x,):
                    found[step.name] = _squeeze_excite(step, x, chain)
                    gone |= {member.name: x for member in chain}
                    break
    return _replaced(steps, found, gone)


def _gate(steps: Steps, read: dict[str, list[str]], reader: str, name: str) -> list[Step]:
    """The steps from a gate back to the mean, each read by the next alone; none if it is no gate."""
    chain = []
    while (step := steps.get(name)) is not None and read[name] == [reader]:
        chain.append(step)
        if isinstance(step.op, GlobalPool):
            return chain if _parts(chain) else []
        if not isinstance(step.op, Conv | Linear | Act):
            return []
        reader, name = name, step.inputs[0]
    return []


def _parts(chain: list[Step]) -> tuple[Step, Step, str, str] | None:
    """Reduction, expansion, activation and gate of a chain that ends with the mean; None if it is another."""
    layers, acts = [], []
    for step in chain[:-1]:
        if isinstance(step.op, Act):
            acts.append(step.op.act)
            continue
        if isinstance(step.op, Conv):
            if step.op.kernel != 1 or step.op.groups != 1 or step.op.epsilon is not None:
                return None
            if step.op.act != "none":
                acts.append(step.op.act)
        layers.append(step)
    if len(layers) != 2 or len(acts) != 2 or acts[0] not in GATES:
        return None
    return layers[1], layers[0], acts[1], acts[0]


def _squeeze_excite(step: Step, x: str, chain: list[Step]) -> Step:
    parts = _parts(chain)
    assert parts is not None  # `_gate` has seen to it
    reduction, expansion, act, gate = parts
    weights = {}
    for name, layer in (("reduce", reduction), ("expand", expansion)):
        weight = layer.weights["weight"]
        weights[f"{name}.weight"] = weight.reshape(*weight.shape[:2], 1, 1)
        weights[f"{name}.bias"] = layer.weights["bias"]
    hidden = len(weights["reduce.bias"])
    return replace(step, op=SqueezeExcite(hidden, act, gate), inputs=(x,), weights=weights)
