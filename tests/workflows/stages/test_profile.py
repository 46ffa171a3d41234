"""Which ops are measured."""

from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import distinct_nodes
from edgenas.workflows.stages.profile import stratified


def test_a_spread_takes_every_kind():
    nodes = distinct_nodes(build_space("mbconv", (1, 28, 28), 10))
    few = stratified(nodes, 40)
    assert len(few) <= 40 and {node.op.kind for node in few} >= {"conv", "se", "add"}
    assert stratified(few, 100) == few
    assert len({node.key for node in nodes}) == len(nodes)
