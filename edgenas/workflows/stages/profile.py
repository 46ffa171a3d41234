"""A table of the device's ops: measured here, or the one that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgenas.cost.bounds import cheapest_and_largest, cheapest_arch
from edgenas.cost.counts import CountCost, moved_bytes
from edgenas.devices.this_host import SECONDS_EACH, cached_table, cached_table_path, extend_table
from edgenas.errors import EnvironmentFault
from edgenas.graph.graph import Arch, Node
from edgenas.latency.missing_ops import op_kind
from edgenas.latency.registry import device_table
from edgenas.latency.table import LatencyTable, write_table
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import distinct_nodes, sample
from edgenas.system.file_index import State, state_of
from edgenas.workflows.context import Context
from edgenas.workflows.kept_table import keep_table, read_kept_table
from edgenas.workflows.task import Device, Task, costs_by

# Enough ops to compare shape choices, before the space is narrowed.
SPREAD_OPS, SPREAD_SECONDS = 60, 12.0
MOST_OPS = 200  # measured in a search: about 75 s; what lies between them is estimated
MOST_OF_TRAINED = 450  # of a trained network, whose search takes far longer than they do
NETS = 30  # whole networks behind a host's correction
PATIENCE = 3  # a budget that binds is only used up where the interval is narrow


def known_table(task: Task, ctx: Context) -> LatencyTable | None:
    """Return the table of the device as it was when the run began, or that which the run has already.

    None if this machine is yet to be profiled. Whoever relies on a doubtful table is told why it is one.
    """
    device = task.device
    if device.table is not None:
        name = device.table
        table = load_or(
            device, ctx, "table", lambda: device_table(name, runtime=device.runtime, threads=device.threads)
        )
        if doubt := table.header.get("doubt"):
            ctx.reporter.log(f"the table {name} is doubtful: {doubt}")
        return table
    # One that is there without a hash was cut off by a crash, and one that is gone is not measured again unsaid.
    return None if state_of(ctx.folder.path / "table.csv") is State.NEW else read_for(device, ctx, "table")


def profile_spread(task: Task, ctx: Context) -> LatencyTable:
    """Return a table good enough to compare shape choices: at least a spread of ops over the whole space."""
    table = _cached(task.device)
    nodes = distinct_nodes(task.space.preferred)
    known = [node for node in nodes if node.key in table.ops]
    if len(known) >= min(SPREAD_OPS, len(nodes)):
        return table
    unknown = [node for node in nodes if node.key not in table.ops]
    spread = stratified(unknown, SPREAD_OPS - len(known))
    rng = ctx.rng("spread")
    table = extend_table(table, spread, [], seconds=SPREAD_SECONDS, rng=rng, waiting=ctx.waiting, progress=ctx.progress)
    return _stored(task.device, ctx, table)


def profile_rest(task: Task, table: LatencyTable, ctx: Context, *, binds: bool) -> LatencyTable:
    """Measure what the narrowed space still lacks: ops, and whole networks for the correction, in the same rounds.

    Args:
        task: with the narrowed space.
        table: what is known already.
        ctx: randomness and progress.
        binds: whether some network of the space exceeds the budget; a busy machine is then waited for.
    """
    most = MOST_OF_TRAINED if task.space.corrected_by_size else MOST_OPS
    nodes = stratified([node for node in distinct_nodes(task.space) if node.key not in table.ops], most)
    measured = _networks_of(task.space, table)
    if not nodes and len(measured) >= NETS:
        return table
    rng = ctx.rng("networks")
    nets = [(task.space, arch) for arch in _training_networks(task, table, rng)]
    seconds = SECONDS_EACH * (len(nodes) + len(nets))
    patience = PATIENCE if binds else 1
    table = extend_table(
        table, nodes, nets, seconds=seconds, rng=rng, patience=patience, waiting=ctx.waiting, progress=ctx.progress
    )
    return _stored(task.device, ctx, table)


def affordable(task: Task, table: LatencyTable) -> LatencyTable:
    """Return the table; without its margin for disturbed samples where that leaves no network within the budget.

    A measurement decides in the end, and a search that proposes nothing has nothing to measure.
    """
    if not table.unclean_margin:
        return table
    gate = costs_by(task, table).gate
    if gate.many(task.space, [cheapest_arch(task.space, gate)])[0] <= task.budget_ms:
        return table
    return table.extended({}, (), unclean_margin="0")


def load_or(device: Device, ctx: Context, name: str, make: Callable[[], LatencyTable]) -> LatencyTable:
    """Return the table `<name>.csv` of the run folder, made if it is not there.

    Args:
        device: that it must be of.
        ctx: with the folder.
        name: of the file, without `.csv`.
        make: called if there is no such file, by the first process alone.

    Raises:
        TableError: as `read_for`.
    """
    keep_table(ctx.folder.path / f"{name}.csv", make)
    return read_for(device, ctx, name)


def read_for(device: Device, ctx: Context, name: str) -> LatencyTable:
    """Return the table `<name>.csv` of the run folder.

    Raises:
        TableError: it is of another device, runtime or precision than the run.
    """
    table = read_kept_table(ctx.folder.path / f"{name}.csv")
    table.check_matches(device=device.name, runtime=device.runtime, precision=device.precision)
    if device.table is not None:  # here, more threads than cores are capped
        table.check_matches(threads=device.threads)
    return table


def stratified(nodes: Sequence[Node], most: int) -> list[Node]:
    """Return at most `most` nodes, evenly over kinds and, within a kind, over the bytes that they move."""
    if len(nodes) <= most:
        return list(nodes)
    ordered = sorted(nodes, key=lambda node: (op_kind(node.key), moved_bytes(node), node.key))
    # Evenly spaced in this order: each kind gets its share, and within it small ops and large ones.
    picks = np.unique(np.linspace(0, len(ordered) - 1, max(most, 1)).round().astype(int))
    return [ordered[i] for i in picks]


def _cached(device: Device) -> LatencyTable:
    """The table of this machine from earlier runs; an empty one before the first."""
    return cached_table(device.runtime, device.threads, device.precision)


def _stored(device: Device, ctx: Context, table: LatencyTable) -> LatencyTable:
    """The table, kept in this machine's cache for the next run unless it was measured beside other programs."""
    if table.unclean_margin:
        return table
    try:
        write_table(cached_table_path(device.runtime, device.threads, device.precision), table)
    except EnvironmentFault as error:  # the run has its own copy, and can do without the cache
        ctx.reporter.log(f"the latency table is not cached: {error}")
    return table


def _networks_of(space: SearchSpace, table: LatencyTable) -> list[Arch]:
    """The table's whole networks that belong to this (narrowed) space."""
    archs = [space.parse(net.code) for net in table.nets if net.spec == space.spec]
    allowed = set(space.all_statics())
    return [arch for arch in archs if space.statics(arch) in allowed]


def _training_networks(task: Task, table: LatencyTable, rng: np.random.Generator) -> list[Arch]:
    """Random networks of the narrowed space, two thirds of them near or within the budget, and both bounds."""
    smallest, largest = cheapest_and_largest(task.space, CountCost("bytes"))
    drawn = [sample(task.space, rng) for _ in range(600)]
    latency = costs_by(task, table).latency.many(task.space, drawn)
    # A correction is fitted where it is used: around the budget, whose edge the prediction may misplace.
    near = [arch for arch, ms in zip(drawn, latency, strict=True) if ms <= 1.3 * task.budget_ms]
    chosen = {smallest: None, largest: None} | dict.fromkeys(near[: 2 * NETS // 3])
    for arch in drawn:
        if len(chosen) >= NETS:
            break
        chosen[arch] = None
    return list(chosen)
