"""Tuning of the process: harmless wherever it runs, and the user's own settings stay."""

import os
import subprocess
import sys

import pytest

from edgenas.system import threads
from edgenas.system.threads import configure_threads


def test_tuning_twice_leaves_the_process_working():
    code = "from edgenas.system.threads import configure_threads as c; c(); c(); print(sum(bytearray(b'\\1') * 10**8))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "100000000\n"
    )


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda name: pytest.fail("the allocator was touched"))
    configure_threads()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch):
    for name in list(os.environ):
        if name.startswith("MALLOC_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda name: object())
    configure_threads()


BEFORE_TORCH = """
import os, sys

class Stop:
    def find_spec(self, name, path, target=None):
        if name == "torch":
            os.write(1, os.environ.get("GOMP_SPINCOUNT", "unset").encode())
            os._exit(0)

sys.meta_path.insert(0, Stop())
import edgenas
{call}
"""
CALLS = {
    **{
        name: f"from edgenas.cli.main import main; main({words.split()})"
        for name, words in {
            "search": "search --budget-ms 1",
            "train": "train 0",
            "export": "export run --out x.onnx",
            "ranking": "ranking run",
        }.items()
    },
    "edgenas.search": "edgenas.search('digits', budget_ms=1)",
    "edgenas.specialize": "edgenas.specialize('run', budget_ms=1)",
    "edgenas.train": "edgenas.train('0', 'digits')",
    "edgenas.export": "edgenas.export('run', 'x.onnx')",
    "edgenas.ranking": "edgenas.ranking('run')",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_threads_are_told_how_to_wait_before_torch_is_loaded(call, tmp_path):
    """Its OpenMP reads the variable once."""
    code = BEFORE_TORCH.format(call=call)
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stdout == "20000", done.stderr
