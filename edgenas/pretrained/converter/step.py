"""Steps of a traced network: ops with their weights, before there is an image whose shape they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from edgenas.graph.ops import Op

# The image, as the step that all others begin with.
IMAGE = "input"


@dataclass(frozen=True, slots=True)
class Norm(Op):
    """Batch norm that is not yet a part of its convolution."""

    kind: ClassVar[str] = "batch norm"
    epsilon: float


@dataclass(frozen=True, slots=True)
class Product(Op):
    """The product of two values: an activation or a gate, of which it is a part."""

    kind: ClassVar[str] = "product"


@dataclass(frozen=True)
class Step:
    """One op of a traced network.

    Args:
        name: of the module or the call, as the network has it; unique.
        op: one of the vocabulary; `Norm` and `Product` are there until they are fused.
        inputs: names of the steps that it reads.
        weights: by the names that the op gives them, with `mean` and `variance` of its batch norm.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    weights: Mapping[str, Tensor] = field(default_factory=dict)


Steps = dict[str, Step]  # by name, each behind those that it reads


def readers(steps: Steps) -> dict[str, list[str]]:
    """Return the steps that read each step, by name."""
    found: dict[str, list[str]] = {name: [] for name in (IMAGE, *steps)}
    for step in steps.values():
        for name in step.inputs:
            found[name].append(step.name)
    return found
