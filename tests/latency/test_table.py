from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import DamagedTable, EnvironmentFault, TableError, UsageError
from edgenas.latency.table import (
    COLUMNS,
    FIGURES,
    MAY_BE_INFINITE,
    LatencyTable,
    NetRow,
    OpRow,
    read_table,
    write_table,
)
from tests.latency.tables import HEADER

KEY = "conv k3 s2 g1 relu6 16 | 3x224x224"
NET = "mbconv 3x32x32 10 000"
HEAD = "".join(f"# {name}: {value}\n" for name, value in HEADER.items())
NAMES = ",".join(COLUMNS) + "\n"
GOOD = f"op,{KEY},1.5,1.6,100,10,20,30\n"
TEXT = HEAD + NAMES + GOOD
FIRST_ROW = len(HEADER) + 2  # as editors count lines

numbers = st.floats(1e-5, 5e4).map(lambda value: round(value, 6))
counts = st.integers(0, 10**12).map(float)
op_keys = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=1)
op_values = st.builds(OpRow, numbers, numbers, st.integers(0, 10**6), counts, counts, counts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "device" / "onnxruntime-1t-fp32.csv"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@given(st.dictionaries(op_keys, op_values), st.dictionaries(st.text("0123456789ab", min_size=1), st.tuples(numbers)))
def test_round_trip(tmp_path_factory, ops, nets):
    rows = tuple(NetRow("mbconv 3x32x32 10", code, ms, ms, 5) for code, (ms,) in nets.items())
    table = LatencyTable({**HEADER, "date": "2026-01-01T00:00:00", "note": "a: b, c"}, ops, rows)
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    write_table(path, table)
    assert read_table(path) == table


def test_writing_twice_gives_the_same_bytes(path):
    table = read_table(write(path, TEXT))
    write_table(path, table)
    first = path.read_bytes()
    write_table(path, read_table(path))
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left


def test_reads_rows(path):
    table = read_table(write(path, TEXT + f"net,{NET},9.0,9.5,50,,,\n"))
    assert table.device == "bench"
    assert table.ops == {KEY: OpRow(1.5, 1.6, 100, 10, 20, 30)}
    assert table.nets == (NetRow("mbconv 3x32x32 10", "000", 9.0, 9.5, 50),)


@pytest.mark.parametrize(
    "row, reason",
    [
        (f"op,{KEY},0,1.6,100,10,20,30", "not a latency"),
        (f"op,{KEY},-1,1.6,100,10,20,30", "not a latency"),
        (f"op,{KEY},nan,1.6,100,10,20,30", "'nan' is not a number"),
        (f"op,{KEY},inf,1.6,100,10,20,30", "'inf' is not a number"),
        (f"op,{KEY},1e400,1.6,100,10,20,30", "'1e400' is not a number"),
        (f"op,{KEY},60001,1.6,100,10,20,30", "not a latency between 0 and 60000 ms"),
        (f"op,{KEY},fast,1.6,100,10,20,30", "'fast' is not a number"),
        (f"op,{KEY},1.5ms,1.6,100,10,20,30", "'1.5ms' is not a number"),
        (f"op,{KEY},1_5,1.6,100,10,20,30", "'1_5' is not a number"),
        (f"op,{KEY},,1.6,100,10,20,30", "'' is not a number"),
        (f"op,{KEY},1.5,-1,100,10,20,30", "not a latency"),
        (f"op,{KEY},1.5,1.6,-1,10,20,30", "not a count"),
        (f"op,{KEY},1.5,1.6,100,nan,20,30", "'nan' is not a number"),
        (f"op,{KEY},1.5,1.6,100,10,-20,30", "not a count"),
        (f"op,{KEY},1.5,1.6,100,10,20,", "'' is not a number"),
        (f"op,{KEY},1.5,1.6,100,10,20", "7 cells, expected 8"),
        (f"op,{KEY},1.5,1.6,100,10,20,30,40", "9 cells, expected 8"),
        (f"layer,{KEY},1.5,1.6,100,10,20,30", "not 'layer'"),
        (f"net,{NET},nan,9.5,50,,,", "'nan' is not a number"),
        ("net,000,9.0,9.5,50,,,", "named by its space"),
        (f"net,{NET.replace('3x32x32', '3x32xx32')},9.0,9.5,50,,,", "named by its space"),
        (f"net,{NET.replace('3x32x32', '3x32x-32')},9.0,9.5,50,,,", "named by its space"),
        (f"net,{NET.replace('3x32x32', '3x32x9999999')},9.0,9.5,50,,,", "named by its space"),
        (",,,,,,,", "is not a number"),
        ("", "0 cells"),
    ],
)
def test_faulty_rows_are_refused_with_line_and_key(path, row, reason):
    good = "op,act relu | 1x1x1,1,1,1,0,0,8\n"
    write(path, HEAD + NAMES + good + row + "\n" + good.replace("relu", "relu6"))
    with pytest.raises(TableError, match=reason) as caught:
        read_table(path)
    message = str(caught.value)
    assert f"line {FIRST_ROW + 1}" in message and str(path) in message and "\n" not in message
    if (cells := row.split(","))[1:] and len(cells) == len(COLUMNS):
        assert repr(cells[1]) in message


@pytest.mark.parametrize("row", [GOOD, f"net,{NET},9.0,9.5,50,,,\n"])
def test_a_row_stands_once(path, row):
    write(path, HEAD + NAMES + row + row)
    with pytest.raises(TableError, match=rf"line {FIRST_ROW + 1}, .*stands twice"):
        read_table(path)


def with_field(name: str, value: str) -> str:
    return TEXT.replace("# threads: 1\n", f"# threads: 1\n# {name}: {value}\n")


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "header has no 'unit'"),
        (TEXT.replace("# unit: ms\n", ""), "header has no 'unit'"),
        (TEXT.replace("# unit: ms", "# unit:"), "header has no 'unit'"),
        (TEXT.replace("# unit: ms", "# unit: s"), "unit is 's', expected ms"),
        (TEXT.replace("# unit: ms", "# unit: us"), "unit is 'us', expected ms"),
        (TEXT.replace("# device: bench\n", ""), "header has no 'device'"),
        (TEXT.replace("# threads: 1\n", ""), "header has no 'threads'"),
        (
            TEXT.replace("# threads: 1\n", "# threads: 1\n# reference_ms: 0.0x\n"),
            "reference_ms: '0.0x' is not a number",
        ),
        *(
            (TEXT.replace("# threads: 1", f"# threads: {count}"), "threads: .* is no number of threads")
            for count in ("two", "0", "1_0", "-1", "1.0", "\u0663")
        ),
        *(
            (with_field(name, figure), f"{name}: '?{figure}")
            for name, figure in itertools.product(FIGURES, ("low", "nan", "-inf", "-1", "1_0"))
        ),
        (with_field("adapted_margin", "inf"), "adapted_margin: 'inf' is not a number"),
        (HEAD, "must name the columns"),
        (HEAD + GOOD, f"line {len(HEADER) + 1} must name the columns"),
        (TEXT.replace("p90_ms", "p99_ms"), "must name the columns"),
        (HEAD + NAMES + f"op,{'x' * 200_000},1,1,1,1,1,1\n", f"line {FIRST_ROW}"),
    ],
)
def test_faulty_files_are_refused(path, text, reason):
    with pytest.raises(TableError, match=reason) as caught:
        read_table(write(path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MAY_BE_INFINITE)
def test_a_figure_of_the_header_may_be_unknown(path, name):
    assert read_table(write(path, with_field(name, "inf"))).header[name] == "inf"


def test_unreadable_files_are_refused(path):
    with pytest.raises(TableError, match="cannot be read") as missing:
        read_table(path)
    assert missing.value.exit_code == 2
    write(path, "")
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(TableError, match="not a latency table") as damaged:
        read_table(path)
    assert damaged.value.exit_code == 3


def test_a_table_that_is_cut_off_at_the_end_of_a_line_is_noticed(path):
    write_table(path, read_table(write(path, TEXT)))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(DamagedTable, match=f"{len(lines) - len(HEADER) - 3} rows, and its header tells of another"):
        read_table(path)


def test_a_table_takes_the_place_of_a_file_only(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe: it is no file, but a device or a pipe"):
        write_table(tmp_path / "pipe", read_table(write(tmp_path / "t.csv", TEXT)))
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["pipe", "t.csv"]


@pytest.mark.parametrize("block", ["file", "folder"])
def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path, block):
    table = read_table(write(tmp_path / "source" / "t.csv", TEXT))
    if block == "file":  # where its folder should be
        (tmp_path / "target").write_text("")
        path = tmp_path / "target" / "t.csv"
    else:
        path = tmp_path / "target"
        (path / "inside").mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match="cannot write"):
        write_table(path, table)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source", "target"]


@pytest.mark.parametrize("changed", [{"runtime": "onnxruntime-web"}, {"threads": 2}, {"precision": "int8"}])
def test_a_table_of_other_conditions_is_refused(changed):
    table = LatencyTable(HEADER)
    conditions = {"runtime": "onnxruntime", "threads": 1, "precision": "fp32"}
    table.check_matches(**conditions)
    ((name, value),) = changed.items()
    with pytest.raises(TableError, match=f"measured with {name} {HEADER[name]}, the run wants {value}"):
        table.check_matches(**{**conditions, **changed})


def test_extended_replaces_rows_measured_again():
    old, new = OpRow(1, 1, 1, 0, 0, 0), OpRow(2, 2, 2, 0, 0, 0)
    nets = [NetRow("s", "0", 1, 1, 1), NetRow("s", "1", 1, 1, 1)]
    table = LatencyTable(HEADER, {"a": old, "b": old}, tuple(nets))
    longer = table.extended({"b": new, "c": new}, [NetRow("s", "1", 3, 3, 3)], date="today")
    assert longer.ops == {"a": old, "b": new, "c": new}
    assert [(net.code, net.ms) for net in longer.nets] == [("0", 1), ("1", 3)]
    assert longer.header["date"] == "today" and "date" not in table.header
    assert table.ops == {"a": old, "b": old}


def test_largest_plausible_time_is_a_minute(path):
    assert read_table(write(path, HEAD + NAMES + GOOD.replace("1.5", "60000"))).ops[KEY].ms == 60_000
    assert math.isclose(read_table(write(path, HEAD + NAMES + GOOD.replace("1.5", "1e-05"))).ops[KEY].ms, 1e-5)
