"""Measure ops and whole networks on this machine, in the same interleaved rounds, into a latency table."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from edgenas import plugins
from edgenas.cost.counts import count_ops
from edgenas.cost.table import LatencyTable, NetRow, OpRow, read_table
from edgenas.errors import EnvironmentFault, NoisyMachine
from edgenas.export.onnx import identity, probe, random_weights, to_bytes, to_onnx
from edgenas.folder import cache_folder
from edgenas.graph import Arch, Graph, Node
from edgenas.runtimes import _host, _reference
from edgenas.runtimes._timing import Session, Timing, TooNoisy, measure, repeat_error_of_table
from edgenas.spaces._base import SearchSpace

SESSIONS = 3
FEWEST_ROUNDS, MOST_ROUNDS = 16, 48
ROUND_MS = 5.0
PROTOCOL = f"10 % quantile of round medians, interleaved rounds of {ROUND_MS:g} ms, {SESSIONS} sessions a model"
SECONDS_EACH = 0.12  # for about 24 rounds
LEAST_MS = 1e-4  # an op that an empty session hides: never free
EMPTY = "identity"

Progress = Callable[[int, int, str], None]


def empty_table(runtime: str, threads: int) -> LatencyTable:
    """A table of this machine without rows; its header holds everything that decides a number."""
    facts = plugins.load("runtimes", runtime).host(threads)
    header = {
        "unit": "ms",
        "device": _host.host_name(),
        "runtime": runtime,
        "threads": str(facts.pop("threads")),
        "precision": "fp32",
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
    progress: Progress = lambda done, total, text: None,
) -> LatencyTable:
    """Measure the ops of `nodes` that the table lacks, and the networks, for about `seconds`.

    Raises:
        NoisyMachine: too few clean samples; nothing is to be written.
    """
    distinct = {node.key: node for node in nodes if node.priced and node.key not in table.ops}
    graphs: dict[str, Graph] = {EMPTY: identity((1, 1, 1))}
    graphs |= {f"op {key}": probe(node) for key, node in distinct.items()}
    graphs |= {f"net {space.spec} {space.code(arch)}": space.graph(arch) for space, arch in nets}
    timings = time_graphs(
        graphs, table.header["runtime"], int(table.header["threads"]), seconds=seconds, rng=rng, progress=progress
    )
    empty_ms = timings[EMPTY].ms
    counts = count_ops(distinct.values())
    ops = {}
    for key in distinct:
        t = timings[f"op {key}"]
        net_ms, net_p90_ms = (max(LEAST_MS, ms - empty_ms) for ms in (t.ms, t.p90_ms))
        ops[key] = OpRow(net_ms, net_p90_ms, t.runs, counts[key].macs, counts[key].params, counts[key].bytes)
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
    )


def time_graphs(
    graphs: dict[str, Graph],
    runtime: str,
    threads: int,
    *,
    seconds: float,
    rng: np.random.Generator,
    progress: Progress = lambda done, total, text: None,
) -> dict[str, Timing]:
    """Time graphs with random weights in one interleaved run of about `seconds`.

    Raises:
        NoisyMachine: too few clean samples.
    """
    open_session = plugins.load("runtimes", runtime).open
    sessions: dict[str, list[Session]] = {}
    for i, (name, graph) in enumerate(graphs.items()):
        model = to_bytes(to_onnx(graph, random_weights(graph, rng)))
        sessions[name] = [open_session(model, threads) for _ in range(SESSIONS)]
        progress(i, 2 * len(graphs), "building")
    sessions[_reference.NAME] = [open_session(_reference.reference_model(), threads)]
    rounds = int(np.clip(seconds * 1000 / (ROUND_MS * len(graphs)), FEWEST_ROUNDS, MOST_ROUNDS))

    def tell(done: int, total: int) -> None:
        progress(total + done, 2 * total, f"round {done} of {total}")

    try:
        return measure(
            sessions,
            rounds=rounds,
            round_ms=ROUND_MS,
            rng=rng,
            reference=_reference.NAME,
            seconds=1.5 * seconds,
            progress=tell,
        )
    except TooNoisy as error:
        raise NoisyMachine(str(error)) from error
    finally:
        for several in sessions.values():
            for session in several:
                session.close()


def cached_table_path(runtime: str, threads: int) -> Path:
    """Where this machine's own table is kept between runs; a temporary folder if there is no usable home."""
    version = plugins.load("runtimes", runtime).version()
    name = f"{runtime}-{version}-{threads}t-fp32.csv"
    folder = cache_folder("tables", _host.host_name())
    if folder is not None:
        return folder / name
    raise EnvironmentFault("no folder for this machine's latency table; set XDG_CACHE_HOME to one that can be written")


def cached_table(runtime: str, threads: int) -> LatencyTable:
    """This machine's table so far; an empty one the first time, or when the cached one is damaged."""
    path = cached_table_path(runtime, threads)
    return read_table(path) if path.exists() else empty_table(runtime, threads)
