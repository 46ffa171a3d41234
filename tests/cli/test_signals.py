from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from edgenas.cli import main as cli
from edgenas.cli.signals import Stopper

WAITING = """
import sys, time, types
from pathlib import Path
from edgenas import errors
from edgenas.cli import main as cli
from edgenas.cli import search
mode, folder = sys.argv[1:]
search.PATIENCE_S = 0.2 if mode == "deaf" else 60

def run(config, reporter, stop):
    Path(folder).mkdir()
    (Path(folder) / "config.toml").write_text("")
    print("ready", file=sys.__stdout__, flush=True)
    if mode == "polite":
        while not stop():
            time.sleep(0.01)
        raise errors.Interrupted("stopped")
    try:
        time.sleep(60)
    except Exception:
        sys.exit("nobody should catch this")

stand_in = sys.modules["edgenas.workflows.search"] = types.ModuleType("search")  # without all that searching imports
stand_in.search = run
sys.exit(cli.main(["search", "--budget-ms", "20", "--output", folder]))
"""


@pytest.mark.parametrize(
    "mode, signals, code",
    [
        ("polite", [signal.SIGINT], 130),
        ("polite", [signal.SIGTERM], 143),
        ("deaf", [signal.SIGINT], 130),  # patience ends
        ("deaf", [signal.SIGTERM], 143),
        ("busy", [signal.SIGINT, signal.SIGINT], 130),  # the second one does not wait
    ],
)
def test_a_signal_stops_a_search_and_says_how_to_go_on(tmp_path, mode, signals, code):
    folder = tmp_path / "a run"
    command = [sys.executable, "-c", WAITING, mode, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stderr
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signals[0])
        child.stderr.readline()  # empty: it ends the line of a bar
        assert "stopping at the next safe point" in child.stderr.readline()
        for signum in signals[1:]:
            child.send_signal(signum)
        errors_said = child.stderr.read()  # `communicate` would miss what `readline` has buffered
    assert child.returncode == code
    assert f"edgenas search --output '{folder}' --resume" in errors_said
    assert "Traceback" not in errors_said


def test_handlers_are_put_back(searching):
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    cli.main(["search", "--budget-ms", "20"])
    assert before == [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]


def test_without_patience_the_first_signal_interrupts():
    with pytest.raises(KeyboardInterrupt), Stopper(patience_s=0) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop() and stop.signum == signal.SIGTERM


def test_outside_the_main_thread_signals_stay_as_they_are():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work():
        with Stopper(patience_s=1):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
