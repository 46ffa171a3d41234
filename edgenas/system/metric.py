"""Metrics: what a figure of an architecture is. Dictionaries and files hold their text, which only this file reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

# The text of a metric begins so if its costs are of the run that trained the weights, which another run inherits.
TRAINED = "trained_"


@dataclass(frozen=True)
class Metric:
    """A quantity with its unit, such as `macs`, `peak_bytes` or `latency_ms`; a latency is of a device's table.

    >>> str(Metric("latency_high_ms", "pi5"))
    'latency_high_ms@pi5'
    >>> Metric.parse("trained_latency_ms@pi5")
    Metric(quantity='latency_ms', table='pi5', trained=True)
    """

    quantity: str
    table: str = ""
    trained: bool = False

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{TRAINED * self.trained}{self.quantity}" + (f"@{self.table}" if self.table else "")

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Return the metric whose text this is."""
        quantity, _, table = text.removeprefix(TRAINED).partition("@")
        return cls(quantity, table, text.startswith(TRAINED))

    def on(self, table: str) -> Metric:
        """Return the same quantity of another table."""
        return replace(self, table=table)

    @property
    def is_latency(self) -> bool:
        """Tell whether it is in ms."""
        return self.quantity.endswith("_ms")
