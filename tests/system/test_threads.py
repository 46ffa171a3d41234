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
