"""`edgenas predict`: latencies of architectures and of ONNX files, from a table; torch is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.cost.base import many_metrics
from edgenas.cost.counts import CountCost, Counts
from edgenas.cost.memory import PeakBytes
from edgenas.devices.this_host import cached_table
from edgenas.errors import UsageError
from edgenas.latency.forecast import Forecast, Forecaster, graph_forecast, ms_per_mac
from edgenas.latency.onnx_file import read_kernels
from edgenas.latency.predictor import EstimatedMs, latency_interval
from edgenas.latency.table import LatencyTable, read_table
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import read_spec
from edgenas.spaces.sampling import sample
from edgenas.workflows.config import Config
from edgenas.workflows.limits import named_table
from edgenas.workflows.scope import name_space

CHUNK = 2000  # architectures priced at a time: fast by numpy, and the first lines come soon


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one architecture.

    Args:
        arch: its code.
        latency_ms: with its 90 % interval, `low_ms` to `high_ms`.
        macs: multiply-adds, each counted as one.
        peak_bytes: memory for activations at their peak.
        macs_only_ms: the latency that MACs alone would predict.
        estimated_share: the share of the latency from ops that the table has no row for.
    """

    arch: str
    latency_ms: float
    low_ms: float
    high_ms: float
    macs: int
    params: int
    peak_bytes: int
    macs_only_ms: float
    estimated_share: float


def predict(
    config: Config,
    space: SearchSpace,
    *,
    archs: Sequence[str] | None = None,
    samples: int | None = None,
    table: Path | None = None,
    estimate_missing: bool | None = None,
) -> Iterator[Prediction]:
    """Predict architectures given by code, or random ones.

    Args:
        config: names the device, or the conditions here, and the seed.
        space: of the architectures.
        archs: codes of architectures.
        samples: number of random architectures, where no codes are given.
        table: file of a latency table, instead of a device.
        estimate_missing: price ops that the table lacks from their counts; None: as `estimates` says.

    Raises:
        MissingOps: the table lacks ops, and estimates are not allowed.
        UsageError: a code is not of this space.
    """
    prices = table_of(config, table)
    # The table holds the counts of its ops; to count another one, fvcore traces it, which needs torch.
    known = {key: Counts(row.macs, row.params, row.bytes) for key, row in prices.ops.items()}
    allowed = estimates(prices, space) if estimate_missing is None else estimate_missing
    latency, low, high = latency_interval(prices, space, estimate_missing=allowed)
    counts = [CountCost(metric, known) for metric in ("macs", "params")]
    costs = (latency, low, high, EstimatedMs(latency), *counts, PeakBytes())
    rng = np.random.default_rng(config.seed)
    chosen = (
        [space.parse(code) for code in archs] if archs else [sample(space.preferred, rng) for _ in range(samples or 0)]
    )
    # MACs alone are shown beside the prediction: on some devices they do as well, on others not nearly.
    rate = ms_per_mac(prices, latency.correction)
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        columns = np.array(list(many_metrics(costs, space, part).values())).T.tolist()
        for arch, (ms, low_ms, high_ms, estimated_ms, macs, params, peak) in zip(part, columns, strict=True):
            # The intercept belongs to no op, so it has no part in the share.
            share = estimated_ms / (ms - latency.intercept)
            code = space.code(arch)
            yield Prediction(code, ms, low_ms, high_ms, int(macs), int(params), int(peak), macs * rate, share)


def estimates(table: LatencyTable, space: SearchSpace) -> bool:
    """Tell whether ops that a table lacks are estimated without being asked for, as a search does.

    They are where networks of this space, of images as large or larger, were measured: of a large space a kit holds the
    ops that tell most, and those networks correct the estimates and widen the interval by their errors.
    """
    shapes = {spec.shape for spec in map(read_spec, {net.spec for net in table.nets}) if spec.name == space.name}
    channels, *sides = space.shape
    return any(shape[0] == channels and list(shape[1:]) >= sides for shape in shapes)


def predict_ops(
    config: Config,
    space: SearchSpace,
    *,
    archs: Sequence[str],
    table: Path | None = None,
    estimate_missing: bool | None = None,
) -> tuple[LatencyTable, list[Forecast]]:
    """Predict architectures op by op; return the table that they are predicted from, too.

    Args:
        config: names the device, or the conditions here.
        space: of the architectures.
        archs: codes of architectures.
        table: file of a latency table, instead of a device.
        estimate_missing: price ops that the table lacks from their counts; None: as `estimates` says.

    Raises:
        MissingOps: the table lacks ops, and estimates are not allowed.
        UsageError: a code is not of this space.
    """
    prices = table_of(config, table)
    allowed = estimates(prices, space) if estimate_missing is None else estimate_missing
    interval = latency_interval(prices, space, estimate_missing=allowed)
    return prices, [graph_forecast(space.graph(space.parse(code)), *interval) for code in archs]


def predict_files(
    config: Config, models: Sequence[Path], *, table: Path | None = None
) -> tuple[LatencyTable, list[Forecast]]:
    """Predict ONNX files that anybody made; return the table that they are predicted from, too.

    Args:
        config: names the device, or the conditions here; and the space of the table's networks, if it is your own.
        models: the files.
        table: file of a latency table, instead of a device.

    Raises:
        DataError: not an ONNX model that onnxruntime can load and run.
        MissingOps: the table is empty.
        OwnCode: all its networks are of a space that is not of edgenas, and is not named.
    """
    prices = table_of(config, table)
    name_space(config, prices)
    forecaster = Forecaster(prices)
    return prices, [forecaster(read_kernels(model)) for model in models]


def table_of(config: Config, file: Path | None) -> LatencyTable:
    """Return the table of a file, or of a device by name, or this machine's own; under the conditions of `config`.

    Raises:
        UsageError: both are given.
        TableError: the table was measured under other conditions.
    """
    if file and config.device:
        raise UsageError("--device and --table both name a latency table; give one of them")
    if config.device:
        return named_table(config)
    table = read_table(file) if file else cached_table(config.runtime, config.threads)
    table.check_matches(runtime=config.runtime, threads=config.threads, precision="fp32")
    return table
