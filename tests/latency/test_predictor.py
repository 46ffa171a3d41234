from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.errors import MissingOps, OwnCode
from edgenas.graph.graph import Graph
from edgenas.latency.correction import PRIOR, Correction, fit_correction
from edgenas.latency.predictor import EstimatedMs, Latency, Prices, latency_interval, training_rows
from edgenas.latency.table import LatencyTable, NetRow
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import sample
from tests._toys import Shared, all_archs
from tests.latency.tables import HEADER, net_rows, op_row, op_rows, table_of

SHARED = Shared()
PLAIN = Correction((1.0,) * 8 + (0.0, 0.0, 0.0), 0.0, 0.1, 100)  # the sum of the rows, within 10 %


def mbconv() -> SearchSpace:
    from edgenas.spaces.build import build_space

    return build_space("mbconv", (3, 32, 32), 10)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return mbconv()


@pytest.fixture(scope="module")
def table(space) -> LatencyTable:
    rng = np.random.default_rng(0)
    archs = [sample(space, rng) for _ in range(100)]
    return table_of(space, net_rows(space, archs, rng, noise=0.02))


def without(table: LatencyTable, key: str) -> LatencyTable:
    return replace(table, ops={k: row for k, row in table.ops.items() if k != key})


def test_latency_is_the_corrected_sum_of_rows():
    graph = SHARED.graph((1, 1, 1, 1))
    latency = Latency(Prices(table_of(SHARED)), Correction((0.8,) * 8 + (0.01, 0.0, 0.0), 0.3, 0.1, 100))
    total = sum(op_row(node).ms for node in graph.priced)
    assert latency.metric == "latency_ms@bench"
    assert latency(graph) == pytest.approx(0.3 + 0.8 * total + 0.01 * len(graph.priced))


@pytest.mark.parametrize("intercept", [0.3, -0.01])
def test_interval_ends_are_the_margin_away(intercept):
    prices, correction = Prices(table_of(SHARED)), Correction((0.8,) * 11, intercept, 0.1, 100)
    low, middle, high = (Latency(prices, correction, side) for side in (-1, 0, 1))
    assert [cost.metric for cost in (low, high)] == ["latency_low_ms@bench", "latency_high_ms@bench"]
    for arch in all_archs(SHARED):
        ms = middle(SHARED.graph(arch))
        assert low(SHARED.graph(arch)) == pytest.approx(0.9 * ms)
        assert high(SHARED.graph(arch)) == pytest.approx(1.1 * ms)


def test_predicts_unseen_networks_within_their_interval(space, table):
    rng = np.random.default_rng(1)
    archs = [sample(space, rng) for _ in range(200)]
    middle, low, high = (cost.many(space, archs) for cost in latency_interval(table, space))
    ms = np.array([net.ms for net in net_rows(space, archs, rng, noise=0.02)])
    assert np.abs(middle / ms - 1).mean() < 0.025
    assert 0.8 < np.mean((low <= ms) & (ms <= high)) <= 1.0


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_a_node_more_never_lowers_a_latency(space, table, side):
    prices = Prices(table)
    latency = Latency(prices, fit_correction(*training_rows(prices, space.name)), side)
    arch = sample(space, np.random.default_rng(2))
    graph = space.graph(arch)
    before = latency(graph)
    for node in space.supergraph(space.statics(arch)).priced:
        assert latency(Graph((*graph.nodes, replace(node, name="more")), arch)) >= before


def test_a_missing_row_is_named_with_the_command_that_measures_it():
    table = table_of(SHARED)
    graph = SHARED.graph((0, 0, 0, 0))
    gone = sorted(node.key for node in graph.priced)[:2]
    latency = Latency(Prices(replace(table, ops={k: r for k, r in table.ops.items() if k not in gone})), PLAIN)
    with pytest.raises(MissingOps, match=r"bench: 2 ops unprofiled, first .*edgenas profile") as caught:
        latency(graph)
    assert repr(gone[0]) in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_table_prices_nothing():
    graph = SHARED.graph((0, 0, 0, 0))
    with pytest.raises(MissingOps):
        Latency(Prices(LatencyTable(HEADER)), PLAIN)(graph)
    with pytest.raises(MissingOps, match="no rows"):  # nothing to estimate from either: never a silent zero
        Latency(Prices(LatencyTable(HEADER), estimate_missing=True), PLAIN)(graph)


def test_estimates_are_marked_and_widen_the_interval(space, table):
    arch = sample(space, np.random.default_rng(3))
    graph = space.graph(arch)
    key = max((node for node in graph.priced if node.op.kind == "conv"), key=lambda node: op_row(node).ms).key
    rng = np.random.default_rng(4)
    noisy = {k: replace(row, ms=row.ms * rng.uniform(0.8, 1.2)) for k, row in table.ops.items()}
    holed = without(replace(table, ops=noisy), key)
    full, guess = Prices(replace(table, ops=noisy)), Prices(holed, estimate_missing=True)
    assert EstimatedMs(Latency(full, PLAIN))(graph) == 0.0
    assert Latency(guess, PLAIN)(graph) == pytest.approx(Latency(full, PLAIN)(graph), rel=0.1)
    assert set(guess.estimated) == {key} and key not in holed.ops
    share = EstimatedMs(Latency(guess, PLAIN))(graph) / Latency(guess, PLAIN)(graph)
    ms, error = Latency(guess, PLAIN)(graph), guess.estimator.error
    assert 0 < share < 1 and 0.1 < error < 0.5
    assert Latency(guess, PLAIN, 1)(graph) == pytest.approx(ms * (1 + 0.1 + share * error))
    assert Latency(guess, PLAIN, -1)(graph) == pytest.approx(ms * (1 - 0.1 - share * error))


def test_training_rows_are_the_networks_of_the_space_that_can_be_priced(space, table):
    rows, ms = training_rows(Prices(table), "mbconv")
    assert len(rows) == len(ms) == 100
    assert training_rows(Prices(table), "chain") == ([], [])
    strange = [NetRow(spec, "0" * 46, 1, 1, 1) for spec in ("mbconv 3x32 10", "mbconv 3x500x500 10", "other 1x1x1 1")]
    strange.append(NetRow("mbconv 3x32x32 10", "zz", 1, 1, 1))  # of another version of the space
    with pytest.warns(UserWarning, match=r"3 of 103 networks of the table are not used: mbconv 3x32 10 000.*zz"):
        assert len(training_rows(Prices(replace(table, nets=(*table.nets, *strange))), "mbconv")[1]) == 100
    key = space.graph(space.parse(table.nets[0].code)).output.key
    assert 0 < len(training_rows(Prices(without(table, key)), "mbconv")[1]) < 100


@pytest.mark.parametrize(("alike", "counted"), [(10, 60), (30, 30)])
def test_networks_of_another_size_and_hour_count_only_where_those_alike_are_few(space, alike, counted):
    rng = np.random.default_rng(1)
    own, other = mbconv(), mbconv()
    own.corrected_by_size = True
    archs = [sample(space, rng) for _ in range(60)]
    rows = net_rows(other, archs, rng)
    slow = [replace(row, spec="mbconv 3x32x32 7", ms=2 * row.ms) for row in rows[alike:]]
    table = table_of(own, [*rows[:alike], *slow])
    correction = latency_interval(table, own, estimate_missing=True)[0].correction
    assert correction.nets == counted and (correction.margin < 0.1) == (counted == alike)


def test_a_table_without_networks_uses_the_prior(space):
    latency, _, high = latency_interval(table_of(space), space)
    assert latency.correction.coefficients == tuple(PRIOR.tolist())
    graph = space.graph(tuple(0 for _ in space.choices))
    assert high(graph) == pytest.approx(1.5 * latency(graph))


def test_networks_of_a_space_from_outside_are_rebuilt():
    table = LatencyTable(HEADER, op_rows(n for s in SHARED.all_statics() for n in SHARED.supergraph(s)))
    nets = net_rows(SHARED, all_archs(SHARED), np.random.default_rng(0))
    rows, ms = training_rows(Prices(replace(table, nets=tuple(nets))), SHARED.name)
    assert len(rows) == 16 and ms == [net.ms for net in nets]


def own_rows(name: str) -> tuple[NetRow, ...]:
    return tuple(NetRow(f"{name} 3x32x32 10", code, 1, 1, 1) for code in ("0", "1"))


def test_networks_of_a_space_that_nobody_named_are_told_of_and_refused_if_there_are_no_others(table):
    some = replace(table, nets=(*table.nets, *own_rows("somebodys.space")))
    with pytest.warns(UserWarning, match=r"2 of 102 .*somebodys.space 3x32x32 10 1 \(the space 'somebodys.space' is"):
        rows, _ = training_rows(Prices(some), None)
    assert len(rows) == 100
    with pytest.raises(OwnCode, match="somebodys.space"):
        training_rows(Prices(replace(table, nets=own_rows("somebodys.space"))), None)


def test_the_names_of_networks_are_no_codes_of_a_terminal(table):
    with pytest.warns(UserWarning) as warned:
        training_rows(Prices(replace(table, nets=own_rows("\x1b[2J"))), None)
    assert str(warned[0].message).isprintable()


def test_a_table_of_few_ops_answers_for_its_estimates_by_its_networks(table):
    space = mbconv()
    space.corrected_by_size = True
    rng = np.random.default_rng(5)
    keys = sorted(table.ops)
    few = replace(table, ops={key: table.ops[key] for key in keys[::4]})
    middle, low, high = latency_interval(few, space, estimate_missing=True)
    assert middle.correction.estimated_share > 0.5
    archs = [sample(space, rng) for _ in range(100)]
    ms = middle.many(space, archs)
    assert (low.many(space, archs) < ms).all() and (ms < high.many(space, archs)).all()
    measured = np.array([net.ms for net in net_rows(space, archs, rng, noise=0.02)])
    assert 0.8 < np.mean((low.many(space, archs) <= measured) & (measured <= high.many(space, archs)))
