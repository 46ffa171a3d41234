"""A data set that breaks its contract is told so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgenas.data import digits
from edgenas.testing import data_contract


def test_a_data_set_that_keeps_the_contract_passes():
    data_contract(digits.build)


def leaking(**settings):
    """Validates on training images."""
    data = digits.build(**settings)
    return replace(data, validation=replace(data.train, rows=data.train.rows[:200], labels=data.train.labels[:200]))


def seedless(*, seed, **settings):
    return digits.build(seed=0, **settings)


@pytest.mark.parametrize(
    "build, sentence", [(leaking, "an image is in two splits"), (seedless, "another seed cuts the same")]
)
def test_what_breaks_it_is_named(build, sentence):
    with pytest.raises(AssertionError, match=sentence):
        data_contract(build)
