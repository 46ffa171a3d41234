from __future__ import annotations

import itertools

import edgenas
from edgenas.spaces.build import parse_spec
from edgenas.testing.tiny import Tiny


def test_it_keeps_the_contract_of_spaces():
    edgenas.testing.space_contract(Tiny)


def test_its_spec_is_found_in_any_process():
    space = Tiny((3, 16, 16), 4)
    again = parse_spec(space.spec)
    assert type(again) is Tiny and again.spec == space.spec == "edgenas.testing.tiny 3x16x16 4"
    assert len(list(itertools.product(*space.allowed))) == 18
