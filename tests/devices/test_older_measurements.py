"""What people measured with an older version is read as it was then: files and figures of commit edaa239."""

import gzip
import json
from pathlib import Path

import pytest

from edgenas.devices.ingest import read_results, tables
from edgenas.devices.kit import read_manifest
from edgenas.devices.runner import MANIFEST
from edgenas.latency.forecast import Forecaster
from edgenas.latency.predictor import latency_interval
from edgenas.latency.table import read_table, write_table
from edgenas.spaces.build import parse_spec

FOLDER = Path(__file__).parents[1] / "fixtures" / "measured_by_edaa239"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", ["profile-mbconv", "profile-general"])
def test_a_table_of_a_profile_is_read_and_predicts_as_before(name, tmp_path):
    table, expected = read_table(FOLDER / f"{name}.csv"), EXPECTED[name]
    assert dict(table.header) == expected["header"]
    assert (len(table.ops), len(table.nets)) == (expected["ops"], expected["nets"])
    assert sum(row.ms for row in table.ops.values()) == expected["total_op_ms"]
    assert sum(row.macs for row in table.ops.values()) == expected["op_macs"]
    assert sum(row.bytes for row in table.ops.values()) == expected["op_bytes"]
    assert sum(net.ms for net in table.nets) == expected["total_net_ms"]
    space = parse_spec(table.nets[0].spec)
    archs = [space.parse(net.code) for net in table.nets[:6]]
    assert [list(arch) for arch in archs] == expected["archs"]
    costs = latency_interval(table, space, estimate_missing=True)
    for arch, predicted in zip(archs, expected["predicted"], strict=True):
        assert [cost(space.graph(arch)) for cost in costs] == pytest.approx(predicted)
    assert dict(Forecaster(table).correction.describe()) == pytest.approx(expected["correction"])
    write_table(tmp_path / "again.csv", table)
    counted = f"# rows: {len(table.ops) + len(table.nets)}\nkind,"  # what later versions write beside it
    again = (tmp_path / "again.csv").read_text().replace(counted, "kind,")
    assert again == (FOLDER / f"{name}.csv").read_text()


@pytest.mark.parametrize("with_kit", [False, True])
def test_results_of_a_kit_become_the_same_table(with_kit, tmp_path):
    results, expected = tmp_path / "results.jsonl", EXPECTED["kit-results"]
    results.write_bytes(gzip.decompress((FOLDER / "kit-results.jsonl.gz").read_bytes()))
    (tmp_path / MANIFEST).write_bytes(gzip.decompress((FOLDER / "kit-manifest.json.gz").read_bytes()))
    (table,) = tables(read_results(results, read_manifest(tmp_path) if with_kit else None))
    assert dict(table.header) == expected["header"]
    assert {key: row.ms for key, row in table.ops.items()} == pytest.approx(expected["op_ms"])
    assert {f"{net.spec} {net.code}": net.ms for net in table.nets} == pytest.approx(expected["net_ms"])
    assert sum(row.macs for row in table.ops.values()) == expected["op_macs"]
    assert sum(row.bytes for row in table.ops.values()) == expected["op_bytes"]
