"""Run the same commands with the code of an older commit and with that of today, and compare what they leave.

    python -m tests.benchmarks.unchanged
    python -m tests.benchmarks.unchanged --base edaa239 --every --output runs/unchanged

Latencies come from a table that edgenas ships, so nothing is timed; one thread and fixed seeds leave no other chance.
Trials, accuracies, prices, weights and exported files must then be equal bit by bit. What has another name today is in
the tables below, and nowhere else. About four minutes on two cores, `--every` about ten.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks._common import record

ROOT = Path(__file__).resolve().parents[2]
BASE = "edaa239"  # the last commit before the modules moved into the folders of today
DEVICE = "--device amd-epyc-zen4/onnxruntime-1t-fp32"

# 0.15 ms is 29 % of the largest network's latency by this table: it binds. 240 images keep a run below 20 seconds.
SEARCH = (
    f"search --data images.npz {DEVICE} --budget-ms 0.15 --trials 6 --batch 2 --finalists 1 --supernet-epochs 1 "
    "--search-epochs 2 --scratch-epochs 1 --final-epochs 1 --seed 3 --train-device cpu"
)
RUNS = {
    **{name: f"{SEARCH} --strategy {name}" for name in ("random", "evolution", "darts", "tunas", "milp")},
    "specialize": f"specialize random {DEVICE} --budget-ms 0.1 --trials 4 --batch 2 --finalists 1 --final-epochs 1",
}
MORE_RUNS = {
    **{name: f"{SEARCH} --strategy {name}" for name in ("predictor", "ga", "local", "es", "gep", "reinforce")},
    **{name: f"{SEARCH} --strategy {name}" for name in ("gdas", "proxyless", "enas", "oneshot")},
    "mnasnet": f"{SEARCH} --preset mnasnet --shape-choices 1",
    "two-limits": f"{SEARCH} --strategy ga --max-params 1e5 --max-file-mb 0.5",
}
PREDICT = f"predict --samples 40 --seed 5 {DEVICE} --shape 1x32x32 --estimate-missing --json"
KIT = (
    "kit --space mbconv --only width=0.5 --only resolution=28 --shape 1x32x32 --nets 8 --tests 2 --seed 3 "
    "--precision fp32 --no-page -o kit.zip"
)

# The words of the command line of today, and what the code of `BASE` calls them.
OLD_FLAGS = {"--data images.npz": "--data npz --data-root images.npz", "--shape-choices": "--statics"}
# Values of JSON files that have another name today, by their path.
RENAMED = {"/model": "/file"}
# What the clock says, what names the version that wrote it, and hashes of files that are compared or hold such.
UNLIKE = {"seconds", "versions", "MODEL_CARD.md", "test_reads"}

OUTPUTS = """
import json, sys, numpy
sys.path.insert(0, "code")
from edgenas.runtimes import onnxruntime
probes = json.load(open("manifest.json"))["probes"]
numpy.savez("outputs.npz", *[onnxruntime.open(__import__("pathlib").Path(p["file"])).run()[0] for p in probes[::8]])
"""


@dataclass(frozen=True)
class Compared:
    """One kind of thing that a command left: how many there are, and those that differ."""

    run: str
    what: str
    number: int
    different: list[str]


@dataclass(frozen=True)
class Side:
    """One version of the code, and the folder in which its commands run.

    Args:
        code: the folder that holds its `edgenas`.
        work: where its runs are; what is there already is not run again.
        flags: what its command line calls the flags of today.
    """

    code: Path
    work: Path
    flags: Mapping[str, str]

    def run(self, name: str, command: str, *, output: str | None = None) -> None:
        """Run one command of edgenas, unless the file or folder `output` that it makes is there; keep its stdout.

        Raises:
            SystemExit: the command failed.
        """
        printed = self.work / f"{name}.out"
        if printed.exists():
            return
        for today, before in self.flags.items():
            command = command.replace(today, before)
        where = ["--output", output] if output else []
        self._python(["-m", "edgenas", *command.split(), *where, "--quiet"], printed, self.work, name)

    def outputs(self) -> None:
        """Unpack the kit, and run every eighth of its probes on its fixed input by the code that is in the kit."""
        if not (self.work / "kit").exists():
            with zipfile.ZipFile(self.work / "kit.zip") as archive:
                archive.extractall(self.work / "kit")
        self._python(["-c", OUTPUTS], self.work / "outputs.out", self.work / "kit", "outputs of the kit")

    def _python(self, arguments: list[str], printed: Path, folder: Path, name: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(self.code), "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
        done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name} failed in {self.work}:\n{done.stderr[-2000:]}")
        printed.write_text(done.stdout, encoding="utf-8")


def main() -> int:
    """Print what was compared as a table, and record it; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=BASE, help="commit to compare with (default: %(default)s)")
    parser.add_argument("--every", action="store_true", help="run every strategy, a preset and two limits as well")
    parser.add_argument("--only", nargs="+", metavar="RUN", help="only these runs, by name")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    parser.add_argument("--output", type=Path, help="keep what both versions leave in this folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() if args.output is None else nullcontext(args.output) as folder:
        found = compare(Path(folder).resolve(), base=args.base, every=args.every, only=args.only)
    if args.dry:
        print(table(found))
    else:
        record(f"What is equal to {args.base}, bit by bit", [table(found)])
    return int(any(item.different for item in found))


def compare(folder: Path, *, base: str = BASE, every: bool = False, only: list[str] | None = None) -> list[Compared]:
    """Run all commands with both versions, and compare.

    Args:
        folder: where both versions work.
        base: the older commit, which must be in this repository's history.
        every: whether `MORE_RUNS` are run, too.
        only: names of the runs to make; None for all, with the kit and the predictions.
    """
    before = Side(export(base, folder / "code"), folder / "before", OLD_FLAGS)
    today = Side(ROOT, folder / "today", {})
    runs = {name: text for name, text in (RUNS | (MORE_RUNS if every else {})).items() if not only or name in only}

    def all_commands(side: Side) -> None:
        side.work.mkdir(parents=True, exist_ok=True)
        write_images(side.work / "images.npz")
        for name, command in runs.items():
            side.run(name, command, output=name)
        if not only:
            side.run("predict", PREDICT)
            side.run("kit", KIT)
            side.outputs()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(all_commands, (before, today)))
    found = [item for name in runs for item in compare_runs(name, before.work / name, today.work / name)]
    return found if only else [*found, *compare_predictions(before, today), *compare_kits(before, today)]


def table(found: list[Compared]) -> str:
    """Return the comparison as a Markdown table."""
    lines = ["| run | compared | number | equal |", "|---|---|---|---|"]
    for item in found:
        first = "; ".join(item.different[:3])
        verdict = f"NO, {len(item.different)} differ: {first}" if item.different else "yes"
        lines.append(f"| {item.run} | {item.what} | {item.number:,} | {verdict} |")
    return "\n".join(lines)


def export(commit: str, folder: Path) -> Path:
    """Write a commit's files to a folder, unless they are there; returns the folder."""
    if not folder.exists():
        packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
    return folder


def write_images(path: Path) -> None:
    """Write 240 of scikit-learn's digits, 32 pixels a side, as an .npz data set."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    small = (pixels.reshape(-1, 8, 8)[:240] * (255 / 16)).round().astype(np.uint8)
    np.savez(path, images=small.repeat(4, axis=1).repeat(4, axis=2), labels=labels[:240])


def compare_runs(name: str, before: Path, today: Path) -> Iterator[Compared]:
    """Compare two run folders: trials, result, manifest, weights and the files that an app gets."""
    trials = [_lines(run / "trials.jsonl") for run in (before, today)]
    yield compared(name, "values of trials", *map(leaves, trials))
    yield compared(name, "values of the result", *(leaves(_result(run)) for run in (before, today)))
    yield compared(name, "values of the manifest", *(leaves(_json(run / "manifest.json")) for run in (before, today)))
    yield compared(name, "tensors of checkpoints", *(_tensors(run) for run in (before, today)))
    files = ("model.onnx", "model.int8.onnx", "labels.txt", "golden.npz")
    yield compared(name, "files, byte by byte", *({f: _bytes(run / f) for f in files} for run in (before, today)))
    yield compared(name, "lines of the table", *(_fields_and_rows(run / "table.csv") for run in (before, today)))


def compare_predictions(before: Side, today: Side) -> Iterator[Compared]:
    """Compare what `predict` printed."""
    yield compared("predict", "values", *(leaves(_json(side.work / "predict.out")) for side in (before, today)))


def compare_kits(before: Side, today: Side) -> Iterator[Compared]:
    """Compare the probes of two kits, their order and entries, and what they give on the inputs of their own code."""
    manifests = [_json(side.work / "kit" / "manifest.json") for side in (before, today)]
    yield compared("kit", "values of the manifest, in order", *map(leaves, manifests))
    probes = [{p.name: p.read_bytes() for p in (side.work / "kit/probes").iterdir()} for side in (before, today)]
    yield compared("kit", "probes, byte by byte", *probes)
    outputs = []
    for side in (before, today):
        with np.load(side.work / "kit/outputs.npz") as file:
            outputs.append({key: file[key].tobytes() for key in file.files})
    yield compared("kit", "outputs of probes on their inputs", *outputs)


def compared(run: str, what: str, before: Mapping[str, Any], today: Mapping[str, Any]) -> Compared:
    """Compare values by name; a name that only today's version knows is no difference."""
    return Compared(run, what, len(before), [name for name, value in before.items() if today.get(name) != value])


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Return all values in a JSON document by their path, under the names of today."""
    inner: Callable[[Any], Any] = dict.items if isinstance(value, dict) else enumerate
    if not isinstance(value, dict | list):
        return {RENAMED.get(path, path): repr(value) if isinstance(value, bool) else value}  # 2 equals 2.0, not True
    found: dict[str, Any] = {}
    for key, item in inner(value):
        if key not in UNLIKE:
            found |= leaves(item, f"{path}/{key}")
    return found


def _result(run: Path) -> dict[str, Any]:
    """The result, with the points of front and delivered model by architecture.

    The older version had the delivered model among those of the front, even where another point beats it in all.
    """
    found: dict[str, Any] = _json(run / "result.json")
    points = [*found["front"], *filter(None, [found.get("delivered")])]
    return {**found, "front": {point["arch"]: point for point in points}}


def _tensors(run: Path) -> dict[str, bytes]:
    """Return the tensors of all checkpoints of a run by file and key."""
    import torch

    found: dict[str, bytes] = {}

    def walk(value: Any, file: str, key: str) -> None:
        if isinstance(value, torch.Tensor):
            found[f"{file}{key}"] = f"{value.dtype} {tuple(value.shape)} ".encode() + value.numpy().tobytes()
        elif isinstance(value, dict | list | tuple):
            for name, item in value.items() if isinstance(value, dict) else enumerate(value):
                walk(item, file, f"{key}/{name}")

    for path in sorted(run.glob("*.pt")):
        _, _, content = path.read_bytes().partition(b"\n")  # the first line is the file's hash
        walk(torch.load(io.BytesIO(content), weights_only=True), path.name, "")
    return found


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _fields_and_rows(path: Path) -> dict[str, str]:
    """Return the header of a table by field, and its rows by their place."""
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = [line for line in lines if line.startswith("#")]
    return {line.partition(":")[0]: line for line in fields} | {
        str(place): line for place, line in enumerate(lines[len(fields) :])
    }


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
