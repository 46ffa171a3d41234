"""The kit, its runner in a process of its own, and what becomes of its results."""

import ast
import io
import json
import math
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest

from edgenas.devices import ingest, kit, runner
from edgenas.errors import NoisyMachine, TableError, UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows import kits
from edgenas.workflows.config import make_config

ROUNDS = 6
REQUEST = {"shape": (3, 8, 8), "classes": 4, "nets": 5, "tests": 3, "precisions": ("fp32", "int8"), "page": False}


def make(path, seed=0, **changes):
    config = make_config({"space": "tests._toys", "seed": seed})
    return kits.kit(config, SilentReporter(), **{**REQUEST, "only": {"width": ["4"]}, **changes}, out=path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A kit, unpacked."""
    folder = tmp_path_factory.mktemp("kit")
    make(folder / "kit.zip")
    with zipfile.ZipFile(folder / "kit.zip") as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def command(folder, out, *more):
    few = ["--rounds", str(ROUNDS), "--patience", "1"]
    return [sys.executable, str(folder / "run.py"), *few, "--name", "board", "--out", str(out), *more]


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "results.jsonl"
    done = subprocess.run(command(folder, out), capture_output=True, text=True, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert "edgenas ingest results.jsonl" in done.stdout and "100%" in done.stderr
    return out


@pytest.fixture(autouse=True)
def any_noise(monkeypatch):
    """A few rounds beside other tests repeat as they may."""
    monkeypatch.setattr(ingest, "WORST_REPEAT_ERROR", math.inf)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_same_kit_is_the_same_file(tmp_path):
    first, second, other = (make(tmp_path / f"{i}.zip", seed=seed) for i, seed in enumerate((0, 0, 1)))
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    assert first["kit"] == second["kit"] == kit.read_manifest(tmp_path / "0.zip")["kit"] != other["kit"]


def test_each_op_is_probed_once_in_each_precision_and_the_reference_comes_first(folder):
    probes = kit.read_manifest(folder)["probes"]
    assert probes[0]["kind"] == "reference"
    for precision in ("fp32", "int8"):
        kinds = [probe["kind"] for probe in probes if probe["precision"] == precision]
        keys = [probe["id"] for probe in probes if probe["kind"] == "op" and probe["precision"] == precision]
        assert len(keys) == len(set(keys)) > 5
        assert (kinds.count("empty"), kinds.count("net"), kinds.count("test")) == (1, 5, 3)


def test_an_option_that_is_none_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"width has no option '5'; it has 4, 8"):
        make(tmp_path / "kit.zip", only={"width": ["5"]})


def test_the_code_needs_python_39_numpy_and_onnxruntime_alone(folder):
    for file in [*(folder / "code").rglob("*.py"), folder / "run.py"]:
        tree = ast.parse(file.read_text(), feature_version=(3, 9))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        foreign = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
        assert foreign <= {"edgenas", "numpy", "onnxruntime"}, file
        for name in imported:
            if name.startswith("edgenas"):
                path = folder / "code" / name.replace(".", "/")
                assert path.is_dir() or path.with_suffix(".py").exists(), f"{file} imports {name}"
    checked = subprocess.run(
        [sys.executable, "-c", "import vermin; vermin.main()", "-t=3.9-", "--violations", "--no-tips", str(folder)],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_results_become_one_table_for_each_precision(results, tmp_path):
    written = dict(kits.ingest(results, out=tmp_path))
    assert {str(path.relative_to(tmp_path)) for path in written} == {
        "board/onnxruntime-1t-fp32.csv",
        "board/onnxruntime-1t-int8.csv",
    }
    for table in written.values():
        assert len(table.ops) > 5 and len(table.nets) == 8 and table.device == "board"
        assert re.fullmatch(r"3 networks, mean error [\d.]+%, \d+% within 10%", table.header["test"])
        assert table.header["kit"] and table.header["processor"] and float(table.header["repeat_error"]) >= 0
        assert all(row.ms > 0 and row.bytes > 0 for row in table.ops.values())
    fp32, int8 = written.values()
    assert fp32.ops.keys() == int8.ops.keys()


def test_one_precision_can_be_measured_alone(folder, tmp_path):
    out = tmp_path / "results.jsonl"
    options = Namespace(threads=1, precision="fp32", name="board", out=out, rounds=ROUNDS, patience=1)
    runner.measure(folder, options, io.StringIO())
    assert [path.name for path, _ in kits.ingest(out, out=tmp_path)] == ["onnxruntime-1t-fp32.csv"]


def test_killed_half_way_it_goes_on_and_measures_nothing_twice(folder, tmp_path):
    out = tmp_path / "results.jsonl"
    child = subprocess.Popen(command(folder, out), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and (not out.exists() or out.read_bytes().count(b"\n") < 50):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = lines_of(out)
    with out.open("a") as file:
        file.write('{"probe": 3, "sess')  # as a power cut leaves it
    done = subprocess.run(command(folder, out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = lines_of(out)
    assert after[: len(before)] == before
    rounds = [(line["probe"], line["slot"]) for line in after[1:]]
    assert len(rounds) == len(set(rounds)) == ROUNDS * len(kit.read_manifest(folder)["probes"])
    assert len(kits.ingest(out, out=tmp_path)) == 2


@pytest.mark.parametrize("spoil", ["manifest.json", "probes/0003.onnx"])
def test_a_damaged_kit_is_not_measured(folder, tmp_path, spoil):
    copy = shutil.copytree(folder, tmp_path / "kit")
    content = (copy / spoil).read_bytes()
    (copy / spoil).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    done = subprocess.run(command(copy, tmp_path / "out.jsonl"), capture_output=True, text=True)
    assert done.returncode == 4 and "unpack" in done.stderr and "Traceback" not in done.stderr


def test_results_of_another_device_are_not_added_to(folder, results, tmp_path):
    out = write(tmp_path / "results.jsonl", lines_of(results)[:5])
    done = subprocess.run([*command(folder, out), "--name", "other"], capture_output=True, text=True)
    assert done.returncode == 2 and "begun with device board, this is other" in done.stderr


def _header(lines, **changes):
    head = {**lines[0], "header": {**lines[0]["header"], **changes}}
    return [head, *lines[1:]]


def _round(lines, **changes):
    return [*lines[:-1], {**lines[-1], **changes}]


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda lines: lines + _header(lines, device="other"), "line .*device is other, before it was board"),
        (lambda lines: lines + lines[1:], "twice: two measurements"),
        (lambda lines: _header(lines, unit="s"), "unit is 's', expected ms"),
        (lambda lines: [{**lines[0], "kit": "f" * 64}, *lines[1:]], "another kit"),
        (lambda lines: _header(lines, device="../../elsewhere"), "device '../../elsewhere' is no name"),
        (lambda lines: _round(lines, ms=float("nan")), "no plausible round"),
        (lambda lines: _round(lines, ms=-1.0), "no plausible round"),
        (lambda lines: _round(lines, ms=1e9), "no plausible round"),
        (lambda lines: _round(lines, probe=10_000), "no plausible round"),
        (lambda lines: _round(lines, runs="many"), "not a round"),
        (lambda lines: lines[1:], "begins with its header"),
        (lambda lines: lines[:1], "no results in it"),
        (lambda lines: [line for line in lines if line.get("slot", 0) < 4], "not finished"),
        (lambda lines: [lines[0], [1, 2], *lines[1:]], "line 2: not a line of results"),
    ],
)
def test_results_that_cannot_be_trusted_are_refused(results, tmp_path, change, reason):
    path = write(tmp_path / "spoilt.jsonl", change(lines_of(results)))
    with pytest.raises(TableError, match=reason):
        kits.ingest(path, out=tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_results_of_another_kit_are_refused(results, tmp_path):
    make(tmp_path / "other.zip", seed=1)
    with pytest.raises(TableError, match="another kit"):
        kits.ingest(results, kit=tmp_path / "other.zip", out=tmp_path)


def test_rows_that_do_not_repeat_make_no_table(results, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "WORST_REPEAT_ERROR", -1.0)
    with pytest.raises(NoisyMachine, match="repeat error"):
        kits.ingest(results, out=tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_noisy_results_make_no_table(results, tmp_path):
    lines = lines_of(results)
    noisy = [lines[0], *({**line, "clean_share": 0.1} for line in lines[1:])]
    with pytest.raises(NoisyMachine):
        kits.ingest(write(tmp_path / "noisy.jsonl", noisy), out=tmp_path / "tables")
    assert not Path(tmp_path / "tables").exists()


def test_a_busy_device_is_waited_for_then_given_up(folder, tmp_path, monkeypatch):
    class Busy:
        def run(self, x=None):
            return []

        def rounds(self, n, ms):
            return [Round(1.0, 10, clean_share=0.1)]

        def close(self):
            pass

    monkeypatch.setattr(runner.runtime, "open", lambda *_: Busy())
    monkeypatch.setattr(runner, "PAUSES_S", (0.0, 0.0))
    options = Namespace(threads=1, precision="fp32", name="board", out=tmp_path / "r.jsonl", rounds=ROUNDS, patience=1)
    with pytest.raises(NoisyMachine, match="10% of the timing samples"):
        runner.measure(folder, options, io.StringIO())
    assert len(lines_of(tmp_path / "r.jsonl")) == 1
