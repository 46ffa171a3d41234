"""Model metadata: what is known of a delivered model, written once, for the manifest and for the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from edgenas.exporters.by_class import ByClass
from edgenas.exporters.input_steps import InputSteps

Precision = Literal["fp32", "int8"]

# The model's file in a bundle, by precision.
MODELS: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}


@dataclass(frozen=True)
class Measured:
    """One model on the device and on the test split; shares in 0..1, None for what was not measured.

    A latency that is not `clean` was measured beside other programs.
    """

    ms: float | None
    p90_ms: float | None
    repeat_error: float | None
    test_accuracy: float
    clean: bool = True


@dataclass(frozen=True)
class ModelMetadata:
    """What is known of a delivered model."""

    input: InputSteps
    default: Precision
    reason: str  # why it is the default
    fp32: Measured
    int8: Measured | None
    budget_ms: float
    predicted_ms: tuple[float, float, float]  # of the model that the budget is for, and its 90 % interval
    device: str
    runtime: str
    runtime_version: str
    threads: int
    data: str
    test_images: int
    limits: Sequence[Mapping[str, Any]] = ()  # kept beside the budget, as `Result.limits` has them
    by_class: ByClass | None = None  # of the default model, on the test split
    network: Mapping[str, Any] = field(default_factory=dict)  # space, arch, macs, params, ...: what JSON can hold
    met_budget: bool | None = None  # None while nobody has measured it, or the machine was too busy to tell

    @property
    def is_measured(self) -> bool:
        """Tell whether latencies were measured on the device."""
        return any(measured.ms is not None for measured in self.delivered.values())

    @property
    def delivered(self) -> dict[Precision, Measured]:
        """Return the models in the bundle, by precision."""
        return {"fp32": self.fp32} if self.int8 is None else {"fp32": self.fp32, "int8": self.int8}
