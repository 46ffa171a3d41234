"""Of a run's folder any file may be cut, changed or lost: the run ends as it would have, or names the file."""

import pytest

from tests.benchmarks.damage import outcomes_of

CASES = 24  # of all that `python -m tests.benchmarks.damage` goes through


@pytest.mark.slow
def test_a_damaged_file_changes_nothing_or_is_named(tmp_path):
    found = list(outcomes_of(tmp_path, CASES))
    assert [f"{case}: {problem}" for case, _, problem in found if problem] == []
    assert len(found) == CASES and {outcome for _, outcome, _ in found} <= {"equal", "named"}
