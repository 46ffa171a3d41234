"""Run a supernet with several alternatives of each choice at once, as weighted sums.

A value is kept as a linear combination of what kernels give; only what a kernel reads is added up. So sums of choices
of sums are one pass over their terms, and no intermediate product is kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edgenas.graph.graph import Graph, Node
from edgenas.graph.ops import Add, Choose, Zero
from edgenas.nn.layers import apply
from edgenas.nn.supernet import Supernet
from edgenas.spaces.base import SearchSpace

Terms = dict[str, Tensor | None]  # what kernels give, by name, and its weight; None is 1


@dataclass(frozen=True)
class Mixture:
    """What is computed of one choice: n `options`, and their `weights` (n,)."""

    options: tuple[int, ...]
    weights: Tensor


def mixed(
    supernet: Supernet, supergraph: Graph, mixtures: Mapping[str, Mixture], x: Tensor, *, skip: float = 0.0
) -> Tensor:
    """Return logits (N, classes), every choice being the weighted sum of its alternatives.

    Args:
        supernet: whose weights are used.
        supergraph: of the supernet's space.
        mixtures: by choice; alternatives that no mixture has are not computed.
        x: images (N, C, R, R).
        skip: weight of one more term at every choice that offers a skip connection: that connection (DARTS-,
            arXiv:2009.01027, equation 5).
    """
    values = {supergraph.input.name: x}
    terms: dict[str, Terms] = {supergraph.input.name: {supergraph.input.name: None}}
    auxiliary = skips(supernet.space, supergraph) if skip else {}
    for node in needed(supergraph, mixtures, auxiliary):
        if isinstance(node.op, Choose):
            terms[node.name] = _chosen(node, mixtures[node.op.choice], terms)
            if node.name in auxiliary:
                for name, weight in terms[auxiliary[node.name]].items():
                    _accumulate(terms[node.name], name, skip if weight is None else skip * weight, x)
        elif isinstance(node.op, Zero):
            terms[node.name] = {}
        elif isinstance(node.op, Add):
            terms[node.name] = dict(terms[node.inputs[0]])
            for name, weight in terms[node.inputs[1]].items():
                _accumulate(terms[node.name], name, weight, x)
        else:
            inputs = [
                _value(name, shape, terms[name], values, x)
                for name, shape in zip(node.inputs, node.in_shapes, strict=True)
            ]
            # Batch norm takes the batch's own statistics: running ones would belong to another mixture.
            values[node.name] = apply(node.op, inputs, supernet.weights(node), None)
            terms[node.name] = {node.name: None}
    output = supergraph.output
    return _value(output.name, output.shape, terms[output.name], values, x)


def needed(supergraph: Graph, mixtures: Mapping[str, Mixture], auxiliary: Mapping[str, str]) -> list[Node]:
    """Return the nodes behind the input that the output reads through what is mixed, in order.

    Args:
        supergraph: the program.
        mixtures: by choice.
        auxiliary: the skip connection that is added at a Choose node, by name.
    """
    reads = {supergraph.output.name}
    kept = []
    for node in reversed(supergraph.nodes[1:]):
        if node.name in reads:
            kept.append(node)
            if isinstance(node.op, Choose):
                options = mixtures[node.op.choice].options
                reads.update(name for name, o in zip(node.inputs, node.op.options, strict=True) if o in options)
                reads.update([auxiliary[node.name]] if node.name in auxiliary else [])
            else:
                reads.update(node.inputs)
    return kept[::-1]


def skips(space: SearchSpace, supergraph: Graph) -> dict[str, str]:
    """Return the alternative that the space calls a skip connection, by Choose node, where there is one."""
    found: dict[str, str] = {}
    for node in supergraph:
        if isinstance(node.op, Choose):
            values = space.choices[space.index[node.op.choice]].options
            for option, name in zip(node.op.options, node.inputs, strict=True):
                if values[option] in space.skip_options:
                    found[node.name] = name
    return found


def _chosen(node: Node, mixture: Mixture, terms: Mapping[str, Terms]) -> Terms:
    """Return the weighted terms of the alternatives that are mixed."""
    assert isinstance(node.op, Choose)
    total: Terms = {}
    for option, outer in zip(mixture.options, mixture.weights, strict=True):
        # A Choose leaves out an option under which no architecture reads it.
        if option not in node.op.options:
            continue
        for name, inner in terms[node.inputs[node.op.options.index(option)]].items():
            _accumulate(total, name, outer if inner is None else outer * inner, outer)
    return total


def _accumulate(terms: Terms, name: str, weight: Tensor | float | None, like: Tensor) -> None:
    """Add a term to `terms`, in place; None is a weight of 1, and `like` tells the device of a new one."""
    if name in terms:
        known = terms[name]
        one = 1.0 if known is None else known
        weight = one + (1.0 if weight is None else weight)
    if isinstance(weight, float):
        # A tensor as the other weights are: `_value` stacks them.
        weight = torch.full((), weight, dtype=torch.float32, device=like.device)
    terms[name] = weight


def _value(name: str, shape: tuple[int, ...], terms: Terms, values: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return what a node gives: the sum of its terms, which is kept in `values`."""
    if name not in values:
        if not terms:
            values[name] = x.new_zeros((x.shape[0], *shape))
        # One term of weight 1 is that tensor: nothing is computed.
        elif list(terms.values()) == [None]:
            values[name] = values[next(iter(terms))]
        else:
            weights = [torch.ones((), device=x.device) if w is None else w for w in terms.values()]
            values[name] = _Combination.apply(torch.stack(weights), *(values[term] for term in terms))
    return values[name]


class _Combination(torch.autograd.Function):
    """The sum of weights[i] * tensors[i], without the intermediate products that autograd would keep."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *tensors: Tensor) -> Tensor:
        """Return the sum for `weights` (n,) and n `tensors` of one shape."""
        ctx.save_for_backward(weights, *tensors)
        return _weighted(weights.to(tensors[0].dtype), tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the weights, then of each tensor."""
        (gradient,) = gradients
        weights, *tensors = ctx.saved_tensors
        of_weights = None
        if ctx.needs_input_grad[0]:
            # Summed in the weights' type: bfloat16 has too few digits for a sum over a whole feature map.
            of_weights = torch.stack([(t * gradient).sum(dtype=weights.dtype) for t in tensors])
        scaled = weights.to(gradient.dtype)
        of_tensors = (gradient * w if n else None for w, n in zip(scaled, ctx.needs_input_grad[1:], strict=True))
        return (of_weights, *of_tensors)


def _weighted(weights: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0] * weights[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total = torch.addcmul(total, tensor, weight)
    return total
