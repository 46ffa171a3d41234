"""Tables of a new device from a few rows and those of source devices."""

import gzip

import pytest

from edgenas.errors import UsageError
from edgenas.latency.table import write_table
from edgenas.spaces.build import parse_spec
from edgenas.workflows.adapt import adapt
from edgenas.workflows.ingest import ingest
from tests.latency.tables import table_of
from tests.workflows.test_ingest import RESULTS


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(gzip.decompress(RESULTS.read_bytes()))
    return path


def test_rows_that_were_not_measured_come_from_the_source(results, tmp_path):
    ((_, measured),) = ingest(results, out=tmp_path / "measured")
    space = parse_spec(measured.nets[0].spec)
    write_table(tmp_path / "source.csv", table_of(space.restrict({"resolution": [0, 1]})))
    ((path, table),) = adapt(results, known=[str(tmp_path / "source.csv")], out=tmp_path / "adapted")
    assert path.exists() and table.header["adapted"].endswith("probes from bench (onnxruntime 1t fp32)")
    rows = measured.ops.keys() & table.ops.keys()
    assert rows and all(table.ops[key].ms == measured.ops[key].ms for key in rows), "what was measured stays"


def test_a_precision_that_was_not_measured(results, tmp_path):
    with pytest.raises(UsageError, match="nothing was measured in int8"):
        adapt(results, precisions=("int8",), out=tmp_path)
    assert not list(tmp_path.glob("*/*.csv"))
