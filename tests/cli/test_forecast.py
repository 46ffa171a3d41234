"""`edgenas predict model.onnx`: what is printed, and what the command line refuses."""

import json

import pytest

from edgenas.cli import main as cli
from edgenas.latency.table import LatencyTable, write_table
from tests.latency.tables import HEADER, op_rows
from tests.latency.test_onnx_fused import every_op, written


@pytest.fixture
def words(tmp_path):
    """The command for a file, and a table with rows for all of its ops but the classifier."""
    rows = op_rows(node for node in every_op().priced if node.name != "last")
    write_table(tmp_path / "table.csv", LatencyTable(HEADER, rows))
    (tmp_path / "model.onnx").write_bytes(written(every_op()))
    return ["predict", str(tmp_path / "model.onnx"), "--table", str(tmp_path / "table.csv")]


def test_the_page_tells_latency_share_estimated_and_where_the_time_goes(words, capsys):
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    head, *lines = out.splitlines()
    assert head == "model.onnx on bench (onnxruntime, 1 thread, fp32)"
    assert "90 % interval" in lines[0] and "of it estimated" in lines[0] and "MACs, which alone would say" in lines[1]
    assert "where the time goes" in out and "█" in out


def test_a_table_of_one_space_comes_with_a_warning(words, capsys):
    assert cli.main(words) == 0
    assert "networks of one space" in capsys.readouterr().err
    assert cli.main([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_json_holds_every_kernel(words, capsys):
    assert cli.main([*words, "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)
    assert len(model["kernels"]) == len(every_op().priced) and 0 < model["estimated_share"] < 1
    assert sum(row["ms"] for row in model["kernels"]) + model["rest_ms"] == pytest.approx(model["latency_ms"])
    assert [row["op"] for row in model["kernels"] if row["estimated"]] == ["linear 5 | 12x1x1"]


def test_csv_has_a_line_a_kernel(words, capsys):
    assert cli.main([*words, "--csv"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("model,kernel,kind,op,ms") and len(lines) == len(every_op().priced)


@pytest.mark.parametrize(
    "more, code, message",
    [
        (["012"], 2, "predicted apart"),
        (["--samples", "3"], 2, "predicted apart"),
        (["--device", "pi5"], 2, "--device and --table"),
        (["--threads", "2"], 2, "threads 1, the run wants 2"),
    ],
)
def test_what_does_not_go_together(words, capsys, more, code, message):
    assert cli.main([words[0], *more, *words[1:]]) == code
    assert message in capsys.readouterr().err


def test_an_unknown_device_is_refused(words, capsys):
    assert cli.main([*words[:2], "--device", "no such board"]) == 2
    assert "no such board" in capsys.readouterr().err
