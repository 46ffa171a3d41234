"""NAS-Bench-201: the official strings, and the published MACs."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.cost.counts import CountCost
from edgenas.errors import UsageError
from edgenas.spaces.build import build_space
from edgenas.spaces.nasbench201 import OPS, NASBench201
from edgenas.spaces.sampling import sample

SPACE = build_space("nasbench201", (3, 32, 32), 10)
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def published_macs(arch) -> float:
    """The published formula, before dead nodes are removed."""
    return 1e6 * (7.78304 + 15 * (2.359296 * arch.count(3) + 0.262144 * arch.count(2)))


MACS = CountCost("macs")


def own_macs(arch) -> float:
    """MACs of all that an architecture selects, dead or not: what is fixed, and its op on every edge."""
    costs = dict(zip((n.name for n in SPACE.supergraph(())), MACS.supergraph_costs(SPACE, ()), strict=True))
    suffix = {2: ".k1", 3: ".k3"}
    edges = [
        f"s{s}.c{c}.{choice.name}{suffix[option]}"
        for s in range(1, len(NASBench201.channels) + 1)
        for c in range(1, NASBench201.cells + 1)
        for choice, option in zip(SPACE.choices, arch, strict=True)
        if option in suffix
    ]
    fixed = sum(cost for name, cost in costs.items() if not name.endswith((".k1", ".k3")))
    return fixed + sum(costs[name] for name in edges)


def test_counts_follow_the_published_formula(rng):
    for arch in [sample(SPACE, rng) for _ in range(20)]:
        assert own_macs(arch) == pytest.approx(published_macs(arch), rel=1e-12)


def test_the_usual_best_network():
    arch = SPACE.parse(BEST)
    assert MACS.many(SPACE, [arch])[0] == pytest.approx(153.27e6, rel=1e-4)


def test_dead_edges_cost_nothing():
    alive, dead = (3, 0, 0, 0, 3, 0), (3, 3, 0, 0, 3, 0)  # node 2 leads nowhere
    macs = MACS.many(SPACE, [alive, dead])
    assert macs[0] == macs[1] == published_macs(alive) < published_macs(dead)


def test_a_cell_without_a_path_leaves_the_classifier_alone():
    graph = SPACE.graph((3, 3, 3, 0, 0, 0))
    assert [node.name for node in graph.priced] == ["classifier"]


def test_official_strings():
    assert SPACE.parse(BEST) == (3, 3, 3, 1, 3, 2)
    assert SPACE.published((3, 3, 3, 1, 3, 2)) == BEST
    assert len(set(OPS)) == 5 and int(np.prod([len(choice.options) for choice in SPACE.choices])) == 15_625


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~1|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~3|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|+|none~0|",
        BEST.replace("skip_connect", "conv_9x9"),
        "|",
    ],
)
def test_other_strings_are_refused(text):
    with pytest.raises(UsageError, match="nasbench201"):
        SPACE.parse(text)


@pytest.mark.parametrize("shape", [(3, 15, 15), (3, 65, 65), (3, 32, 28)])
def test_other_images_are_refused(shape):
    with pytest.raises(UsageError, match="16 to 64 pixels"):
        build_space("nasbench201", shape, 10)
