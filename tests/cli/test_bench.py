from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgenas.cli import main as cli
from edgenas.errors import NoisyMachine
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


@pytest.fixture
def bundle(fake):
    port = Port("input", (1, 3, 8, 8), "float32")
    row = Bench("model.onnx", 1.5, 2.0, 0.01, 300, 1.0, 0.05, 1, "ort", "1", port, (port,))
    return fake("bench", "bench_bundle", answer=[row]), row


@pytest.mark.parametrize("is_met, code, says", [(True, 0, "Budget met"), (False, 1, "Budget missed"), (None, 0, "")])
def test_a_bundle_is_measured_against_its_budget(bundle, tmp_path, capsys, is_met, code, says):
    measuring, row = bundle
    measuring.answer = [replace(row, met_budget=is_met)]
    assert cli.main(["bench", str(tmp_path), "--wait-minutes", "0.5", "--seconds", "1"]) == code
    assert says in capsys.readouterr().out
    ((folder, _), how), *_ = measuring.calls
    assert folder == tmp_path and how == {"seconds": 1.0, "wait_minutes": 0.5, "said": {}}
    assert cli.main(["bench", str(tmp_path), "--json", "-q"]) == code
    assert json.loads(capsys.readouterr().out)[0]["met_budget"] is is_met


def test_a_machine_too_busy_for_a_bundle_is_an_exit_code(bundle, tmp_path, capsys):
    measuring, _ = bundle
    measuring.failure = NoisyMachine("too busy to tell")
    assert cli.main(["bench", str(tmp_path)]) == 4
    assert "too busy to tell" in capsys.readouterr().err


def test_a_bundle_is_measured_alone(bundle, tmp_path):
    assert cli.main(["bench", str(tmp_path), "b.onnx"]) == 2
    assert not bundle[0].calls


def test_what_is_said_of_a_bundle_is_handed_on(bundle, tmp_path):
    measuring, _ = bundle
    assert cli.main(["bench", str(tmp_path), "--threads", "2", "--runtime", "onnxruntime"]) == 0
    assert measuring.calls[0][1]["said"] == {"threads": 2, "runtime": "onnxruntime"}
