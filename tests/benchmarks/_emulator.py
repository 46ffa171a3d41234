"""ARM64 Pythons with numpy and onnxruntime, run by qemu-user; Debian and pip only.

Nothing is installed: packages are unpacked into a folder, where apt keeps lists of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PYTHON = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
PROCESSOR = "cortex-a76"  # a Raspberry Pi 5's
CORE = """\
processor\t: {}
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""


def emulated_python(cache: Path, suite: str) -> list[str]:
    """The command of an ARM64 Python of a Debian suite, made in folder `cache` at first use."""
    root, made, qemu = cache / suite, cache / suite / "made", cache / "qemu/usr/bin/qemu-aarch64-static"
    if not qemu.exists():
        own = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
        _unpack(cache / "qemu", "bookworm", own.stdout.strip(), ["qemu-user-static"])
    if not made.exists():
        _unpack(root, suite, "arm64", PYTHON)
        _install(next(root.glob("usr/bin/python3.*")).name.removeprefix("python"), root)
        # The emulator shows the host's own file, and x86 lines in it crash onnxruntime for ARM.
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc/cpuinfo").write_text("".join(CORE.format(core) for core in range(2)))
        made.touch()
    return [str(qemu), "-cpu", PROCESSOR, "-L", str(root), str(root / "usr/bin/python3")]


def _unpack(root: Path, suite: str, architecture: str, packages: Sequence[str]) -> None:
    """Unpack Debian packages, and all that they depend on, below `root`."""
    state = root / "var/apt"
    for part in ("lists/partial", "archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()  # nothing is installed: dependencies come too
    (state / "sources.list").write_text(f"deb {_mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": state,
        "Dir::State::Status": state / "status",
        "Dir::Cache": state,
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
    }
    apt = ["apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "install", "--download-only", "--no-install-recommends", *packages], check=True)
    for package in sorted(state.glob("archives/*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)


def _mirror() -> str:
    """The address from which this machine has Debian."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if not found:
        raise SystemExit("apt has no list of Debian's packages; run `apt-get update`")
    return found[0]


def _install(version: str, root: Path) -> None:
    """numpy and onnxruntime for that Python version on ARM64, and nothing that they ask for."""
    site = root / "usr/lib/python3/dist-packages"
    wanted = ["--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    wanted += [word for platform in PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *wanted]
    subprocess.run([*pip, "numpy", "onnxruntime"], check=True)
