"""What a model must keep to: whose latency, and how large it may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgenas.cost.base import CostModel
from edgenas.cost.file_size import FileBytes
from edgenas.errors import UsageError
from edgenas.evaluators.tabular import ScoreTable, read_scores
from edgenas.exploration.objective import Limit
from edgenas.exporters.metadata import Precision
from edgenas.latency.predictor import latency_interval
from edgenas.latency.registry import device_table, table_name
from edgenas.latency.table import LatencyTable
from edgenas.runtimes.host import host_name
from edgenas.spaces.base import SearchSpace
from edgenas.system.metric import Metric
from edgenas.workflows.config import HERE, Config
from edgenas.workflows.kept_table import keep_table, read_kept_table
from edgenas.workflows.task import Device

MB = 1e6  # bytes: `--max-memory-mb` and `--max-file-mb` count in powers of ten


def with_devices(config: Config) -> Config:
    """Return the configuration with a main device, and the whole name of every device's table.

    Raises:
        UsageError: two different budgets for one table, or none for the main device.
    """
    scores = scores_of(config)
    recorded = scores.latency_ms if scores else ()
    # Budgets for other devices alone: the first of them that has a table is the one to search for.
    tabled = [name for name in config.budgets_ms if name not in recorded]
    if config.budget_ms is None and config.device is None and tabled:
        config = replace(config, device=tabled[0])
    config = _for_device(config)
    main = config.device or f"{host_name()}/{config.runtime}-{config.threads}t-{config.precision or 'fp32'}"
    budgets = {} if config.budget_ms is None else {main: config.budget_ms}
    for name, ms in config.budgets_ms.items():
        # A resumed run has whole names already, and its own copies of the tables, which may be gone from this machine.
        if name not in recorded and not (config.resume and "/" in name):
            name = table_name(device_table(name, runtime=config.runtime, threads=config.threads))
        if budgets.setdefault(name, ms) != ms:
            raise UsageError(f"--budget-ms: {budgets[name]:g} and {ms:g} ms are both for {name}; leave one out")
    if main not in budgets:
        raise UsageError(f"--budget-ms: say how many milliseconds the model may take on {main}, the --device")
    budget_ms = budgets.pop(main)  # a name among the further ones may have turned out to be the main device's
    return replace(config, budget_ms=budget_ms, budgets_ms=budgets)


def scores_of(config: Config) -> ScoreTable | None:
    """Return what `--scores` holds, if it is given; budgets for its devices are checked by look-up."""
    return read_scores(Path(config.scores).expanduser()) if config.scores else None


def _for_device(config: Config) -> Config:
    """The configuration with the whole name of the device's table, and the runtime and threads that it is of."""
    if config.device is None or (config.resume and "/" in config.device):
        return config
    table = named_table(config)
    header = table.header
    return replace(config, device=table_name(table), runtime=header["runtime"], threads=int(header["threads"]))


def named_table(config: Config) -> LatencyTable:
    """Return the table of `--device`.

    Raises:
        UnknownName: there is none.
        UsageError: its whole name was given, and another runtime or number of threads beside it.
    """
    assert config.device is not None
    precision = config.precision or "fp32"
    table = device_table(config.device, runtime=config.runtime, threads=config.threads, precision=precision)
    # A condition that has its default was not asked for, so a table of another one is no contradiction.
    for name in ("runtime", "threads", "precision"):
        given = getattr(config, name)
        if given != getattr(Config(), name) and str(given) != table.header[name]:
            raise UsageError(
                f"--{name} {given}: {config.device} is a table of {name} {table.header[name]}; leave it out"
            )
    return table


def device_of(config: Config) -> Device:
    """Return the device that the budget is for."""
    name = host_name() if config.device is None else config.device.partition("/")[0]
    # A table's whole name ends with its precision: pi5/onnxruntime-1t-int8.
    named = config.precision or (config.device or "").rpartition("-")[2]
    precision: Precision = "int8" if named == "int8" else "fp32"
    return Device(name, config.device, config.runtime, config.threads, precision, name == host_name())


def limits_of(config: Config, device: Device, recorded: Collection[str]) -> tuple[Limit, ...]:
    """Return the budgets: latency on the device first, then on others, by the upper ends of the intervals.

    Args:
        config: with a main device, as `with_devices` returns it.
        device: the main device.
        recorded: devices whose latencies are looked up in the file of scores.
    """
    assert config.budget_ms is not None  # `with_devices` has seen to it
    here = f"on {device.name}" if config.budgets_ms else ""
    # By the upper end of the interval: of what its middle says is fast enough, half might be measured above.
    limits = [Limit(str(Metric("latency_high_ms", device.name)), config.budget_ms, "--budget-ms ", here)]
    for name, ms in config.budgets_ms.items():
        # A recorded latency is a measurement, and has no interval.
        metric = Metric("latency_ms" if name in recorded else "latency_high_ms", name)
        limits.append(Limit(str(metric), ms, f"--budget-ms {name}=", f"on {name}"))
    if config.max_params is not None:
        limits.append(Limit("params", config.max_params, "--max-params ", "parameters"))
    if config.max_memory_mb is not None:
        limits.append(Limit("peak_bytes", MB * config.max_memory_mb, "--max-memory-mb ", "of activations", MB))
    if config.max_file_mb is not None:
        limits.append(Limit("file_bytes", MB * config.max_file_mb, "--max-file-mb ", "for the file", MB))
    return tuple(limits)


def further_tables(config: Config, folder: Path, recorded: Collection[str]) -> dict[str, LatencyTable]:
    """Return the tables of the further devices that have a budget, by whole name, as they were when the run began.

    Args:
        config: with whole names of devices.
        folder: of the run, which keeps copies of the tables.
        recorded: devices whose latencies are looked up in the file of scores; they need no table.
    """
    tables = {}
    for i, name in enumerate(config.budgets_ms, start=1):
        if name in recorded:
            continue
        path = folder / f"device-{i}.csv"  # by number, as a whole name has a slash
        keep_table(path, partial(device_table, name, runtime=config.runtime, threads=config.threads))
        tables[name] = read_kept_table(path)
    return tables


def further_costs(
    config: Config,
    space: SearchSpace,
    device: Device,
    tables: Mapping[str, LatencyTable],
    scores: ScoreTable | None,
    recorded: Collection[str],
) -> tuple[CostModel, ...]:
    """Return costs that only matter where they are limited: latencies of further devices, and the file's size.

    Args:
        config: says whether the file's size is limited.
        space: whose architectures are priced.
        device: the main device, which decides the precision of the file.
        tables: of further devices, by whole name.
        scores: the file of scores, if there is one.
        recorded: devices with a budget whose latencies are looked up in it.
    """
    costs: list[CostModel] = []
    for name, table in tables.items():
        for latency in latency_interval(table, space, estimate_missing=True):
            latency.metric = str(Metric.parse(latency.metric).on(name))  # a device may have several tables
            costs.append(latency)
    if scores is not None:
        costs += [scores.latency(name) for name in sorted(recorded)]
    if config.max_file_mb is not None:
        costs.append(FileBytes(space, device.precision))
    return tuple(costs)


def split_budgets(budget_ms: float | Mapping[str, float] | None) -> tuple[float | None, dict[str, float]]:
    """Return the budget of this machine, or of `device`, and those of further devices by name.

    >>> split_budgets({"here": 8, "pi5": 20})
    (8, {'pi5': 20})
    """
    if not isinstance(budget_ms, Mapping):
        return budget_ms, {}
    further = {name: ms for name, ms in budget_ms.items() if name != HERE}
    return budget_ms.get(HERE), further
