"""What a device measured goes into the run that searched for it. The whole way is in `test_search_device`."""

import shutil

import pytest

from edgenas.errors import UsageError
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import RunFolder, read_artefact
from edgenas.workflows import confirm as module
from edgenas.workflows.confirm import _keep, confirm
from edgenas.workflows.stages.artefacts import CONFIRMED, Confirmed, Figure
from tests._searched import hashes


def test_figures_are_kept_and_the_result_is_due_again(tmp_path):
    for name in ("result", "report", "test"):
        (tmp_path / f"{name}.json").write_text("{}")
    _keep(tmp_path, {"0": {"fp32": {"ms": 1.5, "p90_ms": 1.8, "repeat_error": 0.01, "threads": 2, "runs": 9}}})
    assert read_artefact(tmp_path, CONFIRMED, Confirmed) == Confirmed({"0": {"fp32": Figure(1.5, 1.8, 0.01, 2)}})
    assert {path.name for path in tmp_path.iterdir()} == {"test.json", f"{CONFIRMED}.json"}


def test_a_run_that_is_under_way_is_not_written_into(searched, tmp_path, monkeypatch):
    copied = shutil.copytree(searched, tmp_path / "run")
    monkeypatch.setattr(module, "read_results", lambda *results: None)
    monkeypatch.setattr(module, "finalist_timings", lambda *found: {})
    run = RunFolder(copied, resume=True)
    before = hashes(copied)
    with pytest.raises(UsageError, match="works in it"):
        confirm(tmp_path / "results.jsonl", copied, SilentReporter())
    assert hashes(copied) == before
    run.unlock()


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(UsageError, match="no run of a search"):
        confirm(tmp_path / "results.jsonl", tmp_path, SilentReporter())
