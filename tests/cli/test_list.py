from __future__ import annotations

import json
import os
import sys

import pytest

from edgenas.cli import list as command
from edgenas.cli import main as cli
from edgenas.latency.table import LatencyTable, OpRow, write_table
from edgenas.system import plugins
from edgenas.workflows.list import KINDS
from tests.cli.fakes import python


def test_list_describes_every_plugin(capsys):
    assert cli.main(["list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert tuple(shown) == command.KINDS == KINDS
    assert {row["name"] for row in shown["strategies"]} >= {"random", "evolution"}
    assert all(row["description"] for kind in plugins.KINDS for row in shown[kind])


@pytest.mark.parametrize("kind, name", [("data", "digits"), ("spaces", "mbconv"), ("presets", "mnasnet")])
def test_list_of_one_kind(kind, name, capsys):
    assert cli.main(["list", kind]) == 0
    assert name in [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_strategies_come_with_their_options_and_defaults(capsys):
    assert cli.main(["list", "strategies"]) == 0
    shown = capsys.readouterr().out
    assert "--options guards=VALUE: on (default), off" in shown


@pytest.fixture
def own_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgenas" / "tables"


def test_list_shows_this_machines_tables_and_what_is_wrong_with_them(own_tables, capsys):
    folder = own_tables / "some-cpu"
    header = dict(unit="ms", device="some-cpu", runtime="ort", threads="1", precision="fp32", repeat_error="0.02")
    write_table(folder / "good.csv", LatencyTable(header, {"conv": OpRow(1, 1, 1, 1, 1, 1)}))
    (folder / "bad.csv").write_text("# unit: s\n")
    assert cli.main(["list", "devices"]) == 0
    shown = capsys.readouterr().out
    assert "good.csv" in shown and "2.0 %" in shown and "bad.csv: the header has no" in shown


def test_without_tables_it_says_what_makes_one(capsys):
    assert "edgenas profile" in command._block("devices", [], named=True)


@pytest.mark.parametrize("home", [None, os.devnull, "/proc/none"])
def test_without_a_usable_home_devices_are_listed_all_the_same(tmp_path, home):
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    script = "import sys; from edgenas.cli.main import main; sys.exit(main(['list', 'devices']))"
    where = {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = python(script, env=kept | where | ({} if home is None else {"HOME": home}), cwd=tmp_path)
    assert done.returncode == 0 and "amd-epyc-zen4" in done.stdout and done.stderr == ""
