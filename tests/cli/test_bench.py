from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.cli import main as cli
from edgenas.runtimes.base import Port
from edgenas.runtimes.bench import Bench


@pytest.fixture
def timed(fake):
    port = Port("input", (1, 3, 8, 8), "float32")
    facts = dict(ms=1.5, p90_ms=2.0, repeat_error=0.05, runs=300, clean_share=1.0, reference_ms=0.05, threads=1)

    def answer(models, **how):
        return [Bench(path.name, runtime="ort", version="1", input=port, outputs=(port,), **facts) for path in models]

    return fake("bench", answer=answer)


def test_bench_prints_a_table_and_warns_of_what_does_not_repeat(timed, capsys):
    assert cli.main(["bench", "x/a.onnx", "b.onnx", "--threads", "2", "--seconds", "1"]) == 0
    captured = capsys.readouterr()
    head, *lines = captured.out.splitlines()
    assert head.split() == ["ms", "p90", "ms", "repeat", "error", "runs", "threads", "runtime", "model"]
    assert [line.split() for line in lines] == [
        ["1.500", "2.000", "5.0", "%", "300", "1", "ort", "1", name] for name in ("a.onnx", "b.onnx")
    ]
    assert "b.onnx: repeat error 5.0 %; measure again" in captured.err
    ((models,), how), *_ = timed.calls
    assert models == [Path("x/a.onnx"), Path("b.onnx")] and (how["threads"], how["seconds"]) == (2, 1.0)


def test_bench_prints_json(timed, capsys):
    assert cli.main(["bench", "a.onnx", "--json", "-q"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["repeat_error"] == 0.05
    assert captured.err == ""
