"""A space that breaks its contract is told so; our own keep it."""

from __future__ import annotations

import pytest

from edgenas.graph.graph import Builder, Choice
from edgenas.spaces.base import SearchSpace
from edgenas.testing import space_contract
from tests._toys import Shared


class Headless(SearchSpace):
    """Ends with channels, not with classes."""

    choices = (Choice("k", (3, 5)), Choice("again", (3, 5)))

    def emit(self, g: Builder) -> None:
        x = g.choose("k", {k: g.conv(f"a{k}", g.input, out=8, kernel=k) for k in (3, 5)})
        x = g.choose("again", {k: g.conv(f"b{k}", x, out=8, kernel=k) for k in (3, 5)})
        g.global_pool("pool", x)


class Biased(Shared):
    """Decodes to something else than it was asked for."""

    def decode(self, scores):
        return (0, *super().decode(scores)[1:])


class Mute(Shared):
    """Its code leaves the last choice out."""

    def code(self, arch):
        return super().code((*arch[:-1], 0))


def test_a_space_that_keeps_the_contract_passes():
    space_contract(Shared, (3, 8, 8), 4)


@pytest.mark.parametrize(
    "space, sentence",
    [(Headless, "ends with"), (Biased, "decode does not invert one_hot"), (Mute, "parse does not invert code")],
)
def test_what_breaks_it_is_named(space, sentence):
    with pytest.raises(AssertionError, match=sentence):
        space_contract(space, (3, 8, 8), 4)
