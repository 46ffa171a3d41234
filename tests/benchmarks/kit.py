"""The device kit's runner where there are only numpy and onnxruntime: in environments of its own, and on ARM64.

    python -m tests.benchmarks.kit --cache runs/kit [--python PATH]... [--suite NAME]... [--dry]

Function alone; times are ignored. In each place every probe runs once on its fixed input, and its output is compared
with this machine's; the runner is killed with SIGKILL half-way and started again, and its results become tables.
ARM64 is emulated (see _emulator.py); bookworm's Python is 3.11, bullseye's 3.9. About a minute on 2 cores, once all is
there.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices import ingest as device_ingest
from edgenas.errors import NoisyMachine
from edgenas.exporters.bundle import TOLERANCES
from edgenas.graph.graph import Builder, Choice
from edgenas.graph.ops import Shape
from edgenas.runtimes import onnxruntime as runtime
from edgenas.spaces.base import SearchSpace
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.ingest import ingest
from edgenas.workflows.kit import kit as write_kit
from edgenas.workflows.kit_content import KitOptions
from tests.benchmarks._common import record
from tests.benchmarks._emulator import emulated_python

SUITES = ("bookworm", "bullseye")
LARGEST_DIFFERENCE = {"fp32": 1e-4, "int8": TOLERANCES["int8"]}  # as a share of the largest output
PATIENCE_S, ATTEMPTS = 600.0, 4


class Block(SearchSpace):
    """One inverted residual block: twelve ops of the kinds that the default space is made of, four networks."""

    name = "tests.benchmarks.kit"
    choices = (Choice("kernel", (3, 5)), Choice("act", ("relu", "hswish")))

    def emit(self, g: Builder) -> None:
        x = g.conv("stem", g.input, out=16, kernel=3, stride=2, act="relu")
        ends = {}
        for act in ("relu", "hswish"):
            h = g.conv(f"{act}.expand", x, out=32, act=act)
            kernels = {k: g.depthwise(f"{act}.k{k}", h, kernel=k, act=act) for k in (3, 5)}
            h = g.squeeze_excite(f"{act}.se", g.choose("kernel", kernels, name=f"{act}.kernel"), hidden=8)
            ends[act] = g.conv(f"{act}.project", h, out=16)
        x = g.add("add", x, g.choose("act", ends))
        g.linear("classifier", g.global_pool("pool", x), out=self.classes)


def build(shape: Shape, classes: int) -> Block:
    return Block(shape, classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for environments and emulated systems")
    parser.add_argument("--python", action="append", default=[sys.executable], help="one more Python, by its path")
    parser.add_argument("--suite", action="append", help="a Debian suite to emulate (default: bookworm, bullseye)")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    device_ingest.WORST_REPEAT_ERROR = np.inf  # an emulator's times are nobody's
    with tempfile.TemporaryDirectory() as temporary:
        kit = make_kit(Path(temporary))
        probes = json.loads((kit / "manifest.json").read_text())["probes"]
        lines = [
            f"{len(probes)} probes; aarch64 is emulated; differences are from the outputs of onnxruntime "
            f"{runtime.version()} here, as a share of the largest output",
            "",
            "| machine | Python | numpy | onnxruntime | difference fp32 | int8 | killed after | resumed | tables |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for python in arguments.python:
            lines.append(row([*fresh_environment(cache, python), "-I"], kit, probes))
        for suite in arguments.suite or SUITES:
            lines.append(row([*emulated_python(cache, suite), "-I"], kit, probes))
    if arguments.dry:
        print("\n".join(lines))
    else:
        record("The device kit with numpy and onnxruntime alone, and on ARM64", lines)
    if any("| NO" in line for line in lines):
        raise SystemExit(1)


def make_kit(folder: Path) -> Path:
    """A tiny kit, unpacked."""
    config, path = make_config({"space": Block.name}), folder / "kit.zip"
    options = KitOptions((3, 32, 32), 10, nets=3, tests=1, precisions=tuple(TOLERANCES))
    write_kit(config, SilentReporter(), options, out=path, page=False)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "kit")
    return folder / "kit"


def fresh_environment(cache: Path, python: str) -> list[str]:
    """A virtual environment of that Python with numpy and onnxruntime, and nothing that they ask for."""
    version = subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
    folder = cache / f"python-{version}"
    if not (folder / "made").exists():
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "numpy", "onnxruntime"], check=True)
        (folder / "made").touch()
    return [str(folder / "bin/python")]


def row(python: list[str], kit: Path, probes: list[dict[str, Any]]) -> str:
    """What one place made of the kit, as a line of the table; what should not be begins with NO."""
    with tempfile.TemporaryDirectory() as temporary:
        found = Path(temporary, "outputs.npz")
        outputs = [*python, str(Path(__file__).parent / "_outputs.py"), str(kit), str(found)]
        facts = subprocess.run(outputs, check=True, stdout=subprocess.PIPE, text=True, cwd=temporary).stdout.strip()
        worst = differences(kit, probes, found)
    cells = [f"{'' if worst[p] <= most else 'NO: '}{worst[p]:.1e}" for p, most in LARGEST_DIFFERENCE.items()]
    for attempt in range(ATTEMPTS):
        try:
            cells += measured(python, kit, probes, machine=facts.partition(" ")[0])
            break
        except NoisyMachine:  # times are not what is looked at, yet no table is made of noise
            if attempt == ATTEMPTS - 1:
                raise
    return f"| {facts} | {' | '.join(cells)} |"


def measured(python: list[str], kit: Path, probes: list[dict[str, Any]], machine: str) -> list[str]:
    """Kill the runner, start it again, make tables: the last cells of the line."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, total = Path(temporary), device_ingest.FEWEST_ROUNDS * len(probes)
        results = folder / "results.jsonl"
        few = ["--rounds", str(device_ingest.FEWEST_ROUNDS), "--patience", "1"]
        runner = [*python, str(kit / "run.py"), *few, "--name", "board", "--out", str(results)]
        killed_after = kill_half_way(runner, results, total)
        subprocess.run(runner, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        made = tables(results, folder / "tables", probes, machine)
        return [f"{killed_after} of {total} rounds", once_each(results, total), made]


def differences(kit: Path, probes: list[dict[str, Any]], found: Path) -> dict[str, float]:
    """The largest difference of a probe's output from this machine's, over its largest output, by precision."""
    worst = dict.fromkeys(LARGEST_DIFFERENCE, 0.0)
    with np.load(found) as outputs:
        for i, probe in enumerate(probes):
            expected = runtime.open(kit / probe["file"]).run()[0]
            difference = np.abs(outputs[str(i)] - expected).max() / np.abs(expected).max()
            worst[probe["precision"]] = float(np.maximum(worst[probe["precision"]], difference))  # nan stays
    return worst


def kill_half_way(runner: list[str], results: Path, total: int) -> int:
    """Start, SIGKILL once half of the rounds are on disk; how many were."""
    child = subprocess.Popen(runner, cwd=results.parent)
    until = time.monotonic() + PATIENCE_S
    while not results.exists() or results.read_bytes().count(b"\n") <= total // 2:
        if child.poll() is not None or time.monotonic() > until:
            child.kill()
            raise SystemExit(f"{' '.join(runner)}: could not be killed half-way, exit code {child.wait()}")
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    return results.read_bytes().count(b"\n") - 1


def once_each(results: Path, total: int) -> str:
    """Whether each probe has each slot exactly once, and none failed."""
    lines = [json.loads(line) for line in results.read_text().splitlines()[1:]]
    failed = [line["error"] for line in lines if "error" in line]
    slots = {(line["probe"], line["slot"]) for line in lines}
    if failed or not len(lines) == len(slots) == total:
        return f"NO: {failed[0] if failed else f'{len(lines)} lines of {len(slots)} rounds'}"
    return "every round once"


def tables(results: Path, folder: Path, probes: list[dict[str, Any]], machine: str) -> str:
    """Whether the results become one whole table for each precision, of that machine."""
    made = [table for _, table in ingest(results, out=folder)]
    ops = sum(probe["kind"] == "op" for probe in probes)
    machines = {table.header["machine"] for table in made}
    if sum(len(table.ops) for table in made) != ops or machines != {machine}:
        return f"NO: {len(made)} tables of {', '.join(machines)}"
    return " and ".join(table.header["precision"] for table in made)


if __name__ == "__main__":
    main()
