"""What every cost model keeps: each class of edgenas/cost and edgenas/latency runs through the same tests."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgenas.cost
import edgenas.latency
from edgenas.cost.base import AdditiveCost, CostModel, many_metrics
from edgenas.cost.counts import CountCost
from edgenas.cost.file_size import FileBytes
from edgenas.cost.lookup import LookupCost
from edgenas.cost.memory import PeakBytes
from edgenas.graph.graph import Graph
from edgenas.latency.correction import Correction
from edgenas.latency.predictor import EstimatedMs, Latency, Prices
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import one_hot
from tests._toys import Cell, Shared, all_archs
from tests.latency.tables import table_of

CORRECTION = Correction((0.8,) * 8 + (0.002, 0.01, 0.003), 0.03, 0.1, 100)


def latency(side: int) -> Callable[[SearchSpace], CostModel]:
    return lambda space: Latency(Prices(table_of(space)), CORRECTION, side)


MAKERS: dict[str, tuple[type[CostModel], Callable[[SearchSpace], CostModel]]] = {
    "macs": (CountCost, lambda space: CountCost("macs")),
    "params": (CountCost, lambda space: CountCost("params")),
    "bytes": (CountCost, lambda space: CountCost("bytes")),
    "latency": (Latency, latency(0)),
    "latency low": (Latency, latency(-1)),
    "latency high": (Latency, latency(1)),
    "estimated": (EstimatedMs, lambda space: EstimatedMs(Latency(Prices(table_of(space)), CORRECTION))),
    "peak": (PeakBytes, lambda space: PeakBytes()),
    "peak int8": (PeakBytes, lambda space: PeakBytes(element_bytes=1)),
}


@pytest.fixture(scope="module", params=[Shared(), Cell()], ids=lambda space: space.name)
def space(request) -> SearchSpace:
    return request.param


@pytest.fixture(scope="module", params=MAKERS)
def cost(request, space) -> CostModel:
    return MAKERS[request.param][1](space)


def cost_models() -> Iterator[type[CostModel]]:
    for package in (edgenas.cost, edgenas.latency):
        for file in Path(package.__path__[0]).glob("*.py"):
            module = importlib.import_module(f"{package.__name__}.{file.stem}")
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if issubclass(kind, CostModel) and not inspect.isabstract(kind):
                    yield kind


def test_every_cost_model_is_tested_here():
    """But for one that looks architectures up and knows no nodes, and one whose prices depend on nodes' names."""
    assert set(cost_models()) - {LookupCost, FileBytes} == {kind for kind, _ in MAKERS.values()}


def test_metric_names_a_figure_and_its_unit(cost):
    assert re.fullmatch(r"macs|params|([a-z]+_)?bytes|latency(_low|_high|_estimated)?_ms@\w+", cost.metric)


def test_costs_are_finite_and_positive(cost, space):
    for arch in all_archs(space):
        value = cost(space.graph(arch))
        assert isinstance(value, float) and np.isfinite(value)
        assert value >= 0 if isinstance(cost, EstimatedMs) else value > 0  # here every row is measured


def test_many_is_one_by_one(cost, space):
    archs = all_archs(space)[::-1]
    one_by_one = [cost(space.graph(arch)) for arch in archs]
    np.testing.assert_allclose(cost.many(space, archs), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(many_metrics([cost], space, archs)[cost.metric], one_by_one, rtol=1e-12)
    assert cost.many(space, []).shape == (0,)


def test_a_cost_is_the_same_alone_and_in_company(cost, space):
    """To the last bit: a strategy that looked at many and the record of one agree on the budget."""
    archs = all_archs(space)
    assert cost.many(space, archs).tolist() == [float(cost.many(space, [arch])[0]) for arch in archs]


def test_a_node_more_is_never_cheaper(cost, space):
    arch = all_archs(space)[-1]
    graph = space.graph(arch)
    before = cost(graph)
    for node in space.supergraph(space.statics(arch)).priced:
        more = replace(node, name="more", inputs=(graph.input.name,) * len(node.inputs))
        assert cost(Graph((*graph.nodes, more), arch)) >= before


def test_names_and_weight_groups_cost_nothing(cost, space):
    graph = space.graph(all_archs(space)[-1])
    renamed = Graph(
        tuple(
            replace(node, name=f"{node.name}'", weights="w", inputs=tuple(f"{name}'" for name in node.inputs))
            for node in graph
        )
    )
    assert cost(renamed) == cost(graph)


@pytest.mark.parametrize("name", [name for name, (kind, _) in MAKERS.items() if issubclass(kind, AdditiveCost)])
def test_a_certain_choice_is_expected_to_cost_what_it_costs(name, space):
    cost = MAKERS[name][1](space)
    assert isinstance(cost, AdditiveCost)
    for arch in all_archs(space):
        expected = cost.expected(space, space.statics(arch), one_hot(space, arch))
        assert expected == pytest.approx(cost(space.graph(arch)), rel=1e-9)
