"""Which ops are measured."""

from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import distinct_nodes
from edgenas.workflows.stages.profile import affordable, stratified
from edgenas.workflows.task import costs_by
from tests.workflows._tasks import ARCHS, SPACE, table, toy_task


def test_a_spread_takes_every_kind():
    nodes = distinct_nodes(build_space("mbconv", (1, 28, 28), 10))
    few = stratified(nodes, 40)
    assert len(few) <= 40 and {node.op.kind for node in few} >= {"conv", "se", "add"}
    assert stratified(few, 100) == few
    assert len({node.key for node in nodes}) == len(nodes)


def test_a_margin_that_leaves_nothing_to_search_is_left_out():
    task = toy_task(budget_ms=1.0)
    wide = table().extended({}, (), unclean_margin="0.3")
    least_ms = costs_by(task, table()).gate.many(SPACE, ARCHS).min()
    for factor, margin in ((1.5, 0.3), (1.1, 0.0)):
        found = affordable(toy_task(budget_ms=factor * least_ms), wide)
        assert found.unclean_margin == margin
        assert costs_by(task, found).gate.many(SPACE, ARCHS).min() <= factor * least_ms
    assert affordable(task, table()) == table()
