"""Prices of kernels that no space wrote: rows where there are, else estimates, marked, above zero and additive."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas.cost.counts import Counts, count_ops
from edgenas.devices.general_probes import general_nets
from edgenas.errors import MissingOps
from edgenas.latency.forecast import Forecaster, Kernel, graph_forecast
from edgenas.latency.predictor import latency_interval
from edgenas.latency.table import LatencyTable, NetRow
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from tests.latency.tables import HEADER, net_rows, op_row, op_rows, table_of

UNKNOWN = Kernel("odd", "Softmax", "", False, Counts(0.0, 0.0, 8e5))
COPY = Kernel("copy", "Transpose", "concat | 32x56x56", False, Counts(0.0, 0.0, 8e5))
HUGE = Kernel("huge", "Conv", "conv k3 s1 g1 relu 512 | 512x56x56", True, Counts(7.4e9, 2.4e6, 2.2e7))
VIEW = Kernel("tiny", "Gather", "", False, Counts(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def space():
    return build_space("mbconv", (3, 32, 32), 10)


@pytest.fixture(scope="module")
def table(space):
    rng = np.random.default_rng(0)
    return table_of(space, net_rows(space, [sample(space, rng) for _ in range(60)], rng, noise=0.01))


@pytest.fixture(scope="module")
def forecast(table):
    return Forecaster(table)


@pytest.fixture(scope="module")
def kernels(space):
    nodes = space.graph(sample(space, np.random.default_rng(5))).priced
    counts = count_ops(nodes)
    return [Kernel(node.name, node.op.kind, node.key, True, counts[node.key]) for node in nodes]


def test_a_network_of_the_tables_space_is_priced_as_its_graph(space, forecast, kernels):
    found = forecast(kernels)
    arch = sample(space, np.random.default_rng(5))
    (row,) = net_rows(space, [arch], np.random.default_rng(0))
    assert found.estimated_share == 0 and found.nets == 60
    assert found.latency_ms == pytest.approx(row.ms, rel=0.05)
    assert found.low_ms < found.latency_ms < found.high_ms


def test_a_graph_op_by_op_adds_up_to_its_latency(space, table):
    latency, low, high = latency_interval(table, space)
    graph = space.graph(sample(space, np.random.default_rng(5)))
    found = graph_forecast(graph, latency, low, high)
    assert found.latency_ms == pytest.approx(sum(part.ms for part in found.parts) + found.rest_ms)
    assert (found.latency_ms, found.low_ms, found.high_ms) == (latency(graph), low(graph), high(graph))
    assert [part.kernel.name for part in found.parts] == [node.name for node in graph.priced]
    known = [space.graph(space.parse(net.code)).priced for net in table.nets]
    macs = [sum(table.ops[node.key].macs for node in nodes) for nodes in known]
    rate = np.median([net.ms / m for net, m in zip(table.nets, macs, strict=True)])
    assert found.macs_only_ms == pytest.approx(rate * sum(part.kernel.counts.macs for part in found.parts))
    assert found.estimated_share == 0


def test_parts_add_up(forecast, kernels):
    found = forecast([*kernels, UNKNOWN, COPY])
    assert sum(part.ms for part in found.parts) + found.rest_ms == pytest.approx(found.latency_ms)
    assert sum(part.ms for parts in found.by_kind().values() for part in parts) == pytest.approx(
        found.latency_ms - found.rest_ms
    )


@pytest.mark.parametrize("more", [UNKNOWN, COPY, HUGE, VIEW], ids=lambda kernel: kernel.name)
def test_a_kernel_more_is_marked_and_never_free(forecast, kernels, more):
    before, after = forecast(kernels), forecast([*kernels, more])
    assert after.parts[-1].estimated and after.parts[-1].ms > 0
    assert after.latency_ms > before.latency_ms and after.high_ms > before.high_ms
    assert 0 < after.estimated_share < 1


def test_one_more_of_each_never_lowers_the_price(forecast, kernels):
    before = forecast(kernels).latency_ms
    for kernel in kernels:
        assert forecast([*kernels, kernel]).latency_ms >= before


@pytest.mark.parametrize("kernel", [UNKNOWN, COPY, HUGE])
def test_more_work_of_a_kind_never_costs_less(forecast, kernel):
    ms = []
    for factor in (0.25, 1, 4, 16):
        counts = Counts(*(factor * getattr(kernel.counts, name) for name in ("macs", "params", "bytes")))
        ms.append(forecast([replace(kernel, counts=counts)]).parts[0].ms)
    assert ms == sorted(ms) and ms[0] > 0


def test_a_row_is_used_only_for_what_it_measures(forecast, kernels):
    like = replace(kernels[0], exact=False)
    assert forecast([like]).parts[0].estimated and not forecast(kernels[:1]).parts[0].estimated


def test_a_table_without_networks_still_prices(space, table, kernels):
    bare = replace(table, nets=())
    found = Forecaster(bare)(kernels)
    assert found.nets == 0 and found.latency_ms > 0 and found.macs_only_ms > 0


def test_an_adapted_table_widens_the_interval_by_its_margin(table, forecast, kernels):
    wide = Forecaster(replace(table, header={**table.header, "adapted_margin": "0.2"}))(kernels)
    found = forecast(kernels)
    assert wide.latency_ms == found.latency_ms
    assert wide.high_ms - found.high_ms == pytest.approx(0.2 * found.latency_ms)


def test_an_empty_table_prices_nothing(kernels):
    with pytest.raises(MissingOps):
        Forecaster(LatencyTable(HEADER))(kernels)


def test_networks_of_all_usual_blocks_are_preferred(space, table):
    """Twelve of them, twice as slow as their ops say, outweigh sixty of another space."""
    nets = general_nets(12)
    rows = op_rows(node for general, arch in nets for node in general.graph(arch))
    slow = [NetRow(g.spec, g.code(arch), 2 * sum(op_row(n).ms for n in g.graph(arch).priced), 1, 1) for g, arch in nets]
    found = Forecaster(replace(table, ops={**table.ops, **rows}, nets=(*table.nets, *slow)))
    assert found.correction.nets == len(nets)
    general, arch = nets[len(nets) // 2]
    nodes = general.graph(arch).priced
    kernels = [
        Kernel(n.name, n.op.kind, n.key, True, Counts(r.macs, r.params, r.bytes)) for n in nodes for r in [op_row(n)]
    ]
    assert found(kernels).latency_ms == pytest.approx(slow[len(nets) // 2].ms, rel=0.1)


def test_a_single_small_kernel_is_never_free(table):
    """Whatever intercept the large networks left."""
    nets = [replace(net, ms=net.ms - 0.02) for net in table.nets]
    found = Forecaster(replace(table, nets=tuple(nets)))([VIEW])
    assert found.latency_ms > 0 and found.low_ms >= 0
