"""Measure ops and whole networks on this machine, in the same interleaved rounds, into a latency table."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgenas.cost.counts import count_ops
from edgenas.devices.probes import pair_model, quantised_shapes
from edgenas.devices.timed_graphs import time_graphs
from edgenas.exporters.onnx import identity, probe, to_bytes, to_onnx
from edgenas.graph.graph import Arch, Graph, Node
from edgenas.latency.registry import own_tables
from edgenas.latency.table import LatencyTable, NetRow, hidden, net_of, read_table
from edgenas.runtimes import host, reference
from edgenas.runtimes.summary import MAX_REPEAT_ERROR, Timing, repeat_error_of_table
from edgenas.runtimes.timing import PROTOCOL
from edgenas.runtimes.waiting import Waiting
from edgenas.spaces.base import SearchSpace
from edgenas.system import plugins
from edgenas.system.progress import ProgressCallback

# Time for about 24 rounds of one model.
SECONDS_EACH = 0.12
# What figures of disturbed samples widen an interval by at least, whatever they say of themselves: beside two busy
# loops they were within 3 % of those of the quiet machine.
LEAST_MARGIN = 0.03
# The name of the model that an empty call is timed on.
EMPTY = "identity"
# The header's field for what runs a web runtime, such as Chromium, whose version is not the runtime's.
ENGINE = "engine"


def empty_table(runtime: str, threads: int, precision: str = "fp32") -> LatencyTable:
    """Return a table of this machine without rows; its header holds everything that decides a number.

    Args:
        runtime: the plugin's name.
        threads: as requested; the header says how many the machine gives.
        precision: fp32 or int8.
    """
    facts = plugins.load("runtimes", runtime).host(threads)
    header = {
        "unit": "ms",
        "device": host.host_name(),
        "runtime": runtime,
        "threads": str(facts.pop("threads")),
        "precision": precision,
        "protocol": PROTOCOL,
    }
    return LatencyTable(header | {name: str(value) for name, value in facts.items() if name not in header})


def extend_table(
    table: LatencyTable,
    nodes: Iterable[Node],
    nets: Sequence[tuple[SearchSpace, Arch]],
    *,
    seconds: float,
    rng: np.random.Generator,
    patience: int = 1,
    waiting: Waiting | None = None,
    look: Callable[[Mapping[str, Timing]], None] | None = None,
    progress: ProgressCallback = lambda done, total, text="": None,
) -> LatencyTable:
    """Measure the ops of `nodes` that the table lacks, and whole networks, in the same rounds; return a longer table.

    A table with figures of disturbed samples says so in its header, and its intervals are wider.

    Args:
        table: of this machine; its header says on which runtime, on how many threads and in which precision.
        nodes: whose ops are measured, once each.
        nets: networks, for the correction.
        seconds: about how long to measure.
        rng: draws the weights, and the order of the rounds.
        patience: on a machine whose speed wavers it may take as many times as long.
        waiting: on a busy machine, how long is waited for gaps; then disturbed samples count. None refuses it.
        look: called with the timings of a few models, half a second after all are loaded; rows that have no clean
            sample then are left out of the table.
        progress: called with what is done of what is due.

    Raises:
        NoisyMachine: too few clean samples, and nobody waits; nothing is to be written.
    """
    distinct = {node.key: node for node in nodes if node.priced and node.key not in table.ops}
    precision = table.header["precision"]
    pairs = quantised_shapes(distinct.values()) if precision == "int8" else []
    models = {EMPTY: to_bytes(to_onnx(identity((1, 1, 1)), {}))}
    models |= {f"pair {shape}": pair_model(shape) for shape in pairs}
    graphs: dict[str, Graph] = {f"op {key}": probe(node) for key, node in distinct.items()}
    graphs |= {f"net {space.spec} {space.code(arch)}": space.graph(arch) for space, arch in nets}
    timings = time_graphs(
        graphs,
        table.header["runtime"],
        int(table.header["threads"]),
        seconds=seconds,
        rng=rng,
        precision=precision,
        models=models,
        quiet_ms=table.reference_ms,
        max_repeat_error=MAX_REPEAT_ERROR,
        patience=patience,
        tries=1,
        waiting=waiting,
        look=look,
        progress=progress,
    )
    empty_ms = timings[EMPTY].ms
    pair_ms = {shape: timings[f"pair {shape}"].ms for shape in pairs}
    counts = count_ops(distinct.values())
    ops = {}
    for key, node in distinct.items():
        if f"op {key}" not in timings:
            continue
        # In fp32 there are no pairs, and only the empty call is hidden in an op's time.
        hidden_ms = hidden(empty_ms, [pair_ms[shape] for shape in (*node.in_shapes, node.shape) if pairs])
        c = counts[key]
        ops[key] = net_of(hidden_ms, timings[f"op {key}"], c.macs, c.params, c.bytes)
    rows = []
    for space, arch in nets:
        code = space.code(arch)
        if t := timings.get(f"net {space.spec} {code}"):
            rows.append(NetRow(space.spec, code, t.ms, t.p90_ms, t.runs))
    header = {
        "date": datetime.date.today().isoformat(),
        "repeat_error": f"{repeat_error_of_table(timings):.4f}",
        "empty_call_ms": f"{empty_ms:.6f}",
    }
    if timings[reference.NAME].clean:
        # At its quietest: a later run on a busy machine is told by it.
        header["reference_ms"] = f"{min(table.reference_ms, timings[reference.NAME].ms):.6f}"
    disturbed = {name: timing for name, timing in timings.items() if not timing.clean}
    if disturbed:
        margin = max(table.unclean_margin, repeat_error_of_table(disturbed), LEAST_MARGIN)
        header["unclean_margin"] = f"{margin:.4f}"
    return table.extended(ops, rows, **header)


def cached_table_path(runtime: str, threads: int, precision: str = "fp32") -> Path:
    """Return where this machine's own table is kept between runs."""
    # A table belongs to one version of the runtime, so another version begins its own.
    version = plugins.load("runtimes", runtime).version()
    return own_tables() / host.host_name() / f"{runtime}-{version}-{threads}t-{precision}.csv"


def cached_table(runtime: str, threads: int, precision: str = "fp32") -> LatencyTable:
    """Read this machine's table; an empty one the first time, or when it is of another version of a web engine.

    Raises:
        TableError: the cached one is damaged.
    """
    path, fresh = cached_table_path(runtime, threads, precision), empty_table(runtime, threads, precision)
    table = read_table(path) if path.exists() else fresh
    return table if table.header.get(ENGINE) == fresh.header.get(ENGINE) else fresh
