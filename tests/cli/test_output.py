"""What reaches stdout, whoever reads it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from argparse import Namespace

import pytest

from edgenas.cli import main as cli
from edgenas.cli import output
from edgenas.system.progress import SilentReporter
from tests.cli.fakes import python


def test_a_terminal_that_knows_only_ascii(searching, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["search", "--budget-ms", "20"]) == 0
    stream.seek(0)
    assert "18.42 ms +- 1.2 %" in stream.read()


@pytest.mark.parametrize("words", [["list"], ["--help"], ["search", "--help"], ["--version"]])
def test_a_closed_pipe_is_quiet(words):
    script = "import sys; sys.stdin.read(); from edgenas.cli.main import main; sys.exit(main(sys.argv[1:]))"
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", script, *words], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    os.close(read)
    assert child.communicate()[1] == b"" and child.returncode == 0


def test_closed_streams_are_no_fault():
    script = (
        "import sys; sys.stdout = sys.stderr = None; from edgenas.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    assert python(script, "list").returncode == 0
    assert python(script, "nope").returncode == 2


def test_json_knows_no_nan(capsys):
    output.write_json({"known": 1.5, "unknown": [float("nan")]})
    assert json.loads(capsys.readouterr().out) == {"known": 1.5, "unknown": [None]}


@pytest.mark.parametrize("cells, line", [(["a", 1, 2.5], "a,1,2.5"), (['say "a, b"', ""], '"say ""a, b""",')])
def test_cells_are_quoted_where_they_must_be(cells, line):
    assert output.csv_line(cells) == line


def test_of_several_processes_the_first_one_speaks(monkeypatch, capsys):
    monkeypatch.setattr(output.distributed, "rank", lambda: 1)
    output.write("a word")
    assert capsys.readouterr().out == ""
    assert type(output.reporter(Namespace(quiet=False))) is SilentReporter
