"""Artefacts survive their files."""

import pytest

from edgenas.errors import CheckpointError
from edgenas.exporters.by_class import ByClass
from edgenas.system.run_folder import read_artefact, write_artefact
from edgenas.workflows.stages import artefacts as a

FIGURE = a.Figure(1.5, 1.8, 0.01, 2)
RECORDS = [
    a.Bounds("0", 0.1, "11", 2.0),
    a.Bounds("0", 0.1, "11", 2.0, 0.09, 0.12, 1.8, 2.3),
    a.AttainableMinimum({"params": 3.0}),
    a.Narrowing({"width": (0, 1)}, (a.Combination({"width": 0.5, "act": "relu", "se": True}, 1e6, True),)),
    a.Selection(("01",), (a.Candidate("01", 0.9, 1.0, None, None, None),), ("a note",), {"00": 2.0}),
    a.Exported({"fp32": a.ExportedFile(0.9, 1000)}, ""),
    a.Measurement({"fp32": FIGURE}),
    a.Confirmed({"0": {"fp32": FIGURE, "int8": a.Figure()}}),
    a.Verdict(None, "int8", "why", {"int8": a.Figure()}, 3),
    a.TestReport(10, 1, {"0": a.TestedFinalist(0.9, 0.9, None, {"fp32": ByClass((5, 5), (4, 5), ((4, 1), (0, 5)))})}),
    a.Report(("a", "b"), {"test": 3}),
    a.Source("runs"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_written_and_read_it_is_the_same(tmp_path, record):
    write_artefact(tmp_path, "stage", record)
    assert read_artefact(tmp_path, "stage", type(record)) == record


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"run": 3}', '{"run": "a", "more": 1}', "{}"],
    ids=["empty", "list", "torn", "kind", "more", "less"],
)
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "source.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"source\.json is damaged"):
        read_artefact(tmp_path, "source", a.Source)


@pytest.mark.parametrize(
    "more, least_ms, most_ms",
    [
        ({}, 1.0, 2.0),  # as earlier runs kept it
        ({"smallest_low_ms": 0.9, "largest_high_ms": 2.1}, 0.9, 2.1),  # of a machine that was busy
        ({"smallest_high_ms": 1.2, "largest_high_ms": 2.4}, 1.2, 2.4),  # of a device that is elsewhere
    ],
)
def test_bounds_say_from_which_budget_to_which_a_search_makes_sense(more, least_ms, most_ms):
    bounds = a.Bounds("0", 1.0, "1", 2.0, **more)
    assert (bounds.least_ms, bounds.most_ms) == (least_ms, most_ms)


@pytest.mark.parametrize(
    "figure, met",
    [
        (a.Figure(), None),
        (a.Figure(19.0, None, 0.01), True),
        (a.Figure(19.0, None, 0.06), None),
        (a.Figure(19.9, None, 0.01), False),
        (a.Figure(19.9, None, 0.01, slowed=1.2), None),
        (a.Figure(19.0, None, 0.01, clean=False), None),
    ],
)
def test_a_figure_keeps_a_budget_by_its_high_end(figure, met):
    assert figure.keeps(20.0) is met
