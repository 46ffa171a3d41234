"""An engine in Node: its thread, and one that hangs."""

import os
import signal

from edgenas.runtimes.web import node
from tests._runtimes import usable
from tests.runtimes.conftest import process_of


def test_node_runs_on_one_thread_and_says_so():
    facts = usable("onnxruntime-web").host(2)
    assert (facts["threads"], facts["threads_requested"]) == (1, 2)


def test_an_engine_that_hangs_is_stopped(monkeypatch):
    usable("onnxruntime-web")
    monkeypatch.setattr(node, "STOP_S", 0.1)
    engine = node.NodeEngine()
    os.killpg(process_of(engine).pid, signal.SIGSTOP)
    engine.stop()
    assert process_of(engine).returncode == -signal.SIGKILL
