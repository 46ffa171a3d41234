"""Records as JSON: what was written is read back, and what is not as it was written is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.system.records import from_json, parsed_object, to_json


@dataclass(frozen=True)
class Figure:
    ms: float
    runs: int | None = None


@dataclass(frozen=True)
class Report:
    name: str
    met: bool
    precision: Literal["fp32", "int8"]
    archs: tuple[tuple[int, ...], ...]
    figures: Mapping[str, Figure] = field(default_factory=dict)


REPORT = Report("a", True, "int8", ((0, 1), ()), {"0": Figure(1.5, 3), "1": Figure(2.0)})


def read_back(record):
    return from_json(type(record), json.loads(json.dumps(to_json(record))))


def test_a_record_survives_as_json():
    assert read_back(REPORT) == REPORT


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers())
def test_numbers_survive_to_the_last_bit(ms, runs):
    assert read_back(Figure(ms, runs)) == Figure(ms, runs)


def test_whole_numbers_are_floats_where_floats_are_due():
    assert isinstance(from_json(Figure, {"ms": 2, "runs": None}).ms, float)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": None}, "Report.name: None is no str"),
        ({"met": 1}, "Report.met: 1 is no bool"),
        ({"precision": "int4"}, "Report.precision: 'int4' is none of fp32, int8"),
        ({"archs": "01"}, "Report.archs: '01' is no list"),
        ({"archs": [[0, True]]}, r"Report.archs\[0\]\[1\]: True is no int"),
        ({"figures": []}, r"Report.figures: \[\] is no mapping"),
        ({"figures": {"a": {"ms": "1", "runs": 1}}}, "Report.figures.a.ms: '1' is no float"),
        ({"figures": {"a": {"ms": 1.0, "runs": 1.5}}}, "Report.figures.a.runs: 1.5 is no int"),
        ({"figures": {"a": 3}}, "Report.figures.a: 3 is no record"),
        ({"more": 1}, "Report: more missing or too many"),
        ({"figures": {"a": {"ms": 10**400, "runs": 1}}}, "Report.figures.a.ms: an integer of 401 digits is out of"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        from_json(Report, to_json(REPORT) | change)


@pytest.mark.parametrize("content", ["[" * 200_000, '{"a":' * 200_000, "[1]", "3", "null", "{", b"\xff", ""])
def test_what_is_no_object_of_json_is_refused(content):
    with pytest.raises(ValueError):
        parsed_object(content)


@pytest.mark.parametrize("name", ["name", "archs"])
def test_what_is_missing_is_named(name):
    value = {key: item for key, item in to_json(REPORT).items() if key != name}
    with pytest.raises(ValueError, match=f"Report: {name} missing"):
        from_json(Report, value)
