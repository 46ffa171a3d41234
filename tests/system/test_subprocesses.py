"""Workers: what they send arrives, what they raise is raised here, and a crash is an error, not the end."""

from __future__ import annotations

import os
import sys

import pytest

from edgenas.errors import BudgetError, DataError, EnvironmentFault
from edgenas.system.subprocesses import run_worker, serve_request

HERE = "tests.system.test_subprocesses"


def answer(request, send):
    """What the worker does: this module is started as one."""
    send(file="it.onnx")
    match request["do"]:
        case "add":
            print("a library talks on stdout")
            for i in range(3):
                send(progress=[i + 1, 3], total=sum(request["terms"][: i + 1]))
        case "raise":
            raise BudgetError("too little")
        case "fail":
            raise ValueError("unforeseen")
        case "swell":
            raise MemoryError
        case "crash":
            os.abort()
        case "exit":
            sys.exit(3)
        case "wait":
            import time

            time.sleep(60)


def run(do, *, limit_s=60.0, progress=None, **more):
    return run_worker(HERE, {"do": do, **more}, limit_s=limit_s, done="read", progress=progress)


def test_what_is_sent_last_under_each_key_is_returned():
    steps = []
    reply = run("add", terms=[1, 2, 3], progress=lambda done, total: steps.append((done, total)))
    assert (reply["file"], reply["total"]) == ("it.onnx", 6)
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "do, error, message",
    [
        ("raise", BudgetError, "^too little$"),
        ("fail", EnvironmentFault, "it.onnx: its process failed: ValueError: unforeseen"),
        ("swell", DataError, "it.onnx: it needs more memory than there is; the file is damaged or too large"),
        ("exit", EnvironmentFault, "it.onnx: its process failed: exit code 3"),
        ("crash", DataError, r"it.onnx: killed the process that ran it \(SIGABRT\); the file is damaged or too large"),
    ],
)
def test_errors_of_the_worker_are_ours(do, error, message):
    with pytest.raises(error, match=message):
        run(do)


def test_a_worker_that_takes_too_long_is_killed():
    with pytest.raises(EnvironmentFault, match="it.onnx: not read within 1 s; is it too large"):
        run("wait", limit_s=1.0)


def test_a_module_that_does_not_start_is_told():
    with pytest.raises(EnvironmentFault, match="model: its process failed: .*No module named"):
        run_worker("tests.no_such_module", {}, limit_s=60, done="read")


if __name__ == "__main__":
    serve_request(answer)
