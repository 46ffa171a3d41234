"""A whole search on a machine that is never quiet: it ends with a model, and `edgenas bench` settles it later."""

import json

import pytest

from edgenas.cli.main import main
from edgenas.devices.this_host import cached_table_path
from edgenas.exporters.bundle import verify_bundle
from edgenas.system.file_index import forget, write_kept
from edgenas.workflows.result import Result
from tests import _busy_runtime as runtime
from tests._searched import FEW

pytestmark = pytest.mark.slow  # it trains a supernet

SEARCH = {**FEW, "data": "tests._few_digits", "space": "tests._toys", "budget_ms": 0.02, "supernet_epochs": 1}


def words(settings):
    flags = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        flags += [f"--no-{flag}"] if value is False else [f"--{flag}", str(value)]
    return flags


def test_a_search_beside_other_programs_delivers_and_is_settled_later(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(runtime.BUSY, "always")
    folder = tmp_path / "run"
    command = ["search", *words(SEARCH), "--runtime", runtime.name, "--wait-minutes", "0", "--output", str(folder)]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Budget not confirmed") and f"edgenas bench {folder}" in shown.out
    assert shown.err.count("going on with disturbed samples") == 1
    result = Result.from_json((folder / "result.json").read_bytes())
    assert (result.met_budget, result.measurement) == (None, "unclean") and result.measured_ms > 0
    assert result.repeat_error > 0.05, "as wide as its samples spread"
    assert "It is unclean" in (folder / "MODEL_CARD.md").read_text() and verify_bundle(folder) == []
    assert json.loads((folder / "manifest.json").read_text())["met_budget"] is None
    assert not cached_table_path(runtime.name, 1).exists()

    monkeypatch.setenv(runtime.BUSY, "never")
    forget(folder / "result.json")  # as if it had been killed before the end: what was measured keeps its mark
    assert main(["search", "--output", str(folder), "--resume", "--quiet", "--json"]) == 0
    again = capsys.readouterr()
    assert json.loads(again.out)["measurement"] == "unclean"

    for budget_ms, code in ((result.budget_ms, 0), (1e-4, 1)):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["measured_on"]["budget_ms"] = budget_ms
        write_kept(folder / "manifest.json", json.dumps(manifest).encode())
        assert main(["bench", str(folder), "--seconds", "0.2", "--quiet"]) == code
        settled = Result.from_json((folder / "result.json").read_bytes())
        assert (settled.met_budget, settled.measurement) == (code == 0, "clean") and verify_bundle(folder) == []
