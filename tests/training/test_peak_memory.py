"""Every training, in every space, at default settings on digits: its process stays below six gigabytes."""

import pytest

from edgenas.system import plugins
from tests.benchmarks.memory import NETWORK, SUPERNET, measured

LIMIT = 6e9


@pytest.mark.slow
@pytest.mark.parametrize("space", plugins.names("spaces"))
@pytest.mark.parametrize("training", [*plugins.names("strategies"), SUPERNET, NETWORK])
def test_the_first_step_stays_below_six_gigabytes(training, space):
    if training not in (SUPERNET, NETWORK) and not plugins.load("strategies", training).trains_weights:
        pytest.skip("it trains no weights")
    peak = measured(training, space, steps=1, seconds=45)
    assert peak.peak < LIMIT
    # What kernels need beside tensors depends on the machine, and single paths use a part of what is kept ready for
    # the largest: the estimate is to be of the right size, and not far too small.
    assert 0.6 < peak.estimated / peak.grown < 3
