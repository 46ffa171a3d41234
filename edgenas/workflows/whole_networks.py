"""Trained networks as they are, at each resolution: what a baseline is chosen among."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgenas.cost.counts import CountCost
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import latency_interval
from edgenas.spaces.base import SearchSpace
from edgenas.workflows.config import Config
from edgenas.workflows.predict import table_of
from edgenas.workflows.pretrained import input_of, known_networks, open_pretrained


@dataclass(frozen=True)
class Baseline:
    """A trained network at one resolution.

    Args:
        network: as `--pretrained` takes it.
        resolution: side of its images, in pixels.
        arch: the code of the whole network at this resolution.
        macs: of one image.
        predicted_ms: from what the network takes at two other resolutions here, or from the device's table.
        measured_ms: None if it is not near the budget, or the device is elsewhere.
        repeat_error: of the measurement.
        fits: whether it meets the budget: as measured, else as predicted.
        is_here: whether its weights are on this machine.
    """

    network: str
    resolution: int
    arch: str
    macs: float
    predicted_ms: float
    measured_ms: float | None
    repeat_error: float | None
    fits: bool
    is_here: bool


@dataclass(frozen=True)
class WholeNetwork:
    """A network at a resolution, before anything is known of its time."""

    network: str
    space: SearchSpace
    arch: Arch
    macs: float
    is_here: bool

    @property
    def resolution(self) -> int:
        """Return the side of its images, in pixels."""
        return self.space.graph(self.arch).input.shape[1]

    @property
    def name(self) -> str:
        """Return a name that no other has."""
        return f"{self.network} {self.resolution}"

    def as_baseline(self, predicted: float, ms: float | None, error: float | None, fits: bool) -> Baseline:
        """Return it with what is known of its time.

        Args:
            predicted: ms.
            ms: as measured, if it was.
            error: that of the measurement, as a share.
            fits: whether it meets the budget.
        """
        code = self.space.code(self.arch)
        return Baseline(self.network, self.resolution, code, self.macs, predicted, ms, error, fits, self.is_here)


def whole_networks(config: Config) -> Iterator[WholeNetwork]:
    """Every network that is known, or the one that is named, at every resolution, the largest first."""
    known = [config.pretrained] if config.pretrained else [network.name for network in known_networks()]
    for name in known:
        config = replace(config, pretrained=name)
        network = open_pretrained(config)
        assert network is not None
        shape, classes = input_of(config, None, None, ((3, network.side, network.side), network.classes))
        space = network.space(shape, classes)
        count = CountCost("macs")
        for i in range(len(space.choices[0].options)):
            arch = (i, *space.whole[1:])
            yield WholeNetwork(name, space, arch, count(space.graph(arch)), network.is_here)


def by_table(config: Config, rows: Sequence[WholeNetwork]) -> list[Baseline]:
    """Return the networks as a device that is not here would run them; what its table lacks is estimated.

    Args:
        config: names the device and the budget.
        rows: the networks.
    """
    table, budget = table_of(config, None), config.budget_ms
    assert budget is not None
    found = []
    for row in rows:
        latency, _, high = latency_interval(table, row.space, estimate_missing=True)
        graph = row.space.graph(row.arch)
        found.append(row.as_baseline(latency(graph), None, None, high(graph) <= budget))
    return found
