from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.cli import main as cli
from edgenas.latency.table import LatencyTable, NetRow, OpRow
from edgenas.workflows.kit_content import KitOptions
from tests.cli.conftest import written

HERE = LatencyTable(
    {"device": "some-cpu", "repeat_error": "0.0123"},
    {"conv": OpRow(1, 1, 1, 1, 1, 1)},
    (NetRow("mbconv 1x32x32 10", "0", 1, 1, 1),),
)
THERE = written({"device": "pi5", "repeat_error": "0.0123", "precision": "fp32"})


@pytest.fixture
def here(fake):
    return fake("profile", answer=(Path("tables/a b.csv"), HERE))


@pytest.fixture
def there(fake):
    return fake("remote_profile", "profile_over_ssh", answer=THERE)


def test_profile(here, capsys):
    assert cli.main(["profile", "--threads", "2", "--seconds", "5"]) == 0
    assert capsys.readouterr().out == "some-cpu: 1 ops and 1 whole networks, repeat error 1.2 %\ntables/a b.csv\n"
    (arguments, how), *_ = here.calls
    assert arguments[0].threads == 2
    assert how == dict(shape=(1, 32, 32), classes=10, seconds=5.0, out=None, general=False)


def test_profile_prints_json(here, capsys):
    assert cli.main(["profile", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ops"], shown["nets"], shown["repeat_error"]) == (1, 1, 0.0123)


def test_profile_over_ssh(there, capsys):
    words = "--ssh pi@board --python venv/bin/python --name pi5 --only width=0.5,1 --tests 0 --precision fp32"
    assert cli.main(["profile", *words.split(), "--threads", "4"]) == 0
    assert capsys.readouterr().out == "pi5, fp32: 1 ops and 0 whole networks, repeat error 1.2 %\ntables/pi5.csv\n"
    assert cli.main(["profile", "--ssh", "board", "--json"]) == 0
    assert [table["device"] for table in json.loads(capsys.readouterr().out)] == ["pi5"]
    ((config, _, chosen), where), ((_, _, default), by_default) = there.calls
    assert config.threads == 4
    assert default == KitOptions((1, 32, 32), 10)
    assert chosen == KitOptions((1, 32, 32), 10, only={"width": ["0.5", "1"]}, tests=0, precisions=("fp32",))
    assert where == dict(host="pi@board", python="venv/bin/python", name="pi5", out=None)
    assert by_default == dict(host="board", python="python3", name=None, out=None)


def test_profile_over_ssh_interrupted_says_how_to_go_on(there, capsys):
    there.failure = KeyboardInterrupt()
    assert cli.main(["profile", "--ssh", "board"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
