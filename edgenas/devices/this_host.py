"""Measure ops and whole networks on this machine, in the same interleaved rounds, into a latency table."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edgenas.cost.counts import count_ops
from edgenas.devices.probes import pair_model, quantised_shapes, random_model
from edgenas.errors import NoisyMachine
from edgenas.exporters.onnx import identity, probe, to_bytes, to_onnx
from edgenas.graph.graph import Arch, Graph, Node
from edgenas.latency.registry import own_tables
from edgenas.latency.table import LatencyTable, NetRow, hidden, net_of, read_table
from edgenas.runtimes import host, reference
from edgenas.runtimes.base import Session
from edgenas.runtimes.summary import MAX_REPEAT_ERROR, Timing, repeat_error_of_table
from edgenas.runtimes.timing import PROTOCOL, ROUND_MS, SESSIONS, TooNoisy, measure
from edgenas.spaces.base import SearchSpace
from edgenas.system import plugins
from edgenas.system.progress import ProgressCallback

# Rounds of each model, whatever the seconds: enough for a low quantile, and no more than anybody should wait for.
FEWEST_ROUNDS, MOST_ROUNDS = 16, 48
# Time for about 24 rounds of one model.
SECONDS_EACH = 0.12
# How often a run is taken again on a busy machine, and the pause before.
TRIES, PAUSE_S = 3, 2.0
# A reference so much slower than at its best says that another program has the machine, and that figures are its.
SLOWER_BY = 1.08
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
    progress: ProgressCallback = lambda done, total, text="": None,
) -> LatencyTable:
    """Measure the ops of `nodes` that the table lacks, and whole networks, in the same rounds; return a longer table.

    Args:
        table: of this machine; its header says on which runtime, on how many threads and in which precision.
        nodes: whose ops are measured, once each.
        nets: networks, for the correction.
        seconds: about how long to measure.
        rng: draws the weights, and the order of the rounds.
        patience: on a machine whose speed wavers it may take as many times as long.
        progress: called with what is done of what is due.

    Raises:
        NoisyMachine: too few clean samples; nothing is to be written.
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
        progress=progress,
    )
    empty_ms = timings[EMPTY].ms
    pair_ms = {shape: timings[f"pair {shape}"].ms for shape in pairs}
    counts = count_ops(distinct.values())
    ops = {}
    for key, node in distinct.items():
        # In fp32 there are no pairs, and only the empty call is hidden in an op's time.
        hidden_ms = hidden(empty_ms, [pair_ms[shape] for shape in (*node.in_shapes, node.shape) if pairs])
        c = counts[key]
        ops[key] = net_of(hidden_ms, timings[f"op {key}"], c.macs, c.params, c.bytes)
    rows = []
    for space, arch in nets:
        code = space.code(arch)
        t = timings[f"net {space.spec} {code}"]
        rows.append(NetRow(space.spec, code, t.ms, t.p90_ms, t.runs))
    return table.extended(
        ops,
        rows,
        date=datetime.date.today().isoformat(),
        repeat_error=f"{repeat_error_of_table(timings):.4f}",
        empty_call_ms=f"{empty_ms:.6f}",
        # At its quietest: a later run on a busy machine is told by it.
        reference_ms=f"{min(table.reference_ms, timings[reference.NAME].ms):.6f}",
    )


def time_graphs(
    graphs: dict[str, Graph],
    runtime: str,
    threads: int,
    *,
    seconds: float,
    rng: np.random.Generator,
    precision: str = "fp32",
    models: Mapping[str, bytes] = MappingProxyType({}),
    quiet_ms: float = math.inf,
    max_repeat_error: float = math.inf,
    patience: int = 1,
    tries: int = TRIES,
    progress: ProgressCallback = lambda done, total, text="": None,
) -> dict[str, Timing]:
    """Time graphs with random weights in one interleaved run; the reference is in what is returned.

    The run is taken again while the reference is over 8 % slower than at its best, or a figure repeats too badly; the
    run with the fastest reference counts.

    Args:
        graphs: by name.
        runtime: the plugin that runs them.
        threads: of the runtime.
        seconds: about how long one run takes.
        rng: draws the weights, and the order of the rounds.
        precision: fp32 or int8.
        models: ONNX models that are timed with the graphs, as they are.
        quiet_ms: the reference's time on this machine at its best; infinite if that is not known.
        max_repeat_error: the worst that a figure may repeat.
        patience: as in `measure`.
        tries: how many runs are taken at most.
        progress: called with what is done of what is due.

    Raises:
        NoisyMachine: too few clean samples.
    """
    open_session = plugins.load("runtimes", runtime).open
    sessions: dict[str, list[Session]] = {}
    for name, model in models.items():
        sessions[name] = [open_session(model, threads) for _ in range(SESSIONS)]
    for i, (name, graph) in enumerate(graphs.items()):
        model = random_model(graph, precision, rng)
        sessions[name] = [open_session(model, threads) for _ in range(SESSIONS)]
        progress(i, 2 * len(graphs), "building")
    sessions[reference.NAME] = [open_session(reference.reference_model(), threads)]
    # The reference is one more item, but short beside most: it is left out of the count.
    count = len(graphs) + len(models)
    rounds = int(np.clip(seconds * 1000 / (ROUND_MS * count), FEWEST_ROUNDS, MOST_ROUNDS))

    def report(done: int, total: int) -> None:
        progress(total + done, 2 * total, f"round {done} of {total}")

    def run() -> dict[str, Timing]:
        return measure(
            sessions,
            rounds=rounds,
            round_ms=ROUND_MS,
            rng=rng,
            reference=reference.NAME,
            seconds=1.5 * seconds,
            max_repeat_error=max_repeat_error,
            patience=patience,
            progress=report,
        )

    try:
        return _quietest(run, quiet_ms, max_repeat_error, tries)
    except TooNoisy as error:
        raise NoisyMachine(str(error)) from error
    finally:
        for several in sessions.values():
            for session in several:
                session.close()


def _quietest(
    run: Callable[[], dict[str, Timing]], quiet_ms: float, max_repeat_error: float, tries: int
) -> dict[str, Timing]:
    """Return the run with the fastest reference, of as many as it takes to find the machine quiet, at most `tries`."""
    found: list[dict[str, Timing]] = []
    while True:
        timings = run()
        found.append(timings)
        error = max(timing.repeat_error for timing in timings.values())
        is_quiet = timings[reference.NAME].ms <= SLOWER_BY * quiet_ms and error <= max_repeat_error
        if is_quiet or len(found) >= tries:
            break
        time.sleep(PAUSE_S)
    # The reference tells how quiet the machine was; to pick runs by their own figures would pick the luckiest.
    return timings if is_quiet else min(found, key=lambda timings: timings[reference.NAME].ms)


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
