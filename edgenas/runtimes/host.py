"""Facts of this machine that decide a latency. Everything is read below `root`, a directory laid out like Linux's `/`.

A fact that the platform does not tell is left out. Nothing here holds the host's name: only a hash of it.

Standard library only, in Python 3.9's syntax: this file also runs on devices, without the rest of edgenas.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
from pathlib import Path

ROOT = Path("/")  # tests lay out another one


def host(threads: int, root: Path = ROOT) -> dict[str, str | int | float]:
    """Return processor, cores, clocks, temperature and system; threads as requested and as this machine can give.

    Args:
        threads: as requested; more than there are cores are capped.
        root: where files of the system are looked for.
    """
    facts: dict[str, str | int | float | None] = {
        "processor": processor(root),
        "machine": platform.machine(),
        "os": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(root),
        "cpu_quota": _cpu_quota(root),
        "threads": capped_threads(threads, root),
        "threads_requested": threads,
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_mhz": _frequency_mhz(root),
        "temperature_c": _scaled(root / "sys/class/thermal/thermal_zone0/temp", 1e-3),
    }
    return {name: value for name, value in facts.items() if value is not None}


def host_name(root: Path = ROOT) -> str:
    """Return this machine's name in table paths, such as `amd-epyc-3f2a9c01`: the processor, and which one.

    The digits are a hash of the machine id (else of the host name), so that neither leaks.
    """
    # Marks, clocks and numbers of cores go: `Intel(R) Xeon(R) CPU @ 2.20GHz` is `intel-xeon`.
    slug = re.sub(r"\((r|tm)\)|@.*|\b(cpu|processor)\b|\d+-core", " ", processor(root).lower())
    slug = re.sub(r"[^a-z0-9]+", "-", slug).strip("-") or "unknown"
    # Two boards of one kind are two devices: cooling, memory and firmware differ.
    identity = _text(root / "etc/machine-id") or platform.node()
    return f"{slug}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def processor(root: Path = ROOT) -> str:
    """Return the processor's own name; on boards that hide it, the board's."""
    cpuinfo = _cpuinfo(root)
    return (
        cpuinfo.get("model name")
        or cpuinfo.get("hardware")
        or _text(root / "proc/device-tree/model")
        or platform.processor()
        or platform.machine()
    )


def usable_cores(root: Path = ROOT) -> int:
    """Return how many cores this process may use at once, at least 1: its affinity, within its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A container sees all cores of its host, and may use a part of their time.
    quota = _cpu_quota(root)
    return allowed if quota is None else max(1, min(allowed, math.floor(quota)))


def capped_threads(threads: int, root: Path = ROOT) -> int:
    """Return `threads`, or the usable cores if those are fewer: more threads than cores only wait for each other."""
    return min(threads, usable_cores(root))


def has_vnni(root: Path = ROOT) -> bool:
    """Tell whether the processor multiplies int8 without intermediate saturation (AVX-512 VNNI or AVX VNNI)."""
    return not {"avx512_vnni", "avx_vnni"}.isdisjoint(_cpuinfo(root).get("flags", "").split())


def needs_reduce_range(root: Path = ROOT, machine: str | None = None) -> bool:
    """Tell whether int8 weights must keep to 7 bits: x86 without VNNI adds pairs of u8 x s8 products in 16 bits."""
    return (machine or platform.machine()).lower() in ("x86_64", "amd64", "i686") and not has_vnni(root)


def _cpuinfo(root: Path) -> dict[str, str]:
    """Read the first processor's lines of /proc/cpuinfo, names in lower case."""
    pairs: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        pairs.setdefault(name.strip().lower(), value.strip())
    return pairs


def _cpu_quota(root: Path) -> float | None:
    """Return the CPUs that the control groups grant: the tightest on the way up (v2), or the container's (v1)."""
    limits = [_text(group / "cpu.max") for group in _own_groups(root)]
    # Version 1 has two files for what version 2 has in one line; without a limit they say -1 and `max`, which the
    # pattern below leaves out.
    legacy = root / "sys/fs/cgroup/cpu"
    limits.append(f"{_text(legacy / 'cpu.cfs_quota_us')} {_text(legacy / 'cpu.cfs_period_us')}")
    quotas = [
        int(quota) / int(period)
        for quota, period in re.findall(r"^(\d+) (\d+)$", "\n".join(filter(None, limits)), re.MULTILINE)
    ]
    return min(quotas, default=None)


def _own_groups(root: Path) -> list[Path]:
    """Return this process's cgroup v2 directory and those above it, up to the mount point."""
    mount = root / "sys/fs/cgroup"
    # Version 2 has the number 0 and no controllers; a limit of any group holds for all below it.
    own = re.search(r"^0::/?(.*)$", _text(root / "proc/self/cgroup") or "", re.MULTILINE)
    group = mount / (own.group(1) if own else "")
    return [path for path in (group, *group.parents) if path == mount or mount in path.parents]


def _frequency_mhz(root: Path) -> float | None:
    """Return the clock of the first core now, in MHz."""
    # The kernel counts in kHz; where a hypervisor hides that, cpuinfo still has MHz.
    scaling = _scaled(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1e-3)
    listed = _cpuinfo(root).get("cpu mhz")
    return scaling if scaling is not None or listed is None else float(listed)


def _scaled(path: Path, factor: float) -> float | None:
    """Return the integer in one of the kernel's files, times `factor`."""
    text = _text(path)
    return round(int(text) * factor, 3) if text and text.lstrip("-").isdigit() else None


def _text(path: Path) -> str | None:
    """Read a small file; None where it is absent or unreadable."""
    try:
        # Texts of a device tree end with a zero byte.
        return path.read_text(errors="replace").strip("\0 \n") or None
    except OSError:
        return None
