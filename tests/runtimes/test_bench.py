"""Timing files: which figures are kept, and what damaged or hostile files come to."""

import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgenas.errors import DataError, EnvironmentFault, NoisyMachine, OwnCode, UnknownName, UsageError
from edgenas.runtimes import bench as bench_module
from edgenas.runtimes.base import Port
from edgenas.runtimes.bench import Bench, bench, bench_in_fresh_process
from edgenas.runtimes.model_file import read_model
from edgenas.runtimes.reference import reference_model
from edgenas.runtimes.summary import Timing
from edgenas.runtimes.timing import TooNoisy
from edgenas.system import plugins

QUICK = {"seconds": 0.05, "sessions": 1, "tries": 1}


def changed(change):
    model = onnx.load_model_from_string(reference_model())
    change(model)
    return model.SerializeToString()


def moved_outside(tensor, location="../../weights.bin"):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def external_weights(model):
    moved_outside(model.graph.initializer[0])


def external_constant_in_a_branch(model):
    """An If whose branch holds a constant tensor stored outside."""
    value = onnx.numpy_helper.from_array(np.zeros((1, 16, 28, 28), np.float32), "c")
    moved_outside(value)
    output = helper.make_tensor_value_info("c", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=value)], "branch", [], [output])
    model.graph.node.append(helper.make_node("If", ["x"], ["d"], then_branch=branch, else_branch=branch))


def custom_domain(model):
    model.graph.node[0].domain = "my.custom"
    model.opset_import.append(helper.make_opsetid("my.custom", 1))


def newer_ir(model):
    model.ir_version = 99


def constant_only(model):
    """A constant and nothing that goes in."""
    value = onnx.numpy_helper.from_array(np.zeros((1, 16, 28, 28), np.float32))
    del model.graph.node[:], model.graph.input[:], model.graph.initializer[:]
    model.graph.node.append(helper.make_node("Constant", [], ["y"], value=value))


def wrong_channels(model):
    """Loads with a dynamic channel count, and fails to run with one channel."""
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"


def short_weights(model):
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-40]


UNREADABLE = {
    "empty": (b"", "empty"),
    "text": (b"hello, world\n" * 20, "not an ONNX model"),
    "zeros": (bytes(4096), "not an ONNX model"),
    "truncated": (reference_model()[:-1000], "not an ONNX model"),
    "no node": (changed(lambda model: model.graph.ClearField("node")), "without a node"),
    "external data": (changed(external_weights), "weights in other files"),
    "external data in a branch": (changed(external_constant_in_a_branch), "weights in other files"),
}
UNUSABLE = {
    "custom domain": (changed(custom_domain), "my.custom:Conv"),
    "newer IR": (changed(newer_ir), "IR version: 99"),
    "short weights": (changed(short_weights), "raw_data size"),
    "no input": (changed(constant_only), "has no input"),
    "does not run": (changed(wrong_channels), r"does not run on x \(1, 1, 28, 28\)"),
}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(reference_model())
    return path


def test_a_good_model_is_read_whole(model):
    assert read_model(model) == reference_model()


@pytest.mark.parametrize("content, words", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_files_are_refused_without_a_runtime(tmp_path, content, words):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_model(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["absent.onnx", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path, path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_model(tmp_path / path)


@pytest.mark.parametrize(
    "content, words",
    [*UNUSABLE.values(), UNREADABLE["truncated"], UNREADABLE["external data"]],
    ids=[*UNUSABLE, "truncated", "external data"],
)
def test_the_child_names_the_file_it_refuses(tmp_path, model, content, words):
    bad = tmp_path / "bad one.onnx"
    bad.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        bench_in_fresh_process([model, bad], **QUICK)
    assert str(caught.value).startswith(str(bad)) and "\n" not in str(caught.value)


def test_the_child_times_models_and_reports_progress(tmp_path, model):
    twin = tmp_path / "naïve twin.onnx"
    twin.write_bytes(reference_model())
    seen = []
    results = bench_in_fresh_process([model, twin], **QUICK, progress=lambda done, total: seen.append((done, total)))
    assert [result.model for result in results] == ["model.onnx", "naïve twin.onnx"]
    assert seen and seen[-1][0] == seen[-1][1]
    for result in results:
        assert 0 < result.ms <= result.p90_ms and result.runs > 0 and result.threads == 1
        assert result.input == Port("x", (1, 16, 28, 28), "float32")
        assert result.outputs == (Port("y", (1, 16, 28, 28), "float32"),)


@pytest.mark.parametrize(
    "options, error",
    [({"threads": 0}, UsageError), ({"runtime": "onnxruntim"}, UnknownName), ({"timeout_s": 0.01}, EnvironmentFault)],
)
def test_the_childs_errors_are_ours(model, options, error):
    with pytest.raises(error):
        bench_in_fresh_process([model], **QUICK | options)


@pytest.mark.parametrize(
    "body, error, words",
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", DataError, r"model\.onnx: killed .* \(SIGSEGV\)"),
        ("import os; os._exit(3)", EnvironmentFault, "exit code 3"),
        ("raise KeyError('a defect')", EnvironmentFault, "KeyError: 'a defect'"),
        ("import os; os.write(1, b'native noise\\n'); print('noise'); raise DataError('enough')", DataError, "enough"),
        ("import time; time.sleep(60)", EnvironmentFault, "not timed within 1 s"),
    ],
)
def test_a_child_that_dies_is_reported_in_one_line(tmp_path, monkeypatch, model, body, error, words):
    package = tmp_path / "outside"
    package.mkdir()
    source = "from edgenas.errors import DataError\ndef version(): return '1'\ndef host(threads): return {}\n"
    source += f"def open(model, threads):\n    {body}\n"
    (package / "bad_runtime.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.name_own("runtimes", "outside.bad_runtime")
    limit_s = 1.4 if "sleep" in body else 60.0
    with pytest.raises(error, match=words) as caught:
        bench_in_fresh_process([model], runtime="outside.bad_runtime", timeout_s=limit_s)
    assert "\n" not in str(caught.value)


def test_a_runtime_that_only_data_name_is_refused(model):
    with pytest.raises(OwnCode, match="a file may not choose what code runs") as caught:
        bench_in_fresh_process([model], runtime="foreign.runtime")
    assert caught.value.words == "--runtime foreign.runtime"
    assert pickle.loads(pickle.dumps(caught.value)).words == caught.value.words  # as processes hand it on


def fake_measure(monkeypatch, plans):
    """Replace the measurement: each item's repeat errors, one per try; returns what was measured in each try."""
    tries = []

    def measure(items, **_):
        number = len(tries)
        tries.append(set(items) - {"reference"})
        return {
            name: Timing(10.0 + number, 12.0, plans[name][number] if name in plans else 0.0, 5, 1.0) for name in items
        }

    monkeypatch.setattr(bench_module, "measure", measure)
    return tries


def test_only_what_does_not_repeat_is_timed_again(monkeypatch, model):
    tries = fake_measure(monkeypatch, {"0": [0.01], "1": [0.09, 0.03], "2": [0.08, 0.06, 0.07]})
    results = bench([model] * 3)
    assert tries == [{"0", "1", "2"}, {"1", "2"}, {"2"}]
    assert [(result.ms, result.repeat_error) for result in results] == [(10.0, 0.01), (11.0, 0.03), (11.0, 0.06)]


def test_a_noisy_machine_is_named(monkeypatch, model):
    def measure(items, **_):
        raise TooNoisy("only 3% clean")

    monkeypatch.setattr(bench_module, "measure", measure)
    with pytest.raises(NoisyMachine, match="only 3% clean"):
        bench([model])


def test_noise_in_a_later_try_leaves_the_earlier_figure(monkeypatch, model):
    tries = fake_measure(monkeypatch, {"0": [0.09]})
    first = bench_module.measure

    def measure(items, **options):
        if tries:
            raise TooNoisy("only 3% clean")
        return first(items, **options)

    monkeypatch.setattr(bench_module, "measure", measure)
    assert bench([model])[0].repeat_error == 0.09


def test_sessions_are_closed_after_success_and_failure(monkeypatch, model, tmp_path):
    opened = []
    plugin = bench_module.plugins.load("runtimes", "onnxruntime")
    genuine = plugin.open
    monkeypatch.setattr(plugin, "open", lambda *args: opened.append(genuine(*args)) or opened[-1])
    fake_measure(monkeypatch, {"0": [0.0]})
    bench([model], sessions=2)
    with pytest.raises(UsageError):
        bench([model, tmp_path / "absent.onnx"], sessions=2)
    assert len(opened) == 5
    assert all(session._session is None for session in opened)


def test_json_keeps_a_result_whole():
    ports = Port("x", (1, 3, 8, 8), "float32"), Port("y", (1, 10), "float32")
    result = Bench("m.onnx", 1.5, 1.7, 0.01, 100, 0.9, 0.05, 1, "onnxruntime", "1.31", ports[0], ports[1:])
    fields = json.loads(json.dumps(dataclasses.asdict(result)))
    assert bench_module._from_json(fields) == result


def test_importing_bench_loads_no_framework():
    code = "import sys, edgenas.runtimes.bench; print({'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    root = str(Path(bench_module.__file__).parents[2])
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
