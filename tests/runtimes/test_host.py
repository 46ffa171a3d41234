"""Host facts, read from file trees laid out like Linux's."""

import json
import os
import platform

import pytest

from edgenas.runtimes import host

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    "files, quota",
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1.0),
        ({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        ({"sys/fs/cgroup/cpu.max": "1000000 100000\n"}, 10.0),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "max 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/cpu.max": "300000 100000\n",
            },
            2.0,
        ),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    ],
)
def test_a_containers_quota_limits_the_cores(tmp_path, files, quota):
    root = tree(tmp_path, files)
    facts = host.host(64, root)
    assert facts.get("cpu_quota") == quota
    usable = CORES if quota is None else max(1, min(CORES, int(quota)))
    assert facts["usable_cores"] == facts["threads"] == usable
    assert facts["threads_requested"] == 64
    assert host.capped_threads(1, root) == 1


@pytest.mark.parametrize(
    "machine, flags, vnni, reduce_range",
    [
        ("x86_64", "sse4_1 avx2", False, True),
        ("AMD64", "avx2 avx512f avx512bw", False, True),
        ("x86_64", "avx2 avx512f avx512_vnni", True, False),
        ("x86_64", "avx2 avx_vnni", True, False),
        ("x86_64", "", False, True),
        ("aarch64", "", False, False),
        ("arm64", "", False, False),
    ],
)
def test_reduce_range_is_for_x86_without_vnni(tmp_path, machine, flags, vnni, reduce_range):
    root = tree(tmp_path, {"proc/cpuinfo": f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: none\n"})
    assert host.has_vnni(root) == vnni
    assert host.needs_reduce_range(root, machine) == reduce_range


@pytest.mark.parametrize(
    "model, slug",
    [
        ("AMD EPYC 7B13", "amd-epyc-7b13"),
        ("AMD EPYC 7763 64-Core Processor", "amd-epyc-7763"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "intel-xeon"),
        ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "intel-core-i7-8650u"),
        ("Процессор", "unknown"),
    ],
)
def test_a_host_is_named_by_processor_and_a_hash(tmp_path, model, slug):
    root = tree(tmp_path, {"proc/cpuinfo": f"model name\t: {model}\n", "etc/machine-id": "c0ffee\n"})
    name = host.host_name(root)
    assert name.rsplit("-", 1)[0] == slug
    assert "c0ffee" not in name and len(name.rsplit("-", 1)[1]) == 8
    assert name == host.host_name(root)
    (root / "etc/machine-id").write_text("another\n")
    assert host.host_name(root) != name


def test_boards_without_a_processor_name_give_their_own(tmp_path):
    root = tree(tmp_path, {"proc/cpuinfo": "processor: 0\n", "proc/device-tree/model": "Raspberry Pi 5 Model B\0"})
    assert host.processor(root) == "Raspberry Pi 5 Model B"
    assert host.host_name(root).startswith("raspberry-pi-5-model-b-")


def test_clocks_and_temperature_are_read_where_present(tmp_path):
    files = {
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/class/thermal/thermal_zone0/temp": "48250\n",
    }
    facts = host.host(1, tree(tmp_path, files))
    assert (facts["governor"], facts["frequency_mhz"], facts["temperature_c"]) == ("performance", 2400.0, 48.25)


def test_absent_facts_are_left_out(tmp_path):
    facts = host.host(1, tmp_path)
    assert {"governor", "frequency_mhz", "temperature_c", "cpu_quota"}.isdisjoint(facts)
    assert all(value is not None for value in facts.values())


def test_nothing_names_this_host():
    facts = json.dumps(host.host(1)) + host.host_name()
    assert len(platform.node()) < 4 or platform.node() not in facts
