"""onnxruntime-web in Node and in Chromium, beyond the contract: its outputs, and engines that end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgenas.errors import EnvironmentFault
from edgenas.runtimes import onnxruntime
from tests._runtimes import usable
from tests.runtimes.conftest import process_of

ENGINES = ("onnxruntime-web", "onnxruntime-web-chromium")


@pytest.fixture(scope="module", params=ENGINES)
def runtime(request):
    return usable(request.param)


def test_outputs_equal_those_of_onnxruntime(runtime, network, rng):
    ours, native = runtime.open(network), onnxruntime.open(network)
    for _ in range(3):
        x = rng.standard_normal((1, 3, 16, 16), np.float32)
        np.testing.assert_allclose(ours.run(x)[0], native.run(x)[0], atol=1e-4)


def test_host_tells_what_decides_a_number(runtime):
    facts = runtime.host(1)
    assert facts["engine"].split()[0] in ("Node", "Chromium", "Google")
    assert (facts["provider"], facts["optimisation"], facts["simd"]) == ("wasm", "all", "on")


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


@pytest.mark.alone  # an engine is given a time to start, which it may exceed where two workers test
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
    assert done.stdout, done.stderr
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
