"""Trained networks as they are, at each resolution: what a baseline is chosen among."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgenas.cost.counts import CountCost
from edgenas.errors import BudgetError
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import latency_interval
from edgenas.spaces.base import SearchSpace
from edgenas.system import text
from edgenas.workflows.config import Config
from edgenas.workflows.predict import table_of
from edgenas.workflows.pretrained import input_of, known_networks, open_pretrained
from edgenas.workflows.result import Result
from edgenas.workflows.stages.artefacts import Figure


@dataclass(frozen=True)
class Baseline:
    """A trained network at one resolution, as it is.

    Args:
        network: as `--pretrained` takes it.
        resolution: side of its images, in pixels.
        arch: the code of the whole network at this resolution.
        macs: of one image.
        predicted_ms: from what the network takes at two other resolutions here, or from the device's table.
        low_ms, high_ms: what it takes at least and at most: as measured, with the repeat error, else as predicted.
        measured_ms: None if it is not near the budget, or the device is elsewhere.
        repeat_error: of the measurement.
        fits: whether `high_ms` is within the budget; None where nobody knows: `low_ms` is, and the machine was too
            busy to tell, or only a table has said so.
        is_here: whether its weights are on this machine.
    """

    network: str
    resolution: int
    arch: str
    macs: float
    predicted_ms: float
    low_ms: float
    high_ms: float
    measured_ms: float | None
    repeat_error: float | None
    fits: bool | None
    is_here: bool


@dataclass(frozen=True)
class Baselines:
    """What trained networks take as they are, and the run of the one that was fine-tuned, if that was asked for."""

    rows: tuple[Baseline, ...]
    result: Result | None = None

    @property
    def fitting(self) -> tuple[Baseline, ...]:
        """Return the networks that fit, of each the largest resolution that does."""
        best: dict[str, Baseline] = {}
        for row in self.rows:
            if row.fits and row.macs >= best.get(row.network, row).macs:
                best[row.network] = row
        return tuple(best.values())


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

    def predicted(self, ms: float, low_ms: float, high_ms: float, budget_ms: float) -> Baseline:
        """Return it as it is predicted.

        Args:
            ms: the prediction.
            low_ms, high_ms: its interval.
            budget_ms: the most that it may take.
        """
        fits = True if high_ms <= budget_ms else False if low_ms > budget_ms else None
        return self._row(ms, low_ms, high_ms, None, fits)

    def measured(self, predicted_ms: float, figure: Figure, budget_ms: float) -> Baseline:
        """Return it as it was measured, by the rule that a delivered model is judged by.

        Args:
            predicted_ms: what was expected before.
            figure: the measurement.
            budget_ms: the most that it may take.
        """
        assert figure.ms is not None and figure.repeat_error is not None
        error = figure.repeat_error
        low_ms = figure.ms * (1 - min(1.0, error)) / figure.slowed
        return self._row(predicted_ms, low_ms, figure.ms * (1 + error), figure, figure.keeps(budget_ms))

    def _row(self, ms: float, low_ms: float, high_ms: float, figure: Figure | None, fits: bool | None) -> Baseline:
        return Baseline(
            self.network,
            self.resolution,
            self.space.code(self.arch),
            self.macs,
            predicted_ms=ms,
            low_ms=low_ms,
            high_ms=high_ms,
            measured_ms=None if figure is None else figure.ms,
            repeat_error=None if figure is None else figure.repeat_error,
            fits=fits,
            is_here=self.is_here,
        )


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
        graph = row.space.graph(row.arch)
        ms, low, high = (cost(graph) for cost in latency_interval(table, row.space, estimate_missing=True))
        found.append(row.predicted(ms, low, high, budget))
    return found


def fastest(rows: Sequence[Baseline]) -> Baseline:
    """Return the network that takes least, by what it takes at most."""
    return min(rows, key=lambda row: row.high_ms)


def none_fits(config: Config, rows: Sequence[Baseline]) -> BudgetError:
    """Return the error that no trained network fits, with the fastest and what to do.

    Args:
        config: names the budget and the device.
        rows: all that were looked at; some of those whose weights are not here may fit.
    """
    budget = f"{config.budget_ms:g} ms"
    if elsewhere := sorted({row.network for row in rows if row.fits and not row.is_here}):
        return BudgetError(
            f"no trained network whose weights are here fits {budget}; of those that do, {elsewhere[0]} is the first: "
            "add --download"
        )
    least = fastest(rows)
    sure = "fits" if config.device is None else "is sure to fit"
    there = "" if config.device is None else f" on {config.device}"
    takes = "is predicted to take" if least.measured_ms is None else "takes"
    ms = least.predicted_ms if least.measured_ms is None else least.measured_ms
    most_ms = least.high_ms if math.isfinite(least.high_ms) else ms  # how it repeats may be unknown
    which = f"{least.network} at {least.resolution} pixels"
    return BudgetError(
        f"no trained network {sure} {budget}{there}: the fastest, {which}, {takes} {text.ms(ms)} ms "
        f"({text.ms(least.low_ms)} to {text.ms(least.high_ms)}); ask for --budget-ms "
        f"{rounded_up(1.1 * most_ms)} or more, or have it cut: `edgenas search --pretrained {least.network} "
        f"--budget-ms {config.budget_ms:g}`"
    )


def rounded_up(ms: float) -> str:
    """Return at least `ms`, to two digits."""
    step = 10.0 ** (math.floor(math.log10(ms)) - 1)
    return f"{math.ceil(ms / step) * step:.6g}"
