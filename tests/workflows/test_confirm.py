"""What a device measured goes into the run that searched for it. The whole way is in `test_search_device`."""

import pytest

from edgenas.errors import UsageError
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.confirm import _keep, confirm
from edgenas.workflows.stages.artefacts import Confirmed, Figure
from edgenas.workflows.stages.deliver import CONFIRMED


def test_figures_are_kept_and_the_result_is_due_again(tmp_path):
    for name in ("result", "report", "test"):
        (tmp_path / f"{name}.json").write_text("{}")
    _keep(tmp_path, {"0": {"fp32": {"ms": 1.5, "p90_ms": 1.8, "repeat_error": 0.01, "threads": 2, "runs": 9}}})
    assert read_artefact(tmp_path, CONFIRMED, Confirmed) == Confirmed({"0": {"fp32": Figure(1.5, 1.8, 0.01, 2)}})
    assert {path.name for path in tmp_path.iterdir()} == {"test.json", f"{CONFIRMED}.json"}


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(UsageError, match="no run of a search"):
        confirm(tmp_path / "results.jsonl", tmp_path, SilentReporter())
