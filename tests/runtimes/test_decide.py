"""Whether a measured latency keeps a budget."""

import pytest

from edgenas.runtimes.decide import SLOWER_BY, keeps, met


@pytest.mark.parametrize(
    "ms, repeat_error, budget_ms, expected",
    [
        (19.0, 0.04, 20.0, True),
        (19.5, 0.04, 20.0, False),
        (20.0, 0.0, 20.0, True),
        (20.1, 0.0, 20.0, False),
        (1.0, float("inf"), 20.0, False),
        (float("nan"), 0.0, 20.0, False),
    ],
)
def test_met_counts_the_repeat_error(ms, repeat_error, budget_ms, expected):
    assert met(ms, repeat_error, budget_ms) is expected


@pytest.mark.parametrize(
    "ms, repeat_error, clean, slowed, expected",
    [
        (19.0, 0.04, True, 1.0, True),
        (19.0, 0.04, True, 3.0, True),
        (20.5, 0.04, True, 1.0, False),
        (20.5, 0.04, True, SLOWER_BY + 0.01, None),
        (23.0, 0.01, True, SLOWER_BY + 0.01, None),
        (25.0, 0.01, True, SLOWER_BY + 0.01, False),
        (20.5, 0.09, True, 1.0, None),
        (25.0, 0.09, True, 1.0, False),
        (5.0, 0.01, False, 1.0, None),
        (20.5, 0.2, False, 1.0, None),
        (30.0, 0.2, False, 1.0, False),
        (30.0, 1.0, False, 1.0, None),
        (30.0, float("inf"), True, 1.0, None),
    ],
)
def test_a_busy_machine_decides_only_what_is_beyond_doubt(ms, repeat_error, clean, slowed, expected):
    assert keeps(ms, repeat_error, 20.0, clean=clean, slowed=slowed) is expected
