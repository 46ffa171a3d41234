"""What a first look at the machine says of a table that is measured now."""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgenas.latency.correction import margin_at
from edgenas.runtimes.summary import Timing, repeat_error_of_table
from edgenas.runtimes.timing import clean_share
from edgenas.system import text


def describe_noise(timings: Mapping[str, Timing]) -> str:
    """Return a line on how busy the machine is, by a few models, and what that costs in interval."""
    error, share = repeat_error_of_table(timings), clean_share(timings)
    line = f"{text.percent(share, 0)} of the timing samples are clean, repeat error so far "
    if not math.isfinite(error):
        return f"{line}unknown: the machine is busy; close other programs, or profile later"
    quiet, now = (text.percent(margin_at(each), 0) for each in (0.0, error))
    line += text.percent(error)
    return f"{line}: " + (
        f"intervals will be about ± {quiet}" if now == quiet else f"intervals will be about ± {now} instead of {quiet}"
    )
