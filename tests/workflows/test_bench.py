"""Files are timed side by side; a bundle's models are measured against its budget."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgenas.errors import DamagedRun, EdgeNASError, NoisyMachine, UsageError
from edgenas.exporters.bundle import verify_bundle
from edgenas.runtimes.base import Port
from edgenas.runtimes.bench import Bench
from edgenas.runtimes.host import host_name
from edgenas.system.file_index import INDEX, forget, write_kept
from edgenas.system.progress import SilentReporter
from edgenas.workflows import bench as module
from edgenas.workflows.bench import bench, bench_bundle
from edgenas.workflows.result import Result

PORT = Port("input", (1, 1, 8, 8), "float32")


def test_the_conditions_are_handed_on(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("edgenas.workflows.bench.bench_in_fresh_process", lambda *a, **k: asked.append((a, k)) or [])
    assert bench([tmp_path / "a.onnx"], threads=2, runtime="r", seconds=1.0) == []
    ((models,), conditions) = asked[0]
    assert models == [tmp_path / "a.onnx"]
    assert conditions == {"threads": 2, "runtime": "r", "seconds": 1.0, "progress": None}


@pytest.fixture
def run(searched, tmp_path):
    """The folder of a search, as if its budget were for this machine, and it had been too busy."""
    folder = tmp_path / "run"
    shutil.copytree(searched, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    conditions = manifest.pop("not_measured_on") | {"device": host_name()}
    write_kept(folder / "manifest.json", json.dumps(manifest | {"measured_on": conditions}).encode())
    result = json.loads((folder / "result.json").read_text()) | {"device": host_name(), "measurement": "unclean"}
    write_kept(folder / "result.json", json.dumps(result).encode())
    forget(folder / "table.csv")
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.lock"}


def timed(monkeypatch, ms, repeat_error=0.01, clean=True):
    """Replace the measurement by a figure."""

    def time_files(paths, **how):
        row = Bench("", ms, 1.2 * ms, repeat_error, 100, 1.0, 0.05, 1, "onnxruntime", "9.9", PORT, (PORT,), clean=clean)
        return [replace(row, model=path.name) for path in paths]

    monkeypatch.setattr(module, "time_files", time_files)


def test_what_is_said_of_a_bundle_is_what_its_manifest_says(monkeypatch, run):
    timed(monkeypatch, 1.0)
    with pytest.raises(UsageError, match=r"--threads 9: .* was begun with 1; leave it out"):
        bench_bundle(run, SilentReporter(), said={"threads": 9, "runtime": "onnxruntime"})
    (row,) = bench_bundle(run, SilentReporter(), said={"threads": 1, "runtime": "onnxruntime"})
    assert row.threads == 1


@pytest.mark.parametrize("factor, is_met", [(0.9, True), (1.2, False)])
def test_what_is_measured_stands_in_result_manifest_and_card(monkeypatch, run, factor, is_met):
    before = Result.from_json((run / "result.json").read_bytes())
    ms = factor * before.budget_ms
    timed(monkeypatch, ms)
    (row,) = bench_bundle(run, SilentReporter())
    assert row.met_budget is is_met and row.ms == ms
    after = Result.from_json((run / "result.json").read_bytes())
    assert after == replace(
        before,
        met_budget=is_met,
        measured_ms=ms,
        measured_p90_ms=1.2 * ms,
        repeat_error=0.01,
        measurement="clean",
    )
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["met_budget"] is is_met and manifest["models"]["model.onnx"]["ms"] == ms
    assert manifest["measured_on"]["runtime_version"] == "9.9"
    assert f"| `model.onnx` | {ms:.3f} | 1.0% |" in (run / "MODEL_CARD.md").read_text()
    assert verify_bundle(run) == []


@pytest.mark.parametrize(
    "factor, repeat_error, clean", [(0.5, 0.05, False), (1.02, 0.09, True)], ids=["disturbed", "in doubt"]
)
def test_on_a_machine_that_stays_busy_nothing_is_written(monkeypatch, run, factor, repeat_error, clean):
    before = files(run)
    timed(monkeypatch, factor * Result.from_json((run / "result.json").read_bytes()).budget_ms, repeat_error, clean)
    with pytest.raises(NoisyMachine, match="nothing is written"):
        bench_bundle(run, SilentReporter())
    assert files(run) == before


@pytest.mark.parametrize("more", [(), (INDEX,), (INDEX, "result.json")], ids=" ".join)
def test_a_copy_of_the_bundle_alone_is_measured_too(monkeypatch, run, tmp_path, more):
    """Whatever else was copied with it: what is not there is not missed."""
    copy = tmp_path / "app"
    copy.mkdir()
    names = {"manifest.json", *json.loads((run / "manifest.json").read_text())["sha256"], *more}
    for name in names:
        shutil.copyfile(run / name, copy / name)
    timed(monkeypatch, 1e-4)
    assert bench_bundle(copy, SilentReporter())[0].met_budget is True
    assert {path.name for path in copy.iterdir()} == names
    assert verify_bundle(copy) == []


@pytest.mark.parametrize("damage", [lambda path: path.write_text(path.read_text() + " "), Path.unlink])
@pytest.mark.parametrize("name", ["result.json", "manifest.json", "MODEL_CARD.md", "table.csv"])
def test_what_is_damaged_is_not_made_whole(monkeypatch, run, searched, name, damage):
    write_kept(run / "table.csv", (searched / "table.csv").read_bytes())
    damage(run / name)
    before = files(run)
    timed(monkeypatch, 1e-4)
    with pytest.raises(EdgeNASError, match=name) as caught:
        bench_bundle(run, SilentReporter())
    assert caught.value.exit_code == 3 and files(run) == before


def test_a_copied_result_is_not_made_whole_either(monkeypatch, run):
    forget(run / "config.toml")
    (run / "result.json").write_text((run / "result.json").read_text() + " ")
    timed(monkeypatch, 1e-4)
    with pytest.raises(DamagedRun, match=r"result\.json is damaged"):
        bench_bundle(run, SilentReporter())


def test_another_device_s_bundle_is_refused(searched, monkeypatch):
    timed(monkeypatch, 1e-4)
    with pytest.raises(UsageError, match=f"counts on amd-epyc-zen4, this is {host_name()}"):
        bench_bundle(searched, SilentReporter())


def test_a_folder_that_holds_no_bundle_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no manifest.json"):
        bench_bundle(tmp_path, SilentReporter())
