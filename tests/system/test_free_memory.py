import resource
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.system.free_memory import free_bytes, resident_bytes

KB, MB = 1024, 1024**2


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 MB free, in which files are laid by name."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def lay(**files: str) -> tuple[Path, Path]:
        content = {"proc/meminfo": "MemTotal: 16384 kB\nMemAvailable: 8192 kB\n"} | files
        for name, text in content.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "proc", tmp_path / "cgroup"

    return lay


def group(limit, usage, reclaimable):
    return {
        "memory.max": f"{limit}\n",
        "memory.current": f"{usage}\n",
        "memory.stat": f"anon 7\ninactive_file {reclaimable}\n",
    }


def laid(lay, folder, files):
    return lay(**{f"{folder}/{name}": text for name, text in files.items()})


def test_what_the_machine_has_is_free(machine):
    assert free_bytes(*machine()) == 8 * MB


def test_the_narrowest_group_that_holds_the_process_decides(machine):
    machine(**{"proc/self/cgroup": "0::/jobs/mine\n"})
    laid(machine, "cgroup/jobs/mine", group("max", 1 * MB, 0))
    assert free_bytes(*machine()) == 8 * MB
    laid(machine, "cgroup/jobs", group(4 * MB, 3 * MB, 512 * KB))
    assert free_bytes(*machine()) == MB + 512 * KB


def test_groups_of_the_first_version(machine):
    machine(**{"proc/self/cgroup": "9:cpu:/\n4:memory:/a\n"})
    files = {
        "memory.limit_in_bytes": f"{3 * MB}\n",
        "memory.usage_in_bytes": f"{MB}\n",
        "memory.stat": f"total_inactive_file {KB}\n",
    }
    assert free_bytes(*laid(machine, "cgroup/memory/a", files)) == 2 * MB + KB


def test_a_limit_of_the_process_decides(machine, monkeypatch):
    machine(**{"proc/self/status": "VmSize: 1024 kB\nVmData: 10 kB\nVmRSS: 100 kB\n"})
    limits = {resource.RLIMIT_AS: 3 * MB, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], limits[kind]))
    proc, cgroup = machine()
    assert free_bytes(proc, cgroup) == 2 * MB and resident_bytes(proc) == 100 * KB


def test_less_than_nothing_is_nothing(machine):
    machine(**{"proc/self/cgroup": "0::/\n"})
    assert free_bytes(*laid(machine, "cgroup", group(MB, 2 * MB, 0))) == 0


def test_what_was_freed_is_given_back():
    """In a process that keeps what it frees, as commands do."""
    script = f"""
from edgenas.system.threads import configure_threads
configure_threads()
from edgenas.system.free_memory import give_back, resident_bytes
blocks = [bytes([1]) * {MB} for _ in range(400)]
last, held = blocks.pop(), resident_bytes()
del blocks
kept = resident_bytes()
give_back()
print(held - kept, kept - resident_bytes())
"""
    freed, given = map(int, subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert freed < 50 * MB and given > 300 * MB
