"""What every op has: an output shape, parameters, and its half of a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

Shape = tuple[int, int, int]
Parameters = dict[str, tuple[int, ...]]


def shape_text(shape: Shape) -> str:
    """Return a shape as text: `(3, 224, 224)` as `3x224x224`."""
    return "x".join(map(str, shape))


def strided(shape: Shape, channels: int, stride: int) -> Shape:
    """Return the output shape under odd kernels and padding kernel // 2: sides over the stride, rounded up."""
    _, height, width = shape
    return channels, -(-height // stride), -(-width // stride)


@dataclass(frozen=True, slots=True)
class Op:
    """One kernel. By default it has one input, keeps its shape and has no parameters."""

    kind: ClassVar[str] = ""

    def shape(self, *inputs: Shape) -> Shape:
        """Return the shape of the output.

        Raises:
            ValueError: the inputs, or the fields, do not fit.
        """
        return inputs[0]

    def parameters(self, *inputs: Shape) -> Parameters:
        """Return the shapes of the parameters after batch norm is folded, by name, in the order of ONNX's inputs."""
        return {}

    def label(self) -> str:
        """Return the op's half of its key: kind and fields."""
        return self.kind
