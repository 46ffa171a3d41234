from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.cli import main as cli
from edgenas.latency.table import LatencyTable, OpRow
from edgenas.workflows.config import Config


@pytest.fixture
def adapting(fake):
    header = {"device": "pi5", "precision": "fp32", "adapted": "from pi4, pi3", "adapted_margin": "0.08"}
    rows = {"conv": OpRow(1, 1, 9, 1, 1, 1), "pool": OpRow(1, 1, 0, 1, 1, 1)}
    return fake("adapt", answer=[(Path("tables/pi5.csv"), LatencyTable(header, rows))])


def test_what_is_predicted_comes_with_its_margin(adapting, capsys):
    assert cli.main(["adapt", "r.jsonl", "--from", "pi4", "--precision", "fp32", "--out", "tables"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pi5, fp32: 1 rows measured, 1 predicted within ± 8.0 %",
        "from pi4, pi3",
        "tables/pi5.csv",
    ]
    how = dict(known=["pi4"], precisions=("fp32",), kit=None, out=Path("tables"), config=Config())
    assert adapting.calls == [((Path("r.jsonl"),), how)]


def test_all_devices_and_precisions_by_default_and_json(adapting, capsys):
    assert cli.main(["adapt", "r.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["margin"] == 0.08
    assert adapting.calls[0][1]["known"] == ["all"] and adapting.calls[0][1]["precisions"] == ("fp32", "int8")
