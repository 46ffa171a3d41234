from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from edgenas.errors import TableError, UsageError
from edgenas.graph.graph import Graph
from edgenas.latency.missing_ops import op_kind
from edgenas.latency.predictor import latency_interval
from edgenas.latency.table import LatencyTable, NetRow, OpRow, read_table, write_table
from edgenas.latency.transfer_table import Probes, adapted_table, choose_probes
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from tests.latency.tables import HEADER, op_row

FULL = build_space("mbconv", (3, 32, 32), 10)
SPACE = FULL.restrict({FULL.choices[i].name: [0, 1] for i in FULL.static_indices})
_rng = np.random.default_rng(5)
NETS = [sample(SPACE, _rng) for _ in range(50)]


def rates(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A device: ms per 10^7 MACs, per 10^7 bytes and per op, by kind of op, all in a unit of its own."""
    unit = rng.lognormal(0.0, 1.0)
    common = rng.lognormal(0.0, 0.5, 3) * [1.0, 0.5, 0.004]
    kinds = ("pointwise", "depthwise", "conv", "se", "add", "linear", "global_pool", "act")
    return {kind: unit * common * rng.lognormal(0.0, 0.3) for kind in kinds}


def counts() -> dict[str, OpRow]:
    graphs = [SPACE.supergraph(statics) for statics in SPACE.all_statics()]
    return {node.key: op_row(node) for graph in graphs for node in graph.priced}


COUNTS = counts()


def device(seed: int, noise: float = 0.02) -> LatencyTable:
    """The full table of a random device, with 50 whole networks of 0.8 of the sum of their ops."""
    rng = np.random.default_rng(seed)
    law = rates(rng)
    ops = {}
    for key, row in COUNTS.items():
        ms = law[op_kind(key)] @ [row.macs / 1e7, row.bytes / 1e7, 1.0] * np.exp(noise * rng.standard_normal())
        ops[key] = replace(row, ms=float(ms), p90_ms=1.1 * float(ms))
    nets = []
    for arch in NETS:
        ms = 0.8 * sum(ops[node.key].ms for node in SPACE.graph(arch).priced)
        ms *= np.exp(noise * rng.standard_normal())
        nets.append(NetRow(SPACE.spec, SPACE.code(arch), ms, 1.1 * ms, 100))
    return LatencyTable({**HEADER, "device": f"board-{seed}"}, ops, tuple(nets))


KNOWN = [device(seed) for seed in range(5)]


def measured(table: LatencyTable, probes: Probes) -> LatencyTable:
    """What a device's results hold once these probes were timed."""
    ops = {key: table.ops[key] for key in probes.ops}
    nets = tuple(net for net in table.nets if (net.spec, net.code) in probes.nets)
    return LatencyTable(table.header, ops, nets)


def errors(adapted: Mapping[str, OpRow], true: Mapping[str, OpRow]) -> np.ndarray:
    return np.array([abs(adapted[key].ms / row.ms - 1) for key, row in true.items()])


@pytest.fixture(scope="module")
def probes() -> Probes:
    return choose_probes(KNOWN)


@pytest.fixture(scope="module")
def true() -> LatencyTable:
    return device(99)


@pytest.fixture(scope="module")
def adapted(probes, true) -> LatencyTable:
    return adapted_table(KNOWN, measured(true, probes))


def test_ten_probes_give_a_table_close_to_the_measured_one(adapted, true, probes):
    assert len(probes.ops) + len(probes.nets) == 10
    assert set(adapted.ops) == set(true.ops) and len(adapted.nets) == len(true.nets)
    assert np.median(errors(adapted.ops, true.ops)) < 0.1
    net_ms = {net.code: net.ms for net in true.nets}
    assert np.mean([abs(net.ms / net_ms[net.code] - 1) for net in adapted.nets]) < 0.1


def test_measured_rows_stay_and_predicted_ones_have_no_runs(adapted, true, probes):
    for key, row in adapted.ops.items():
        assert row == true.ops[key] if key in probes.ops else row.runs == 0
    for net in adapted.nets:
        assert net in true.nets if (net.spec, net.code) in probes.nets else net.runs == 0


def test_the_header_tells_that_it_is_adapted(adapted, true):
    assert adapted.header["adapted"].startswith("10 probes from board-0 (onnxruntime 1t fp32), board-1 (")
    assert adapted.device == true.device and 0.02 < adapted.adapted_margin < 0.5
    assert true.adapted_margin == 0.0


def test_it_is_a_normal_table(adapted, tmp_path):
    write_table(tmp_path / "t.csv", adapted)
    again = read_table(tmp_path / "t.csv")
    assert again.header == adapted.header and set(again.ops) == set(adapted.ops)
    broken = (tmp_path / "t.csv").read_text().replace("# adapted_margin: 0", "# adapted_margin: x")
    (tmp_path / "t.csv").write_text(broken)
    with pytest.raises(TableError, match="adapted_margin"):
        read_table(tmp_path / "t.csv")


def test_its_interval_is_wider_and_covers_unseen_networks(adapted, true):
    rng = np.random.default_rng(8)
    latency, low, high = latency_interval(adapted, SPACE)
    assert latency.correction.margin >= adapted.adapted_margin
    inside = []
    for graph in (SPACE.graph(sample(SPACE, rng)) for _ in range(100)):
        ms = true_ms(graph, true)
        inside.append(low(graph) <= ms <= high(graph))
        assert high(graph) - low(graph) > 2 * adapted.adapted_margin * latency(graph) * 0.99
    assert np.mean(inside) > 0.8


def true_ms(graph: Graph, table: LatencyTable) -> float:
    return 0.8 * sum(table.ops[node.key].ms for node in graph.priced)


def test_the_unit_of_the_new_device_does_not_matter(adapted, true, probes):
    slow = replace(
        true,
        ops={key: replace(row, ms=50 * row.ms) for key, row in true.ops.items()},
        nets=tuple(replace(net, ms=50 * net.ms) for net in true.nets),
    )
    result = adapted_table(KNOWN, measured(slow, probes))
    for key, row in result.ops.items():
        assert row.ms == pytest.approx(50 * adapted.ops[key].ms, rel=1e-6)
    assert result.adapted_margin == pytest.approx(adapted.adapted_margin, abs=2e-4)


def test_rows_that_one_known_table_lacks_are_estimated_there(true, probes):
    gone = [key for key in COUNTS if key not in probes.ops][::7]
    holed = replace(KNOWN[0], ops={k: row for k, row in KNOWN[0].ops.items() if k not in gone})
    result = adapted_table([holed, *KNOWN[1:]], measured(true, probes))
    assert set(result.ops) == set(COUNTS)
    assert np.median(errors(result.ops, {key: true.ops[key] for key in gone})) < 0.15


def test_an_op_that_no_known_table_holds_stands_as_measured(true, probes):
    strange = OpRow(0.5, 0.6, 100, 1e6, 100, 1e5)
    few = measured(true, probes)
    result = adapted_table(KNOWN, replace(few, ops={**few.ops, "pool max k9 s1 | 3x32x32": strange}))
    assert result.ops["pool max k9 s1 | 3x32x32"] == strange
    assert np.median(errors({k: result.ops[k] for k in COUNTS}, true.ops)) < 0.15


def test_networks_of_an_unknown_space_are_left_out(true, probes):
    other = [replace(t, nets=(*t.nets, NetRow("nowhere 1x1x1 2", "0", 1.0, 1.0, 9))) for t in KNOWN]
    with pytest.warns(UserWarning, match="1 of 51 networks of the table are not used: nowhere 1x1x1 2 0"):
        assert len(adapted_table(other, measured(true, probes)).nets) == len(NETS)


def test_networks_of_ops_that_no_table_holds_are_predicted_too(true, probes):
    gone = SPACE.graph(NETS[0]).priced[3].key
    holed = [replace(t, ops={key: row for key, row in t.ops.items() if key != gone}) for t in KNOWN]
    few = measured(true, replace(probes, ops=tuple(key for key in probes.ops if key != gone)))
    result = adapted_table(holed, few)
    assert gone not in result.ops and len(result.nets) == len(NETS)


def test_probes_are_chosen_among_what_can_be_measured():
    among = sorted(COUNTS)[:15]
    assert set(choose_probes(KNOWN, 6, among=among).ops) <= set(among)
    nets = [(SPACE.spec, SPACE.code(arch)) for arch in NETS[:8]]
    assert choose_probes(KNOWN, 5, among=nets).ops == ()
    with pytest.raises(UsageError, match="no row of the source tables"):
        choose_probes(KNOWN, among=[])


def test_one_known_device_is_enough_for_a_rough_table(true, probes):
    result = adapted_table(KNOWN[:1], measured(true, probes))
    assert np.median(errors(result.ops, true.ops)) < 0.5
    assert result.adapted_margin > 0.1


def test_faults_are_refused(adapted, true, probes):
    few = measured(true, probes)
    with pytest.raises(UsageError, match="needs the table of a source device"):
        adapted_table([], few)
    with pytest.raises(TableError, match="adapted already"):
        adapted_table(KNOWN, adapted)
    with pytest.raises(TableError, match="learn from measured tables alone"):
        adapted_table([adapted], few)
    with pytest.raises(UsageError, match="got 0; measure more"):
        adapted_table(KNOWN, replace(few, ops={}, nets=()))
