"""One process at a time works in a folder, wherever that lies."""

import errno
import json
import os
import platform
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from edgenas.errors import EnvironmentFault, UsageError
from edgenas.system import folder_lock
from edgenas.system.folder_lock import LOCK, TAKEOVER, FolderLock, Owner

# Takes the lock, says whether it has it, and holds it until stdin is closed.
HOLD = """
import errno, pathlib, sys
from edgenas.errors import UsageError
from edgenas.system import folder_lock
def none(*_): raise OSError(errno.ENOLCK, "no locks here")
if sys.argv[2] == "file": folder_lock.fcntl.flock = none
sys.stdin.readline()
try:
    lock = folder_lock.FolderLock(pathlib.Path(sys.argv[1]))
except UsageError as error:
    print(error, flush=True)
else:
    print("taken", flush=True)
sys.stdin.readline()
"""
# Takes the lock, and leaves a child that outlives it.
FORK = """
import os, pathlib, sys, time
from edgenas.system.folder_lock import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]))
child = os.fork()
if child == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
os.kill(os.getpid(), 9)
"""
DRIVES = pytest.mark.parametrize("drive", ["flock", "file"])


def held(folder, drive):
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", HOLD, str(folder), drive], **pipes)


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


@contextmanager
def processes(folder, drive, count):
    found = [held(folder, drive) for _ in range(count)]
    try:
        yield found
    finally:
        for process in found:
            process.kill()
            process.communicate()


@pytest.fixture
def no_locks(monkeypatch):
    """A drive without locks."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(folder_lock.fcntl, "flock", flock)


@DRIVES
def test_of_processes_that_start_at_once_one_has_the_folder(drive, tmp_path):
    with processes(tmp_path, drive, 6) as starting:
        for process in starting:
            go_on(process)
        answers = [process.stdout.readline() for process in starting]
    assert answers.count("taken\n") == 1
    assert all("works in it" in answer or "takes it over" in answer for answer in answers if answer != "taken\n")


@DRIVES
def test_what_a_killed_process_held_is_taken_over_by_one(drive, tmp_path):
    with processes(tmp_path, drive, 1) as [killed]:
        go_on(killed)
        assert killed.stdout.readline() == "taken\n"
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == killed.pid
    with processes(tmp_path, drive, 6) as starting:
        for process in starting:
            go_on(process)
        assert [process.stdout.readline() for process in starting].count("taken\n") == 1


def test_what_a_worker_of_a_killed_process_has_is_no_lock(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", FORK, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(owner.stdout.readline())
    try:
        owner.wait()
        again = FolderLock(tmp_path)
        assert str(owner.pid) in again.notice
        again.release()
    finally:
        os.kill(child, signal.SIGKILL)
        owner.communicate()


def test_a_released_folder_is_free_whoever_has_the_descriptor(tmp_path):
    lock = FolderLock(tmp_path)
    copy = os.dup(lock._descriptor)
    try:
        lock.release()
        FolderLock(tmp_path).release()
    finally:
        os.close(copy)


def test_who_holds_a_folder_is_named_and_who_held_it_noticed(tmp_path):
    lock = FolderLock(tmp_path)
    assert lock.notice is None and json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    with pytest.raises(UsageError, match=rf"process {os.getpid()} on {platform.node()} works in it; wait for it$"):
        FolderLock(tmp_path)
    lock.release()
    assert not list(tmp_path.iterdir())
    (tmp_path / LOCK).write_text(json.dumps({"pid": 4_000_000, "host": platform.node(), "started": "1"}))
    again = FolderLock(tmp_path)
    assert again.notice == f"{LOCK} of process 4000000, which is gone, was taken over"
    again.release()


def test_with_locks_of_one_host_another_hosts_file_is_respected(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 1, "host": platform.node() + "x", "started": "1"}))
    before = (tmp_path / LOCK).read_bytes()
    for _ in range(2):  # the refusal itself leaves nothing locked
        with pytest.raises(UsageError, match=f"process 1 on .*x works in it; wait for it, or remove {LOCK}"):
            FolderLock(tmp_path)
    assert (tmp_path / LOCK).read_bytes() == before
    (tmp_path / LOCK).unlink()
    FolderLock(tmp_path).release()


def test_without_locks_another_hosts_file_is_respected(tmp_path, no_locks):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 1, "host": platform.node() + "x", "started": "1"}))
    with pytest.raises(UsageError, match=f"process 1 on .*x works in it; wait for it, or remove {LOCK}"):
        FolderLock(tmp_path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"pid": 1e999, "host": "h", "started": null}', "[]"])
def test_without_locks_a_torn_file_is_no_obstacle(tmp_path, no_locks, monkeypatch, text):
    monkeypatch.setattr(folder_lock, "BEING_WRITTEN_S", 0.01)
    (tmp_path / LOCK).write_text(text)
    FolderLock(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_without_locks_one_process_at_a_time_takes_over(tmp_path, no_locks):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 4_000_000, "host": platform.node(), "started": "1"}))
    (tmp_path / TAKEOVER).touch()
    with pytest.raises(UsageError, match=f"another process takes it over; wait, or remove {TAKEOVER}"):
        FolderLock(tmp_path)


def test_a_folder_that_cannot_be_locked(tmp_path):
    with pytest.raises(EnvironmentFault, match="cannot be locked"):
        FolderLock(tmp_path / "gone")


def test_a_process_is_known_by_when_it_began():
    here = Owner.here()
    assert not here.is_gone
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as ended:
        started = Owner(ended.pid, here.host, folder_lock._start_ticks(ended.pid))
        ended.stdin.close()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert started.started is not None and started.is_gone, "its parent has not asked for its end yet"
    assert Owner(10**30, here.host, "1").is_gone, "no process has such a number"
    assert Owner(here.pid, here.host, "0").is_gone and not Owner(here.pid, here.host + "x", "0").is_gone
