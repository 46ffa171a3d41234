"""A search for a device that is not at hand, by its shipped table; then what settles it, measured on this machine."""

import html
import itertools
import json
import shutil
import socket
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from edgenas.cli.main import main
from edgenas.cli.summary import summary
from edgenas.devices import confirm as settle
from edgenas.errors import BudgetError, NoisyMachine, TableError, UnknownName, UsageError
from edgenas.exploration.pareto import hypervolume
from edgenas.exploration.study import read_trials
from edgenas.exporters.bundle import verify_bundle
from edgenas.latency.registry import device_table
from edgenas.system import text
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.confirm import confirm
from edgenas.workflows.ingest import ingest
from edgenas.workflows.kit import finalists_kit
from edgenas.workflows.limits import with_devices
from edgenas.workflows.result import Result
from edgenas.workflows.search import search as run_workflow
from tests._searched import search as search_toy
from tests.workflows.test_search import TINY

DEVICE, BUDGET_MS = "amd-epyc-zen4", 0.15


def search(folder, **changes):
    # Half the usual trials: each costs a pass over the images, and here none of them matters by itself.
    config = {**TINY, "trials": 6, "budget_ms": BUDGET_MS, "device": DEVICE, "output": folder, **changes}
    return run_workflow(make_config(config), SilentReporter())


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "elsewhere"
    return folder, search(folder, final_epochs=1)


@pytest.fixture(scope="module")
def results(finished, tmp_path_factory):
    """The run's finalists, measured here by the kit's runner, as if this were the device's processor."""
    folder = tmp_path_factory.mktemp("settle")
    finalists_kit(finished[0], SilentReporter(), out=folder / "kit.zip", page=False)
    with zipfile.ZipFile(folder / "kit.zip") as archive:
        archive.extractall(folder)
    out = folder / "confirmed.jsonl"
    command = [sys.executable, folder / "run.py", "--slots", "24", "--patience", "1", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return altered(out, folder, processor=device_table(DEVICE, runtime="onnxruntime", threads=1).header["processor"])


def altered(results, folder, **header):
    """The results as if measured under other conditions."""
    first, *lines = results.read_text().splitlines()
    line = json.loads(first)
    line["header"] |= header
    path = folder / "altered.jsonl"
    path.write_text("\n".join([json.dumps(line), *lines]) + "\n")
    return path


def test_it_is_predicted_to_fit_and_nobody_says_more(finished):
    folder, result = finished
    assert result.met_budget is None and result.measured_ms is None and result.repeat_error is None
    assert (result.device, result.runtime, result.threads, result.precision) == (DEVICE, "onnxruntime", 1, "fp32")
    assert result.predicted_low_ms <= result.predicted_ms <= result.predicted_high_ms <= BUDGET_MS < result.largest_ms
    assert result.test_reads == 1 and verify_bundle(folder) == []
    assert "not_measured_on" in json.loads((folder / "manifest.json").read_text())
    assert not list(folder.glob("measured-*")), "this machine's times are not the device's"


def test_one_finalist_keeps_clear_of_the_budget(finished):
    folder, _ = finished
    chosen = json.loads((folder / "finalists.json").read_text())
    rows = {row["arch"]: row["predicted_ms"] for row in chosen["candidates"]}
    assert len(chosen["finalists"]) == 2
    assert min(rows[arch] for arch in chosen["finalists"]) <= 0.9 * BUDGET_MS


def test_only_what_the_table_covers_is_searched(finished):
    kept = json.loads((finished[0] / "narrow.json").read_text())
    named = {(row["values"]["width"], row["values"]["resolution"]) for row in kept["combinations"]}
    assert named == {(0.5, 28), (0.5, 32), (1.0, 28), (1.0, 32)}


def test_the_command_ends_well_and_says_how_to_settle_it(finished, capsys):
    folder, result = finished
    assert main(["search", "--output", str(folder), "--resume", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Budget not confirmed") and f"edgenas kit --bundle {folder}" in shown


def test_what_the_device_measured_decides(finished, results, any_noise, tmp_path, capsys):
    """Settled twice: by times that fit, and by times that do not."""
    folder, before = finished
    for factor, met in ((1e-3, True), (1e3, False)):
        scaled = tmp_path / f"{met}.jsonl"
        head, *lines = results.read_text().splitlines()
        rounds = [json.loads(line) for line in lines]
        rounds = [{**row, "ms": row["ms"] and row["ms"] * factor} for row in rounds]
        scaled.write_text("\n".join([head, *map(json.dumps, rounds)]) + "\n")
        assert main(["ingest", str(scaled), "--bundle", str(folder), "--quiet"]) == (0 if met else 1)
        shown = capsys.readouterr().out
        result = json.loads((folder / "result.json").read_text())
        assert result["met_budget"] is met and 0 < result["measured_ms"] and result["repeat_error"] >= 0
        assert shown.startswith("Budget met" if met else "Budget missed")
        assert result["test_reads"] == 1 and result["predicted_ms"] > 0 and verify_bundle(folder) == []
        assert json.loads((folder / "manifest.json").read_text())["measured_on"]["device"] == DEVICE
    assert "search again with a smaller" in " ".join(shown.split())
    assert before.arch in {row["arch"] for row in json.loads((folder / "finalists.json").read_text())["candidates"]}


@pytest.mark.parametrize("header", [{"threads": 2}, {"runtime": "tflite"}, {"processor": "Another"}])
def test_times_of_other_conditions_are_refused(finished, results, any_noise, tmp_path, header):
    with pytest.raises(TableError, match=next(iter(header))):
        confirm(altered(results, tmp_path, **header), finished[0], SilentReporter())


def test_times_of_other_models_are_refused(finished, results, any_noise, tmp_path):
    for name in ("table.csv", "config.toml", "format.json"):
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    (tmp_path / "finalist-0.onnx").write_bytes(b"another")
    with pytest.raises(TableError, match="not that of"):
        confirm(results, tmp_path, SilentReporter())


def test_times_that_do_not_repeat_are_refused(finished, results, any_noise, monkeypatch):
    monkeypatch.setattr(settle, "MAX_REPEAT_ERROR", -1.0)
    with pytest.raises(NoisyMachine, match="measure again"):
        confirm(results, finished[0], SilentReporter())


def without(results, tmp_path, precision):
    """The results of a device that cannot run the models of a precision."""
    head, *lines = results.read_text().splitlines()
    probes = json.loads(head)["manifest"]["probes"]
    lost = {i for i, probe in enumerate(probes) if probe["precision"] == precision and probe["kind"] == settle.KIND}
    rows = [json.loads(line) for line in lines]
    rows = [{**row, "error": "no kernel for it"} if row["probe"] in lost else row for row in rows]
    path = tmp_path / "lost.jsonl"
    path.write_text("\n".join([head, *map(json.dumps, rows)]) + "\n")
    return path


def test_a_twin_that_does_not_run_there_is_not_the_default(finished, results, any_noise, tmp_path):
    result = confirm(without(results, tmp_path, "int8"), finished[0], SilentReporter())
    assert result.file == "model.onnx" and result.measured_ms is not None and result.int8_measured_ms is None
    assert verify_bundle(finished[0]) == []


def test_without_a_figure_of_the_budget_s_precision_nothing_is_settled(finished, results, any_noise, tmp_path):
    with pytest.raises(TableError, match="no fp32 figure: no kernel for it"):
        confirm(without(results, tmp_path, "fp32"), finished[0], SilentReporter())


def test_times_of_a_slowed_device_are_refused(finished, results, any_noise, monkeypatch):
    monkeypatch.setattr(settle, "SLOWER_BY", 0.0)
    with pytest.raises(NoisyMachine, match="reference op"):
        confirm(results, finished[0], SilentReporter())
    monkeypatch.setattr(settle, "SLOWER_BY", np.inf)
    monkeypatch.setattr(settle, "FASTER_BY", 0.0)
    with pytest.raises(NoisyMachine, match="reference op"):
        confirm(results, finished[0], SilentReporter())


def test_unfinished_times_are_refused(finished, results, any_noise, tmp_path):
    head, *lines = results.read_text().splitlines()
    path = tmp_path / "begun.jsonl"
    path.write_text("\n".join([head, *(line for line in lines if json.loads(line)["slot"] < 20)]) + "\n")
    with pytest.warns(UserWarning, match="20 of 24 rounds"), pytest.raises(TableError, match="not finished"):
        confirm(path, finished[0], SilentReporter())


def test_a_run_that_is_none_is_named(results, tmp_path):
    with pytest.raises(UsageError, match="no run of a search"):
        confirm(results, tmp_path, SilentReporter())
    with pytest.raises(UsageError, match="holds no run"):
        finalists_kit(tmp_path, SilentReporter(), out=tmp_path / "kit.zip")


def test_finalists_make_no_table(results):
    with pytest.raises(UsageError, match="--bundle"):
        ingest(results)


def test_a_budget_that_nothing_is_sure_to_meet_is_refused(tmp_path):
    with pytest.raises(BudgetError, match="on amd-epyc-zen4: the fastest is predicted"):
        search(tmp_path / "run", budget_ms=0.001)


INT8 = f"{DEVICE}/onnxruntime-1t-int8"
LIMITS = {"max_params": 6e4, "max_memory_mb": 0.3, "max_file_mb": 0.25}


@pytest.fixture(scope="module")
def limited(finished, tmp_path_factory):
    """Under five limits at once: two devices by name, and one of each other kind."""
    folder = tmp_path_factory.mktemp("runs") / "limited"
    few = {"trials": 8, "finalists": 1, "final_epochs": 1, "int8": False, "reuse": finished[0]}
    budgets = {"budget_ms": None, "device": None, "budgets_ms": {DEVICE: BUDGET_MS, INT8: 0.25}}
    return folder, search(folder, **few, **LIMITS, **budgets)


def test_all_limits_hold_at_once(limited):
    folder, result = limited
    assert (result.device, result.precision, result.budget_ms) == (DEVICE, "fp32", BUDGET_MS)
    assert result.predicted_high_ms <= BUDGET_MS and result.met_budget is None
    latency, params, memory, file = result.limits
    assert (latency["metric"], latency["allowed"]) == (f"latency_ms@{INT8}", 0.25)
    assert latency["low"] <= latency["used"] <= latency["high"] <= 0.25
    assert (params["used"], memory["used"]) == (result.params, result.peak_bytes)
    assert file["used"] == result.file_bytes == (folder / "model.onnx").stat().st_size
    assert [row["allowed"] for row in (params, memory, file)] == [6e4, 0.3e6, 0.25e6]
    assert all(0 < row["used"] <= row["allowed"] for row in result.limits)
    assert json.loads((folder / "manifest.json").read_text())["not_measured_on"]["limits"] == list(result.limits)
    card = html.unescape((folder / "MODEL_CARD.md").read_text())
    assert all(f"- {text.used_of_limit(row)}\n" in card for row in result.limits)


def test_two_tables_of_a_device_are_told_apart(limited):
    folder, result = limited
    assert f'"{INT8}" = 0.25' in (folder / "config.toml").read_text()
    for point in result.front:
        assert 0 < point[f"latency_high_ms@{DEVICE}"] <= BUDGET_MS and 0 < point[f"latency_high_ms@{INT8}"] <= 0.25
        assert point[f"latency_high_ms@{DEVICE}"] != point[f"latency_high_ms@{INT8}"]


def test_accuracies_and_latencies_by_look_up(tmp_path):
    """Both come from a file; the budget on the device that it knows holds beside the plain one."""
    archs = np.array(list(itertools.product(range(5), repeat=6)), dtype=np.uint8)
    path, latency_ms = tmp_path / "scores.npz", 1.0 + archs.sum(axis=1)
    accuracy = 50.0 + latency_ms
    np.savez(path, op_codes=archs, acc_val=accuracy, lat_names=np.array(["board"]), lat_ms=latency_ms[:, None])
    few = {"trials": 8, "finalists": 1, "final_epochs": 1, "int8": False, "budgets_ms": {"board": 9.5}}
    looked_up = {"space": "nasbench201", "evaluator": "tabular", "scores": str(path), "budget_ms": 50.0}
    folder = tmp_path / "run"
    result = search(folder, **few, **looked_up)
    (limit,) = result.limits
    row = 1.0 + sum(map(int, result.arch))
    assert limit == {"metric": "latency_ms@board", "allowed": 9.5, "used": row} and row <= 9.5
    trials = [trial for trial in read_trials(folder) if trial.feasible]
    assert trials and all(
        trial.metrics["accuracy"] == (50 + trial.metrics["latency_ms@board"]) / 100 for trial in trials
    )
    assert "9.5 ms allowed" in summary(result, result.front, [])


def test_the_hypervolume_is_that_of_the_feasible_trials(limited):
    folder, result = limited
    rows = [trial.metrics for trial in read_trials(folder) if trial.feasible]
    quality, *costs = corner = result.reference_point
    assert quality == "accuracy" and set(costs) < set(rows[0])
    assert corner[quality] == min(row[quality] for row in rows)
    assert all(corner[metric] == max(row[metric] for row in rows) for metric in costs)
    signs = [-1.0, *[1.0] * len(costs)]
    points = np.array([[row[metric] for metric in corner] for row in rows]) * signs
    box = (1 - corner[quality]) * np.prod([corner[metric] for metric in costs])
    assert result.hypervolume == pytest.approx(hypervolume(points, np.array(list(corner.values())) * signs) / box)
    assert 0 < result.hypervolume < 1


def test_limits_and_hypervolume_are_shown_and_resumed(limited, capsys, monkeypatch):
    """The further device's table is the one that the run began with."""
    folder, result = limited
    monkeypatch.setattr("edgenas.workflows.limits.device_table", lambda *args, **kwargs: pytest.fail("looked up again"))
    assert main(["search", "--output", str(folder), "--resume", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert f"{INT8}: predicted" in shown and "not measured, 0.25 ms allowed" in shown
    assert f"{result.params / 1e3:.3g} k of 60 k parameters" in shown and "of 250 kB for the file" in shown
    assert "hypervolume" in shown and "reference point" in " ".join(shown.split())


@pytest.mark.parametrize(
    "limit, message",
    [
        ({"max_params": 1000}, r"1 k parameters: the least is [\d.]+ k; ask for --max-params \d+ or more"),
        ({"max_memory_mb": 0.001}, r"1 kB of activations: the least is [\d.]+ kB; ask for --max-memory-mb 0\.\d+"),
        ({"max_file_mb": 0.001}, r"1 kB for the file: the least is [\d.]+ kB; ask for --max-file-mb 0\.\d+"),
        (
            {"budgets_ms": {INT8: 0.001}},
            rf"0.001 ms on {INT8}: the least is 0\.\d+ ms; ask for --budget-ms {INT8}=",
        ),
        (
            {"budget_ms": 0.04, "budgets_ms": {INT8: 0.013}, "max_params": 7e3, "max_file_mb": 0.04},
            f"within 0.04 ms on {DEVICE}, 0.013 ms on {INT8}, 7 k parameters and 40 kB for the file together",
        ),
    ],
    ids=["params", "memory", "file", "device", "together"],
)
def test_limits_out_of_reach_are_refused_by_name(tmp_path, limit, message):
    with pytest.raises(BudgetError, match=message):
        search(tmp_path / "run", **limit)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "given, device, budget_ms, others",
    [
        ({"budget_ms": 1}, None, 1.0, {}),
        ({"budget_ms": 1, "budgets_ms": {DEVICE: 2}}, None, 1.0, {f"{DEVICE}/onnxruntime-1t-fp32": 2.0}),
        ({"budgets_ms": {DEVICE: 2, INT8: 3}}, f"{DEVICE}/onnxruntime-1t-fp32", 2.0, {INT8: 3.0}),
        (
            {"budgets_ms": {DEVICE: 2, INT8: 3}, "device": INT8},
            INT8,
            3.0,
            {f"{DEVICE}/onnxruntime-1t-fp32": 2.0},
        ),
        (
            {"budgets_ms": {f"{DEVICE}/onnxruntime-1t-fp32": 2}, "device": DEVICE},
            f"{DEVICE}/onnxruntime-1t-fp32",
            2.0,
            {},
        ),
        ({"budget_ms": 2, "device": DEVICE, "budgets_ms": {DEVICE: 2}}, f"{DEVICE}/onnxruntime-1t-fp32", 2.0, {}),
    ],
)
def test_which_device_a_budget_is_for(given, device, budget_ms, others):
    config = with_devices(make_config(given))
    assert (config.device, config.budget_ms, config.budgets_ms) == (device, budget_ms, others)
    assert with_devices(config) == config


@pytest.mark.parametrize(
    "given, message",
    [
        ({"budget_ms": 1, "device": DEVICE, "budgets_ms": {DEVICE: 2}}, "1 and 2 ms are both for"),
        ({"device": DEVICE, "budgets_ms": {INT8: 3}}, f"on {DEVICE}/onnxruntime-1t-fp32, the --device"),
        ({"budget_ms": 1, "budgets_ms": {"amd-epyc-zen5": 3}}, "no 'amd-epyc-zen5'"),
    ],
)
def test_budgets_that_contradict_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        with_devices(make_config(given))


def test_another_device_s_profile_is_not_reused(finished, tmp_path):
    for other, word in (("1t-int8", "precision"), ("2t-fp32", "threads")):
        with pytest.raises(TableError, match=word):
            search(tmp_path / other, device=f"{DEVICE}/onnxruntime-{other}", reuse=finished[0])


def test_a_refused_search_leaves_the_folder_free(finished, tmp_path):
    with pytest.raises(BudgetError):
        search(tmp_path / "run", budget_ms=0.001)
    with pytest.raises(TableError):
        search(tmp_path / "run", device=f"{DEVICE}/onnxruntime-2t-fp32", reuse=finished[0])
    with pytest.raises(UsageError, match="milp: peak_bytes"):
        search(tmp_path / "run", strategy="milp", max_memory_mb=1, reuse=finished[0])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"evaluator": "tabular"}, "name the file of accuracies with --scores"),
        ({"scores": "scores.npz"}, "--scores: the evaluator supernet reads none; add --evaluator tabular"),
        ({"scores_name": "c10_val"}, "--scores-name: the evaluator supernet reads none"),
    ],
)
def test_scores_that_are_missing_or_that_nothing_reads_are_refused_at_once(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        search(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"threads": 2}, {"runtime": "onnxruntime-web"}])
def test_conditions_that_the_named_table_is_not_of_are_refused(tmp_path, changes):
    with pytest.raises(UsageError, match=next(iter(changes))):
        search(tmp_path / "run", device=f"{DEVICE}/onnxruntime-1t-fp32", **changes)


def test_a_device_without_a_table_is_refused(tmp_path):
    with pytest.raises(UnknownName, match="amd-epyc-zen4"):
        search(tmp_path / "run", device="amd-epyc-zen5")


@pytest.mark.slow
def test_under_a_budget_for_int8_the_int8_model_is_delivered(tmp_path):
    result = search(tmp_path / "run", device=f"{DEVICE}/onnxruntime-1t-int8")
    assert (result.precision, result.file, result.met_budget) == ("int8", "model.int8.onnx", None)
    assert result.predicted_high_ms <= BUDGET_MS and result.int8_test_accuracy is not None


def test_a_search_on_local_data_opens_no_socket(searched, tmp_path, monkeypatch):
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, lambda *args, **how: pytest.fail("a socket was opened"))
    assert search_toy(tmp_path / "run", reuse=searched).met_budget is None


def test_a_run_that_was_moved_is_gone_on_with_where_it_is(searched, tmp_path):
    moved = shutil.copytree(searched, tmp_path / "moved")
    (moved / "result.json").unlink()
    names = [name.encode() for name in (str(searched), str(searched.parent))]
    assert not [path.name for path in moved.rglob("*") if any(name in path.read_bytes() for name in names)]
    before = Result.from_json((searched / "result.json").read_bytes())
    with pytest.warns(UserWarning, match="result.json is not as it was written: it is made again"):
        again = search_toy(moved, resume=True)
    assert (again.arch, again.test_accuracy, again.test_reads) == (before.arch, before.test_accuracy, 1)
    assert verify_bundle(moved) == []
