"""Artefacts survive their files."""

import pytest

from edgenas.errors import CheckpointError
from edgenas.exporters.by_class import ByClass
from edgenas.system.run_folder import read_artefact, write_artefact
from edgenas.workflows.stages import artefacts as a

FIGURE = a.Figure(1.5, 1.8, 0.01, 2)
RECORDS = [
    a.Bounds("0", 0.1, "11", 2.0),
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
