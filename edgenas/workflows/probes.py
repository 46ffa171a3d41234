"""What a table is measured from: ops, and whole networks."""

from __future__ import annotations

import numpy as np

from edgenas.devices.general_probes import general_nets, general_ops
from edgenas.graph.graph import Arch, Node
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import distinct_nodes, sample

Probes = tuple[list[Node], list[tuple[SearchSpace, Arch]]]  # ops, and whole networks


def space_probes(space: SearchSpace, nets: int, rng: np.random.Generator) -> Probes:
    """Return all ops of a space, or of what a search looks at first, and at most `nets` of its networks, none twice.

    Args:
        space: perhaps narrowed to some of its options.
        nets: how many networks are wanted.
        rng: draws the networks.
    """
    space = space.preferred
    # Small spaces repeat themselves: ten draws for each, and fewer networks where even these are too few.
    archs = dict.fromkeys(sample(space, rng) for _ in range(10 * nets))
    return distinct_nodes(space), [(space, arch) for arch in list(archs)[:nets]]


def general_probes(seed: int, nets: int) -> Probes:
    """Return ops and at most `nets` networks that stand for those that edgenas did not build."""
    return general_ops(seed=seed), general_nets(limit=nets, seed=seed)
