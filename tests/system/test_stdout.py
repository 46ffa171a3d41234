"""What C prints meanwhile is gone, what Python printed before and prints after is there."""

import subprocess
import sys

SCRIPT = """
import ctypes, os
from edgenas.system.stdout import discarded
print("before", flush=False)
for _ in range(2):
    with discarded():
        ctypes.CDLL(None).printf(b"noise\\n")
        os.write(1, b"noise\\n")
print("after")
"""


def run(script: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, **options)


def test_what_compiled_code_prints_is_dropped():
    done = run(SCRIPT)
    assert (done.stdout, done.returncode) == ("before\nafter\n", 0), done.stderr


def test_without_a_stdout_nothing_is_done():
    closed = "import os, sys; sys.stdout = None; os.close(1)\n"
    inside = "from edgenas.system.stdout import discarded\nwith discarded(): sys.exit(3)\n"
    done = run(closed + inside)
    assert done.returncode == 3, done.stderr
