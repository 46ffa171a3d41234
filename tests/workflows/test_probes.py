"""What a table is measured from."""

import numpy as np

from edgenas.workflows.probes import general_probes, space_probes
from tests.workflows._tasks import ARCHS, SPACE


def test_all_ops_of_a_space_and_networks_none_twice(rng):
    nodes, nets = space_probes(SPACE, 5, rng)
    assert {node.key for node in nodes} >= {node.key for arch in ARCHS for node in SPACE.graph(arch).priced}
    assert len({arch for _, arch in nets}) == len(nets) == 5


def test_general_probes_are_those_of_their_seed():
    (nodes, nets), (again, _) = general_probes(3, 4), general_probes(3, 4)
    assert [node.key for node in nodes] == [node.key for node in again] and len(nets) == 4
    assert len(np.unique([node.key for node in nodes])) == len(nodes)
