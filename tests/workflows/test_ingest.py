"""A kit's results become tables, or nothing is written."""

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgenas.errors import TableError, UsageError
from edgenas.latency.table import read_table
from edgenas.workflows.ingest import ingest

RESULTS = Path(__file__).parents[1] / "fixtures" / "measured_by_edaa239" / "kit-results.jsonl.gz"


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(gzip.decompress(RESULTS.read_bytes()))
    return path


def test_each_precision_has_its_table_where_its_name_says(results, tmp_path):
    ((path, table),) = ingest(results, out=tmp_path / "tables")
    assert path.relative_to(tmp_path / "tables").parts == (table.device, "onnxruntime-1t-fp32.csv")
    written = read_table(path)
    assert {key: row.ms for key, row in written.ops.items()} == pytest.approx(
        {key: row.ms for key, row in table.ops.items()}, rel=1e-2
    )
    assert len(table.ops) > 10


def test_results_that_were_changed_are_refused_and_nothing_is_written(results, tmp_path):
    head, *lines = results.read_text().splitlines()
    line = json.loads(head)
    line["manifest"]["seed"] = 99
    results.write_text("\n".join([json.dumps(line), *lines]) + "\n")
    with pytest.raises(TableError):
        ingest(results, out=tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize(
    "manifest, message", [({"bundle": True}, "--bundle"), ({"known": {"fp32": ["pi4"]}}, "run `edgenas adapt`")]
)
def test_results_for_another_command_make_no_table(results, monkeypatch, manifest, message):
    monkeypatch.setattr("edgenas.workflows.ingest.read_results", lambda *_: SimpleNamespace(manifest=manifest))
    with pytest.raises(UsageError, match=message):
        ingest(results)
