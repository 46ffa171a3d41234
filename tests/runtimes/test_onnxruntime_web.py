"""onnxruntime-web in Node and in Chromium, beyond the contract: its outputs, input types, and an engine that dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgenas.errors import DataError, EnvironmentFault, UsageError
from edgenas.exporters.onnx import random_weights, to_bytes, to_onnx
from edgenas.runtimes import onnxruntime
from edgenas.runtimes.web import node
from edgenas.runtimes.web.engine import MAX_LOADED_BYTES, Pool
from tests._runtimes import usable
from tests._toys import Shared

ENGINES = ("onnxruntime-web", "onnxruntime-web-chromium")


@pytest.fixture(scope="module", params=ENGINES)
def runtime(request):
    return usable(request.param)


@pytest.fixture(scope="module")
def network():
    graph = Shared((3, 16, 16)).graph((1, 1, 1, 1))
    return to_bytes(to_onnx(graph, random_weights(graph, np.random.default_rng(0))))


def identity(kind, shape=(1, 1000)):
    ports = [helper.make_tensor_value_info(name, kind, list(shape)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model.SerializeToString()


def test_outputs_equal_those_of_onnxruntime(runtime, network, rng):
    ours, native = runtime.open(network), onnxruntime.open(network)
    for _ in range(3):
        x = rng.standard_normal((1, 3, 16, 16), np.float32)
        np.testing.assert_allclose(ours.run(x)[0], native.run(x)[0], atol=1e-4)


@pytest.mark.parametrize(
    "kind, dtype, low, high",
    [
        (TensorProto.FLOAT, "float32", -6, 6),
        (TensorProto.DOUBLE, "float64", -6, 6),
        (TensorProto.UINT8, "uint8", 0, 255),
        (TensorProto.INT8, "int8", -128, 127),
        (TensorProto.INT32, "int32", 0, 1),
        (TensorProto.INT64, "int64", 0, 1),
        (TensorProto.BOOL, "bool", 0, 1),
    ],
)
def test_inputs_are_made_up_for_each_type(runtime, kind, dtype, low, high):
    session = runtime.open(identity(kind))
    (made_up,) = session.run()
    assert made_up.dtype == np.dtype(dtype) and made_up.shape == (1, 1000)
    assert low <= made_up.min() < made_up.max() <= high
    assert session.describe() == onnxruntime.open(identity(kind)).describe()
    np.testing.assert_array_equal(session.run(made_up)[0], made_up)


def test_rounds_tell_what_they_were_made_of(runtime, network):
    for figure in runtime.open(network).rounds(3, 2.0):
        assert figure.runs >= 1 and 0 <= figure.clean_share <= 1
        assert figure > 0 or figure.clean_share == 0


def test_what_it_cannot_load_is_refused_in_one_line_and_the_engine_lives(runtime, network):
    for model, words in ((b"garbage", "cannot load the model"), (identity(TensorProto.FLOAT16), "'x' is float16")):
        with pytest.raises(DataError, match=words) as caught:
            runtime.open(model)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert runtime.open(network).run()


def test_a_wrong_input_names_its_shape(runtime, network):
    with pytest.raises(DataError, match=r"\(1, 5\) float32.* Got: 2 Expected: 4"):
        runtime.open(network).run(np.zeros((1, 5), np.float32))


def test_a_missing_file_is_named(runtime, tmp_path):
    with pytest.raises(DataError, match=r"none\.onnx: cannot be read"):
        runtime.open(tmp_path / "none.onnx")


def test_threads_below_one_are_refused(runtime, network):
    with pytest.raises(UsageError, match="threads"):
        runtime.open(network, 0)


def test_a_closed_session_says_so(runtime, network):
    session = runtime.open(network)
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.run()


def test_host_tells_what_decides_a_number(runtime):
    facts = runtime.host(1)
    assert facts["engine"].split()[0] in ("Node", "Chromium", "Google")
    assert (facts["provider"], facts["optimisation"], facts["simd"]) == ("wasm", "all", "on")


def test_node_runs_on_one_thread_and_says_so():
    facts = usable("onnxruntime-web").host(2)
    assert (facts["threads"], facts["threads_requested"]) == (1, 2)


def test_chromium_is_isolated_and_takes_the_threads_there_are(network):
    runtime = usable("onnxruntime-web-chromium")
    facts = runtime.host(1000)
    assert facts["cross_origin_isolated"] == "yes"
    assert facts["threads"] == onnxruntime.host(1000)["threads"]
    assert runtime.open(network, 1000).run()


def process_of(engine):
    return engine._process if hasattr(engine, "_process") else engine._browser._process


def test_an_engine_that_dies_is_an_error_and_the_next_model_gets_another(runtime, network):
    session = runtime.open(network)
    engine = session._place.engine
    os.killpg(process_of(engine).pid, signal.SIGKILL)
    with pytest.raises(EnvironmentFault, match="again"):
        session.run()
    assert process_of(engine).returncode is not None
    session.close()
    assert not engine.folder.exists()
    assert runtime.open(network).run()


def test_a_page_that_crashes_is_an_error_and_the_next_model_gets_another(network):
    runtime = usable("onnxruntime-web-chromium")
    session = runtime.open(network)
    for pid in renderers(process_of(session._place.engine).pid):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(EnvironmentFault, match="crashed"):
        session.run()
    with pytest.raises(EnvironmentFault, match="ended"):
        session.run()
    assert runtime.open(network).run()


def renderers(browser):
    """Processes of a browser, which leads a session of its own, that run pages."""
    listed = subprocess.run(["ps", "-eo", "pid,sid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, session, args in rows if int(session) == browser and "--type=renderer" in args]


def test_an_engine_that_hangs_is_stopped(monkeypatch):
    usable("onnxruntime-web")
    monkeypatch.setattr(node, "STOP_S", 0.1)
    engine = node.NodeEngine()
    os.killpg(process_of(engine).pid, signal.SIGSTOP)
    engine.stop()
    assert process_of(engine).returncode == -signal.SIGKILL


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_ends_with_the_process_that_started_it_however_that_ends(name, network, tmp_path):
    usable(name)
    (tmp_path / "m.onnx").write_bytes(network)
    code = (
        "import os, sys; from edgenas.system import plugins\n"
        f"session = plugins.load('runtimes', '{name}').open(open({str(tmp_path / 'm.onnx')!r}, 'rb').read())\n"
        "engine = session._place.engine\n"
        "process = engine._process if hasattr(engine, '_process') else engine._browser._process\n"
        "print(process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_models_beyond_an_engines_room_go_to_another():
    usable("onnxruntime-web")
    pool = Pool(lambda threads: node.NodeEngine())
    first = pool.place(1, 10)
    first.loaded_bytes = MAX_LOADED_BYTES - 10
    assert pool.place(1, 10) is first
    second = pool.place(1, 11)
    assert second.engine is not first.engine
    pool.stop()
    assert not first.engine.working and not second.engine.working
