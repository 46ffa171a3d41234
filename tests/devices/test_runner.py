"""The runner of a kit: killed, damaged, busy, or on another device."""

import io
import shutil
import signal
import subprocess
import time
from argparse import Namespace
from collections import Counter

import pytest

from edgenas.devices import runner
from edgenas.devices.kit import read_manifest
from edgenas.errors import EnvironmentFault, NoisyMachine, UsageError
from edgenas.runtimes.base import Round
from edgenas.workflows.ingest import ingest as to_tables
from tests.devices.conftest import ROUNDS, command, lines_of, write

pytestmark = pytest.mark.usefixtures("any_noise")


def test_one_precision_can_be_measured_alone(kit_folder, tmp_path):
    out = tmp_path / "results.jsonl"
    options = Namespace(threads=1, precision="fp32", name="board", out=out, rounds=ROUNDS, patience=1)
    runner.measure(kit_folder, options, io.StringIO())
    assert [path.name for path, _ in to_tables(out, out=tmp_path)] == ["onnxruntime-1t-fp32.csv"]


def test_killed_half_way_it_goes_on_and_measures_nothing_twice(kit_folder, tmp_path):
    out = tmp_path / "results.jsonl"
    child = subprocess.Popen(command(kit_folder, out), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and (not out.exists() or out.read_bytes().count(b"\n") < 50):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = lines_of(out)
    with out.open("a") as file:
        file.write('{"probe": 3, "sess')  # as a power cut leaves it
    done = subprocess.run(command(kit_folder, out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = lines_of(out)
    assert after[: len(before)] == before
    rounds = [(line["probe"], line["slot"]) for line in after[1:]]
    assert len(rounds) == len(set(rounds)) == ROUNDS * len(read_manifest(kit_folder)["probes"])
    assert len(to_tables(out, out=tmp_path)) == 2


def test_what_does_not_fit_in_memory_together_is_measured_in_parts(kit_folder, tmp_path, monkeypatch):
    """On a board with little memory, each part has rounds of its own, with the reference, and can be resumed."""
    probes = read_manifest(kit_folder)["probes"]
    most, opened = [], set()
    original = runner.runtime.open

    def counted(file, threads):
        session = original(file, threads)
        opened.add(session)
        most.append(len(opened))
        close = session.close
        session.close = lambda: (opened.discard(session), close())
        return session

    monkeypatch.setattr(runner.runtime, "open", counted)
    monkeypatch.setattr(runner, "_usable_bytes", lambda: runner.SESSION_BYTES * len(probes) / 4)
    out = tmp_path / "results.jsonl"
    options = Namespace(threads=1, precision="all", name="board", out=out, rounds=ROUNDS, patience=1)
    runner.measure(kit_folder, options, io.StringIO())
    assert max(most) < len(probes) / 3
    lines = lines_of(out)[1:]
    slots = {line["slot"] for line in lines}
    assert {line["slot"] for line in lines if line["probe"] == 0} == slots, "the reference is in every round"
    counts = Counter(line["probe"] for line in lines)
    assert set(counts) == set(range(len(probes))) and {n for i, n in counts.items() if i} == {ROUNDS}
    before = out.read_bytes()
    runner.measure(kit_folder, options, io.StringIO())
    assert out.read_bytes() == before, "nothing is left to measure"
    assert len(to_tables(out, out=tmp_path)) == 2


@pytest.mark.parametrize("spoil", ["manifest.json", "probes/0003.onnx"])
def test_a_damaged_kit_is_not_measured(kit_folder, tmp_path, spoil):
    copy = shutil.copytree(kit_folder, tmp_path / "kit")
    content = (copy / spoil).read_bytes()
    (copy / spoil).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    done = subprocess.run(command(copy, tmp_path / "out.jsonl"), capture_output=True, text=True)
    assert done.returncode == 3 and "unpack" in done.stderr and "Traceback" not in done.stderr


def test_results_of_another_device_are_not_added_to(kit_folder, kit_results, tmp_path):
    out = write(tmp_path / "results.jsonl", lines_of(kit_results)[:5])
    done = subprocess.run([*command(kit_folder, out), "--name", "other"], capture_output=True, text=True)
    assert done.returncode == 2 and "begun with device board, this is other" in done.stderr


def test_a_busy_device_is_waited_for_then_given_up(kit_folder, tmp_path, monkeypatch):
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
        runner.measure(kit_folder, options, io.StringIO())
    assert len(lines_of(tmp_path / "r.jsonl")) == 1


def test_the_last_pause_is_followed_by_a_last_try(tmp_path, monkeypatch):
    tries = []

    class Clearing:
        def rounds(self, n, ms):
            tries.append(ms)
            return [Round(1.0, 10, clean_share=0.1 if len(tries) <= 2 else 1.0)]

    monkeypatch.setattr(runner, "PAUSES_S", (0.0, 0.0))
    work = runner._Work(tmp_path, [], 1, io.StringIO(), {})
    work.sessions = {0: Clearing()}
    assert work._clean_round([0])[0]["clean_share"] == 1.0 and len(tries) == 3


@pytest.mark.parametrize("condition", ["version", "runtime", "processor"])
def test_results_under_another_version_of_the_runtime_are_not_added_to(kit_folder, kit_results, tmp_path, condition):
    head, *lines = lines_of(kit_results)
    head["header"][condition] = "0.0"
    out = write(tmp_path / "results.jsonl", [head, *lines[:4]])
    options = Namespace(threads=1, precision="all", name="board", out=out, rounds=ROUNDS, patience=1)
    before = out.read_bytes()
    with pytest.raises(UsageError, match=f"begun with {condition} 0.0, this is .*--out"):
        runner.measure(kit_folder, options, io.StringIO())
    assert out.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named_before_anything_is_measured(kit_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runner.runtime, "open", lambda *_: pytest.fail("it was measured"))
    (tmp_path / "locked").write_text("")
    for out in (tmp_path / "locked" / "results.jsonl", tmp_path):
        options = Namespace(threads=1, precision="all", name="board", out=out, rounds=ROUNDS, patience=1)
        with pytest.raises(EnvironmentFault, match="cannot be written .*--out"):
            runner.measure(kit_folder, options, io.StringIO())
