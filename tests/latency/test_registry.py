"""Tables by the device's name."""

import pytest

from edgenas.errors import DamagedTable, UnknownName
from edgenas.latency.registry import device_table, own_tables, table_files
from edgenas.latency.table import LatencyTable, OpRow, write_table

HEADER = {"unit": "ms", "device": "pi5", "runtime": "onnxruntime", "threads": "1", "precision": "fp32"}


def table(rows, **header):
    return LatencyTable(HEADER | header, {f"add | {i}x1x1": OpRow(1, 1, 1, 1, 1, 1) for i in range(rows)})


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = own_tables() / "pi5"
    write_table(folder / "few.csv", table(2))
    write_table(folder / "many.csv", table(3))
    write_table(folder / "two.csv", table(1, threads="2"))
    (folder / "torn.csv").write_text("# unit: ms\nop,")
    return folder


def test_the_table_of_a_device_fits_the_conditions(tables):
    assert {file.name for file in table_files()} >= {"few.csv", "many.csv", "two.csv", "torn.csv"}
    assert len(device_table("pi5", runtime="onnxruntime", threads=1).ops) == 3
    assert len(device_table("pi5", runtime="onnxruntime", threads=2).ops) == 1
    assert len(device_table("pi5/onnxruntime-2t-fp32", runtime="onnxruntime", threads=1).ops) == 1


def test_a_damaged_table_is_named_where_no_other_does(tables):
    (tables.parent / "pi4").mkdir()
    (tables.parent / "pi4" / "onnxruntime-1t-fp32.csv").write_text("# unit: ms\nop,")
    with pytest.raises(DamagedTable, match="pi4/onnxruntime-1t-fp32.csv: the header has no 'device'"):
        device_table("pi4", runtime="onnxruntime", threads=1)


@pytest.mark.parametrize(
    "device, threads, words",
    [
        ("pi5", 4, "no table onnxruntime-4t-fp32; there are pi5/onnxruntime-1t-fp32, pi5/onnxruntime-2t-fp32"),
        ("pi5/onnxruntime-1t-int8", 1, "no table onnxruntime-1t-int8; there are pi5/onnxruntime-1t-fp32"),
        ("pi6", 1, "pi5"),
    ],
)
def test_what_there_is_instead_is_named(tables, device, threads, words):
    with pytest.raises(UnknownName, match=words):
        device_table(device, runtime="onnxruntime", threads=threads)
