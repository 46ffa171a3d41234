"""Kits measured over ssh: by a real sshd on this machine, and by stand-ins for what goes wrong."""

import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgenas.devices import runner
from edgenas.devices.runner import NOISY
from edgenas.devices.ssh import VARIABLE, Remote
from edgenas.errors import DamagedTable, EnvironmentFault, NoisyMachine, UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.kit_content import KitOptions
from edgenas.workflows.remote_profile import profile_over_ssh

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(not (SSHD and shutil.which("ssh")), reason="needs ssh and sshd")
CHOICES = dict(
    shape=(3, 8, 8),
    classes=4,
    only={"width": ["4"], "kernel": ["3"], "gate": ["False"]},
    nets=2,
    tests=0,
    precisions=("fp32",),
)


pytestmark = pytest.mark.usefixtures("any_noise")


class Witness(SilentReporter):
    """A reporter that remembers its progress and its lines."""

    def __init__(self):
        self.lines, self.progress = [], []

    @contextmanager
    def stage(self, name):
        yield lambda *how: self.progress.append((name, *how))

    def log(self, text):
        self.lines.append(text)


def profile(out, reporter=None, host="board", **changes):
    config = make_config({"space": "tests._toys"})
    how = {"host": host, "python": sys.executable, "name": "board", "out": out, **changes}
    return profile_over_ssh(config, reporter or SilentReporter(), KitOptions(**CHOICES), **how)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An sshd with keys of its own, on a port of its own; commands start in an empty home. Yields folder and port."""
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    (folder / "home").mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n"
        f'ForceCommand cd {folder}/home && exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    daemon = subprocess.Popen([SSHD, "-D", "-E", folder / "log", "-f", folder / "sshd_config"])
    try:
        wait_for(lambda: daemon.poll() is not None or answers(port))
        assert daemon.poll() is None, (folder / "log").read_text()
        yield folder, port
    finally:
        daemon.terminate()
        daemon.wait()


@pytest.fixture
def board(server, tmp_path, monkeypatch):
    """The home of a device that ssh knows as `board`; each ssh leaves its process number in `pids`."""
    folder, port = server
    config = tmp_path / "config"
    config.write_text(
        f"Host board closed\n HostName 127.0.0.1\n IdentityFile {folder}/user\n IdentitiesOnly yes\n BatchMode yes\n"
        f" UserKnownHostsFile {folder}/known\n StrictHostKeyChecking yes\n"
        f"Host board\n Port {port}\nHost closed\n Port {free_port()}\n"
    )
    ssh = script(tmp_path / "ssh", f'echo $$ >> {tmp_path}/pids; exec ssh -F {config} "$@"')
    monkeypatch.setenv(VARIABLE, str(ssh))
    return folder / "home"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Let a shell script stand for ssh; it finds the last argument in `command`. Returns the path of what it logs."""

    def use(text):
        monkeypatch.setenv(VARIABLE, str(script(tmp_path / "ssh", f"for command; do :; done\n{text}")))
        return tmp_path / "ssh.log"

    return use


@needs_sshd
def test_broken_in_the_middle_the_same_call_goes_on_and_leaves_nothing_there(board, tmp_path):
    def lines():
        return sum(file.read_bytes().count(b"\n") for file in board.glob("edgenas-kit-*/results-board-1t.jsonl"))

    def cut():
        wait_for(lambda: lines() > 40)
        os.kill(int((tmp_path / "pids").read_text().split()[-1]), signal.SIGKILL)

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(EnvironmentFault, match="board: no connection .* the same command goes on"):
        profile(tmp_path / "tables")
    thread.join()
    measured = lines() - 1
    assert not (tmp_path / "tables").exists()

    again = Witness()
    [(path, table)] = profile(tmp_path / "tables", again)  # the runner of before may not have noticed yet
    _, done, total, _ = next(step for step in again.progress if step[0] == "measure on board")
    assert 40 <= measured <= done < total
    assert path == tmp_path / "tables/board/onnxruntime-1t-fp32.csv" and path.exists()
    assert len(table.ops) > 5 and len(table.nets) == 2 and table.device == "board"
    assert not list(board.iterdir())


@needs_sshd
def test_what_python_lacks_is_said_before_anything_is_copied(board, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv/bin/python")
    says = f"board: {python} lacks numpy and onnxruntime; install: ssh board {python} -m pip install numpy onnxruntime"
    with pytest.raises(EnvironmentFault, match=re.escape(says)):
        profile(tmp_path, python=python)
    assert not list(board.iterdir())


@needs_sshd
@pytest.mark.parametrize(
    "host, python, says",
    [
        ("closed", sys.executable, r"closed: no connection \(.*Connection refused\); once `ssh closed` works"),
        ("nobody@board", sys.executable, r"nobody@board: no connection \(.*Permission denied"),
        ("board", "venv/bin/python", "board: no venv/bin/python there; name Python 3.9 or later with --python"),
        ("board", "false", "board: false fails there .*; name another with --python"),
        ("board", "echo", r"board: echo fails there \(it is no Python\); name another with --python"),
    ],
)
def test_what_cannot_be_reached_is_named(board, host, python, says):
    with pytest.raises(EnvironmentFault, match=says):
        Remote(host, python, SilentReporter()).check()


@needs_sshd
@pytest.mark.parametrize("python", [sys.executable, "~/python"])
def test_a_python_with_all_of_it_will_do(board, python):
    own = script(board / "python", f'exec {sys.executable} "$@"')
    Remote("board", python, SilentReporter()).check()
    own.unlink()


@pytest.mark.parametrize(
    "facts, says",
    [
        ({"version": [3, 7]}, "python3 is Python 3.7, 3.9 is needed; name another with --python"),
        (
            {"missing": ["onnxruntime"]},
            "python3 lacks onnxruntime; install: ssh board 'python3 -m venv venv && venv/bin/pip install numpy "
            "onnxruntime', then add --python venv/bin/python",
        ),
        ({"missing": ["numpy"], "venv": True}, "python3 lacks numpy; install: ssh board python3 -m pip install numpy"),
    ],
)
def test_the_next_step_fits_the_python_there(stand_in, facts, says):
    facts = {"version": [3, 11], "venv": False, "missing": [], **facts}
    stand_in(f"echo hello from .bashrc; echo {shlex.quote(json.dumps(facts))}")
    with pytest.raises(EnvironmentFault, match=re.escape(f"board: {says}")):
        Remote("board", "python3", SilentReporter()).check()


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch here", "-"])
def test_a_host_that_ssh_takes_for_an_option_is_refused(host, tmp_path):
    with pytest.raises(UsageError, match="is not a host; give user@host"):
        profile(tmp_path, host=host)


def test_without_ssh_it_says_so(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/none/ssh -v")
    with pytest.raises(EnvironmentFault, match="/none/ssh: No such file or directory; install OpenSSH"):
        Remote("board", "python3", SilentReporter()).check()


@pytest.mark.parametrize(
    "there, error, says, removed",
    [
        (f"echo 'run.py: only 9% {NOISY}; start again' >&2; exit 4", NoisyMachine, f"board: only 9% {NOISY}", False),
        (
            "echo 'run.py: begun with threads 2' >&2; exit 2",
            EnvironmentFault,
            "board: begun with threads 2; .*rem",
            False,
        ),
        ("exit 255", EnvironmentFault, r"no connection \(it broke\)", False),
        ("", DamagedTable, "line 1: a results file begins with its header", True),
    ],
)
def test_a_measurement_that_fails_writes_no_table(stand_in, tmp_path, there, error, says, removed):
    commands = stand_in(
        f"""echo "${{command##*main__}}" >> "$0.log"
        case "$command" in
            *check) echo '{{"version": [3, 11], "venv": true, "missing": []}}';;
            *" unpack "edgenas-kit-*) ;;
            *" measure "edgenas-kit-*) {there};;
            cat*) echo '{{}}';;
        esac"""
    )
    with pytest.raises(error, match=says) as caught:
        profile(tmp_path / "tables")
    assert type(caught.value) is error and not (tmp_path / "tables").exists()
    assert ("\nrm -rf edgenas-kit-" in commands.read_text()) is removed


def test_progress_and_remarks_are_passed_on(stand_in, tmp_path):
    log = io.StringIO()
    progress = runner.ProgressLine(log, total=700, left=650)
    for remark in ("opening", "only 10% of the samples were clean; waiting 2 s"):
        progress.shown, progress.done = -60.0, progress.done + 50
        progress.show(remark)
    heard = f"7 of 12 MB\na warning\n{log.getvalue()}another\n"
    stand_in(f'case "$command" in *" measure kit "*) printf %s {shlex.quote(heard)} >&2;; esac')
    witness = Witness()
    Remote("board", "python3", witness).measure("kit", tmp_path / "results", threads=1, name=None)
    assert [step[1:3] for step in witness.progress] == [(7, 12), (100, 700), (150, 700)]
    assert [step[3] for step in witness.progress] == ["", "opening", "only 10% of the samples were clean; waiting 2 s"]
    assert witness.lines == ["board: a warning", "board: another"]


def test_an_interrupt_leaves_no_ssh_behind(stand_in, tmp_path):
    class Impatient(SilentReporter):
        @contextmanager
        def stage(self, name):
            def stop(*how):
                raise KeyboardInterrupt

            yield stop

    stand_in(f"echo $$ > {tmp_path}/pid; echo '1 of 2 rounds (50%)' >&2; exec sleep 60")
    with pytest.raises(KeyboardInterrupt):
        Remote("board", "python3", Impatient()).measure("kit", tmp_path / "results", threads=1, name=None)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
