"""A table that predicts its test networks badly is marked."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas.devices.table_check import FEWEST_FOR_INTERVAL, WORST_MEDIAN_ERROR, check_header
from tests._toys import Shared, all_archs
from tests.latency.tables import net_rows, table_of

SPACE = Shared()
ROWS = net_rows(SPACE, np.random.default_rng(0).permutation(all_archs(SPACE)), np.random.default_rng(0), noise=0.01)
FITTED, TESTS = ROWS[:8], ROWS[8:]


def slower(times, count=None):
    return [replace(row, ms=times * row.ms) for row in TESTS[:count]]


def test_networks_that_are_predicted_well_leave_no_doubt():
    header = check_header(table_of(SPACE, FITTED), TESTS)
    assert header.keys() == {"test"} and header["test"].startswith(f"{len(TESTS)} networks, mean error ")


def test_without_test_networks_nothing_is_said():
    assert check_header(table_of(SPACE, FITTED), []) == {}


@pytest.mark.parametrize("times, error", [(0.4, 150), (2.0, 50), (0.8, 25)])
def test_a_large_error_is_named_with_its_likely_cause(times, error):
    header = check_header(table_of(SPACE, FITTED), slower(times))
    assert header["doubt"].startswith("the test networks are predicted with a median error of ")
    assert "busy" in header["doubt"] and "throttled" in header["doubt"] and "\n" not in header["doubt"]
    named = float(header["doubt"].split("error of ")[1].split(" %")[0])
    assert named == pytest.approx(error, abs=4)


def test_a_table_of_few_networks_blames_them_and_not_the_device():
    doubt = check_header(table_of(SPACE, FITTED[:3]), slower(2.0))["doubt"]
    assert "only 3 whole networks correct its ops" in doubt and "busy" not in doubt


@pytest.mark.parametrize("count, doubted", [(len(TESTS), True), (FEWEST_FOR_INTERVAL - 1, False)])
def test_an_error_that_intervals_do_not_promise_counts_from_several_networks_on(count, doubted):
    times = 1 - WORST_MEDIAN_ERROR / 2
    assert ("doubt" in check_header(table_of(SPACE, FITTED), slower(times, count))) == doubted
