from __future__ import annotations

import json

import pytest

from edgenas.cli import tables
from tests.cli.conftest import written

HEADER = {"device": "pi5", "precision": "fp32", "repeat_error": "0.0123"}


@pytest.mark.parametrize(
    "more, lines", [({}, 2), ({"test": "MAPE 2.1 %"}, 3), ({"test": "MAPE 2.1 %", "doubt": "it was busy"}, 4)]
)
def test_a_line_for_what_is_in_a_table_and_one_for_where_it_is(capsys, more, lines):
    tables.show(written(HEADER | more), as_json=False)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == lines
    assert shown[0] == "pi5, fp32: 1 ops and 0 whole networks, repeat error 1.2 %"
    assert shown[-1] == "tables/pi5.csv" and (not more or shown[1] == "test: MAPE 2.1 %")
    assert ("warning: it was busy" in shown) == ("doubt" in more)


def test_json(capsys):
    tables.show(written(HEADER, HEADER | {"device": "pi4"}), as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert (first["device"], second["device"]) == ("pi5", "pi4")
    assert first == {
        "path": "tables/pi5.csv",
        **HEADER,
        "ops": 1,
        "nets": 0,
        "repeat_error": 0.0123,
        "test": None,
        "doubt": None,
    }


def test_names_cannot_break_lines(capsys):
    tables.show(written(HEADER | {"device": "a\nb"}), as_json=False)
    assert capsys.readouterr().out.splitlines()[0].startswith("a\\nb, fp32")
