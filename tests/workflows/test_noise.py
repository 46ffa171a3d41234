"""What a first look says of the machine."""

import math

import pytest

from edgenas.runtimes.summary import Timing
from edgenas.workflows.noise import describe_noise


@pytest.mark.parametrize(
    "repeat_error, clean_share, says",
    [
        (0.001, 1.0, "100 % of the timing samples are clean, repeat error so far 0.1 %: intervals will be about ± 4 %"),
        (0.08, 0.5, "50 % of the timing samples are clean, repeat error so far 8.0 %: intervals will be about ± 9 % "),
        (math.inf, 0.0, "0 % of the timing samples are clean, repeat error so far unknown: the machine is busy"),
    ],
)
def test_a_line_says_how_noisy_it_is_and_what_that_costs(repeat_error, clean_share, says):
    line = describe_noise({"a": Timing(1.0, 1.1, repeat_error, 100, clean_share)})
    assert line.startswith(says) and "\n" not in line
    assert ("instead of 4 %" in line) == (repeat_error == 0.08)
