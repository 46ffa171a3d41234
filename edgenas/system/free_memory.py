"""How much memory this process may still take: what the machine, its control group and its own limits leave."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from edgenas.system.threads import of_glibc

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
ASSUMED_FREE = 0.5  # share of the whole memory, on systems that do not say how much of it is free


def free_bytes(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """Return the bytes that this process may still take, or None where the system does not say.

    Args:
        proc: where the kernel shows processes.
        cgroup: where control groups are mounted, of version 1 or 2.
    """
    found = [*_of_the_machine(proc), *_of_control_groups(proc, cgroup), *_of_limits(proc)]
    return max(0, min(found)) if found else None


def resident_bytes(proc: Path = PROC) -> int:
    """Return the memory that this process holds now; 0 where the system does not say."""
    return _status(proc).get("VmRSS", 0)


def give_back() -> None:
    """Give the system the memory back that this process has freed: the C library keeps it, see `configure_threads`."""
    gc.collect()
    trim = of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_the_machine(proc: Path) -> Iterator[int]:
    available = _table(proc / "meminfo").get("MemAvailable")
    if available is not None:
        yield available
    elif sys.platform != "win32" and "SC_PHYS_PAGES" in os.sysconf_names:
        yield int(ASSUMED_FREE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _of_control_groups(proc: Path, cgroup: Path) -> Iterator[int]:
    """Yield what each group that holds this process leaves: a container has the memory of its group, not the host's."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        number, controllers, name = line.split(":", 2)
        if number == "0":  # version 2, where all controllers share one tree
            yield from _rooms(cgroup, name, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _rooms(cgroup / "memory", name, *names)


def _rooms(mount: Path, name: str, limit: str, usage: str, reclaimable: str) -> Iterator[int]:
    # A group's limit holds for all below it. In a container the mount may show the group itself as its root.
    group = mount / name.strip("/")
    for folder in dict.fromkeys([group, *group.parents]):
        if folder == mount or mount in folder.parents:
            bound, used = _text(folder / limit).strip(), _text(folder / usage).strip()
            if bound.isdigit() and used.isdigit():
                # Pages of files that nobody uses count as used, and are given back when memory is short.
                statistics = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
                yield int(bound) - int(used) + int(statistics.get(reclaimable, 0))


def _of_limits(proc: Path) -> Iterator[int]:
    """Yield what `ulimit -v` and `ulimit -d` leave."""
    if sys.platform == "win32":
        return
    import resource

    status = _status(proc)
    for kind, used in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        bound, _ = resource.getrlimit(kind)
        if bound != resource.RLIM_INFINITY:
            yield bound - status.get(used, 0)


def _status(proc: Path) -> dict[str, int]:
    return _table(proc / "self" / "status")


def _table(path: Path) -> dict[str, int]:
    """Read lines such as `MemAvailable:   123 kB`, in bytes."""
    fields = (line.split() for line in _text(path).splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in fields if len(words) == 3 and words[2] == "kB"}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
