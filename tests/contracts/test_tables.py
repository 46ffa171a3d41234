"""Every table that comes with edgenas: whole header, enough rows, figures that repeat, and predictions from it."""

from __future__ import annotations

import csv
import io
import json

import pytest

from edgenas.cli import main as cli
from edgenas.devices.ingest import WORST_REPEAT_ERROR
from edgenas.latency.predictor import latency_interval
from edgenas.latency.registry import device_table, shipped_tables, table_path
from edgenas.latency.table import read_table
from edgenas.runtimes.timing import PROTOCOL
from edgenas.spaces.build import build_space, parse_spec
from edgenas.system import plugins

FILES = sorted(shipped_tables().glob("*/*.csv"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in FILES]
HEADER = ("processor", "cores", "runtime", "version", "provider", "optimisation", "threads", "precision", "date", "kit")


def test_there_are_those_that_the_readme_names():
    assert len(FILES) >= 4


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_says_how_it_was_measured_and_holds_enough(path):
    table = read_table(path)
    assert path == table_path(shipped_tables(), table)
    assert all(table.header.get(name) for name in HEADER) and table.header["protocol"] == PROTOCOL
    assert float(table.header["repeat_error"]) <= WORST_REPEAT_ERROR
    assert table.header["runtime"] in plugins.names("runtimes")
    assert 100 <= len(table.nets) and 100 <= len(table.ops) <= 700
    assert all(row.ms > 0 and row.runs > 0 for row in (*table.ops.values(), *table.nets))
    assert "within 10%" in table.header["test"]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_its_rows_price_its_networks(path):
    """Nothing is estimated, and the interval holds most networks that it is fitted on."""
    table = read_table(path)
    (spec,) = {net.spec for net in table.nets}
    space = parse_spec(spec)
    low, high = latency_interval(table, space)[1:]
    archs = [space.parse(net.code) for net in table.nets]
    bounds = zip(low.many(space, archs), (net.ms for net in table.nets), high.many(space, archs), strict=True)
    assert sum(a <= ms <= b for a, ms, b in bounds) >= 0.85 * len(archs)


def predict(name, code, form, capsys):
    """What `edgenas predict` prints of one architecture."""
    assert cli.main(["predict", code, "--device", name, *form]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_predict_names_it(name, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    table = device_table(name, runtime="", threads=0)
    (model,) = json.loads(predict(name, table.nets[0].code, ["--ops", "--json"], capsys))
    assert model["estimated_share"] == 0 and model["latency_ms"] == pytest.approx(table.nets[0].ms, rel=0.2)


def test_predict_says_the_same_in_each_form(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name = NAMES[0]
    code = device_table(name, runtime="", threads=0).nets[0].code
    (model,) = json.loads(predict(name, code, ["--json"], capsys))
    shown = predict(name, code, [], capsys)
    assert "where the time goes" in shown and "0 % of it estimated" in shown and "which alone would say" in shown
    (row,) = csv.DictReader(io.StringIO(predict(name, code, ["--csv"], capsys)))
    assert float(row["latency_ms"]) == pytest.approx(model["latency_ms"], rel=1e-4)
    assert float(row["macs_only_ms"]) == pytest.approx(model["macs_only_ms"], rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_list_devices_shows_it(name, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.main(["list", "devices"]) == 0
    table = device_table(name, runtime="", threads=0)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(name + " "))
    assert table.header["date"] in line and table.header["version"] in line


def test_the_default_data_is_what_they_are_for():
    assert {net.spec for path in FILES for net in read_table(path).nets} == {
        build_space("mbconv", (1, 32, 32), 10).spec
    }
