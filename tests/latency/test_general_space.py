"""The space of all usual blocks: its name outlives files, its programs are straight lines, blocks are what they say."""

import numpy as np
import pytest

from edgenas.latency.general_space import CHANNELS, NAME, General, build
from edgenas.spaces.build import parse_spec
from edgenas.spaces.sampling import sample

SPACE = build((3, 224, 224), 10)


def arch(**values):
    """The first option of every choice, but for these."""
    return tuple(choice.options.index(values.get(choice.name, choice.options[0])) for choice in SPACE.choices)


def graph_of(block, **values):
    return SPACE.graph(arch(**{f"s{s}.block": block for s in range(1, 5)}, **values))


def test_its_name_is_the_one_that_tables_hold():
    assert NAME == "edgenas.spaces._general"
    assert isinstance(parse_spec(f"{NAME} 3x224x224 10"), General)
    assert parse_spec(f"{NAME} 3x224x224 10").spec == f"{NAME} 3x224x224 10"


@pytest.mark.parametrize(
    "block, ops",
    [
        ("plain", {"conv"}),
        ("residual", {"first", "second", "shortcut", "add", "act"}),
        ("bottleneck", {"reduce", "conv", "expand", "shortcut", "add", "act"}),
        ("grouped", {"first", "conv", "last", "shortcut", "add", "act"}),
        ("inverted", {"expand", "depthwise", "project"}),
        ("gated", {"expand", "depthwise", "se", "project"}),
        ("fire", {"pool", "squeeze", "wide", "narrow", "concat"}),
    ],
)
def test_a_block_is_made_of_its_ops(block, ops):
    names = {node.name.split(".")[-1] for node in graph_of(block) if node.name.startswith("s1.b1.")}
    assert names == ops


@pytest.mark.parametrize("block", CHANNELS)
def test_five_halvings_and_the_channels_of_the_papers(block):
    nodes = [node for node in graph_of(block, width=1.0) if node.name.startswith("s4.b1.")]
    channels, side, _ = nodes[-1].shape
    assert channels == CHANNELS[block][-1] and side == 96 // 32


def test_every_architecture_is_one_straight_line():
    rng = np.random.default_rng(0)
    for _ in range(10):
        drawn = sample(SPACE, rng)
        supergraph = SPACE.supergraph(SPACE.statics(drawn))
        assert [node.key for node in supergraph.priced] == [node.key for node in SPACE.graph(drawn).priced]
