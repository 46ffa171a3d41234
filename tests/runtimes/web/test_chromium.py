"""An engine in a page of Chromium: its threads, a page that crashes, and where the program is looked for."""

import os
import signal
import subprocess

import pytest

from edgenas.errors import EnvironmentFault
from edgenas.runtimes import onnxruntime
from edgenas.runtimes.web import chromium
from tests._runtimes import usable
from tests.runtimes.conftest import process_of


def test_chromium_is_isolated_and_takes_the_threads_there_are(network):
    runtime = usable("onnxruntime-web-chromium")
    facts = runtime.host(1000)
    assert facts["cross_origin_isolated"] == "yes"
    assert facts["threads"] == onnxruntime.host(1000)["threads"]
    assert runtime.open(network, 1000).run()


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


def test_the_variable_names_the_program_and_no_other_will_do(monkeypatch, tmp_path):
    own = tmp_path / "browser"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv(chromium.EXECUTABLE, str(own))
    assert chromium.executable() == str(own)
    monkeypatch.setenv(chromium.EXECUTABLE, str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match="none' of EDGENAS_CHROMIUM is no program; install chromium"):
        chromium.executable()
