"""How well a new table predicts networks that its correction has not seen, and whether that makes it doubtful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenas.latency.correction import ENOUGH_NETS
from edgenas.latency.predictor import latency_interval
from edgenas.latency.table import LatencyTable, NetRow
from edgenas.spaces.build import parse_spec
from edgenas.system.text import percent

# A median error above this is of no use for a budget in ms, whatever the interval promises.
WORST_MEDIAN_ERROR = 0.2
# Of fewer networks the median may be above what the interval promises by chance.
FEWEST_FOR_INTERVAL = 5


def check_header(table: LatencyTable, tests: Sequence[NetRow]) -> dict[str, str]:
    """Return what the header of a table says of its test: `test`, and `doubt` if the table should not be relied on.

    Args:
        table: of ops, and of the networks that its correction is fitted on.
        tests: other networks, measured with it; none give an empty header.
    """
    if not tests:
        return {}
    errors, promised = _errors(table, tests)
    mean, within = float(errors.mean()), float(np.mean(errors <= 0.1))
    header = {"test": f"{len(errors)} networks, mean error {mean:.1%}, {within:.0%} within 10%"}
    median = float(np.median(errors))
    broken = len(tests) >= FEWEST_FOR_INTERVAL and median > promised
    if broken or median > WORST_MEDIAN_ERROR:
        cause = (
            f"only {len(table.nets)} whole networks correct its ops; make a kit of {ENOUGH_NETS} --nets or more"
            if len(table.nets) < ENOUGH_NETS
            else "the device was probably busy, throttled or at another clock for part of the time, or the file is not "
            "as it was measured; measure again on a quiet, cool device before a search relies on this table"
        )
        header["doubt"] = (
            f"the test networks are predicted with a median error of {percent(median)}, while intervals promise "
            f"{percent(promised)} and {percent(WORST_MEDIAN_ERROR, 0)} is the most that is of use: {cause}"
        )
    return header


def _errors(table: LatencyTable, nets: Sequence[NetRow]) -> tuple[np.ndarray, float]:
    """Return |predicted / measured - 1| (n,) of networks, and the relative half width of their median interval."""
    errors, widths = [], []
    for spec in dict.fromkeys(net.spec for net in nets):
        space = parse_spec(spec)
        latency, _, high = latency_interval(table, space, estimate_missing=True)
        these = [net for net in nets if net.spec == spec]
        archs = [space.parse(net.code) for net in these]
        predicted = np.asarray(latency.many(space, archs))
        errors.append(np.abs(predicted / np.array([net.ms for net in these]) - 1))
        widths.append(np.asarray(high.many(space, archs)) / predicted - 1)
    return np.concatenate(errors), float(np.median(np.concatenate(widths)))
