"""One real search from end to end, as small as it can be, and what a person then does with its folder.

It is by a shipped table, which times nothing; and once more, slowly, by what this machine takes.
"""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.devices import timed_files
from edgenas.errors import BudgetError, UsageError
from edgenas.exploration.pareto import non_dominated
from edgenas.exporters.bundle import verify_bundle
from edgenas.runtimes.onnxruntime import open as open_session
from edgenas.spaces.build import build_space
from edgenas.strategies.random import Random
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.config import make_config
from edgenas.workflows.context import never
from edgenas.workflows.export import export
from edgenas.workflows.given import Given
from edgenas.workflows.predict import predict
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from edgenas.workflows.setup import make_task, plain_task, run_in
from edgenas.workflows.stages.artefacts import Report
from edgenas.workflows.stages.bounds import measured_bounds
from edgenas.workflows.train import train

pytestmark = pytest.mark.slow

TINY = {
    "data": "tests._few_digits",
    "shape_choices": 1,
    "trials": 12,
    "batch": 4,
    "finalists": 2,
    "supernet_epochs": 1,
    "final_epochs": 2,
    "validation_share": 0.2,
}


@pytest.fixture(scope="module", autouse=True)
def quick_profile(tmp_path_factory):
    """A cache of its own, and as few timing rounds as the protocol allows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("edgenas.workflows.stages.profile.SECONDS_EACH", 0.01)
        patch.setattr("edgenas.workflows.stages.profile.SPREAD_SECONDS", 0.5)
        patch.setattr("edgenas.workflows.stages.verdict.BENCH_SECONDS", 0.5)
        yield


BY_A_TABLE = {"space": "tests._toys", "device": "amd-epyc-zen4", "budget_ms": 0.03}
HERE = pytest.param({}, marks=pytest.mark.alone, id="measured here")
measured_here = pytest.mark.parametrize("finished", [HERE], indirect=True)


@pytest.fixture(scope="module", params=[pytest.param(BY_A_TABLE, id="by a table"), HERE])
def finished(request, tmp_path_factory):
    """A finished run; of this machine, under a budget that binds on most machines, yet leaves room for noise."""
    folder = tmp_path_factory.mktemp("runs") / "first run"
    given = request.param or {"budget_ms": round(0.6 * _bounds(folder.parent / "bounds").largest_ms, 4)}
    return folder, search(make_config({**TINY, **given, "output": folder}), SilentReporter())


def like(result, **changes):
    """A configuration like that of a run."""
    given = BY_A_TABLE if result.device == BY_A_TABLE["device"] else {}
    return make_config({**TINY, **given, "budget_ms": result.budget_ms, **changes})


def _bounds(folder):
    """What the smallest and the largest network take here."""
    config = make_config({"budget_ms": 1000, "output": folder})
    with run_in(config, SilentReporter(), never) as ctx:
        return measured_bounds(make_task(plain_task(config, Given()), Given(), ctx), ctx)


@measured_here
def test_result_is_measured_within_the_budget(finished):
    folder, result = finished
    assert result.met_budget
    assert result.measured_ms * (1 + result.repeat_error) <= result.budget_ms < result.largest_ms
    # What was measured decides: a network that uses up its budget may be predicted above it.
    assert result.predicted_low_ms <= result.predicted_ms <= result.predicted_high_ms


def test_the_result_is_kept(finished):
    folder, result = finished
    assert 0 < result.feasible_trials <= result.trials <= TINY["trials"]  # of the toys, few fit
    assert result.onnx_test_accuracy == pytest.approx(result.test_accuracy, abs=0.01)  # one image of the few
    assert result.test_reads == 1
    kept = json.loads((folder / "result.json").read_text())
    assert list(kept) == [field.name for field in fields(Result)]
    assert kept | {"bundle": result.bundle} == json.loads(result.to_json())


def test_the_front_holds_what_none_beats_and_the_delivered_point_stands_by_itself(finished):
    _, result = finished
    assert result.delivered["arch"] == result.arch
    costs = [name for name in result.delivered if name.startswith("latency_high_ms@")]
    points = np.array([[-point["accuracy"], *(point[name] for name in costs)] for point in result.front])
    assert costs and non_dominated(points).all()
    # The delivered one is either of the front, or some point of it is better.
    assert (
        result.delivered in result.front
        or not non_dominated([*points, [-result.delivered["accuracy"], *(result.delivered[name] for name in costs)]])[
            -1
        ]
    )


def test_the_bundle_holds_and_runs(finished):
    folder, result = finished
    assert verify_bundle(folder) == []
    assert (folder / "labels.txt").read_text().split() == [str(digit) for digit in range(10)]
    golden = np.load(folder / "golden.npz")
    session = open_session(folder / "model.onnx")
    outputs = np.concatenate([session.run(x[None])[0] for x in golden["input"]])
    np.testing.assert_allclose(outputs, golden["output"], atol=1e-3)


def test_the_example_runs_the_bundle(finished):
    folder, _ = finished
    example = Path(__file__).parents[2] / "deploy" / "classify.py"
    done = subprocess.run([sys.executable, example, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_resuming_a_finished_run_gives_the_same_result(finished):
    folder, result = finished
    again = search(like(result, output=folder, resume=True), SilentReporter())
    assert again.arch == result.arch and again.test_accuracy == result.test_accuracy
    assert again.measured_ms == result.measured_ms and again.test_reads == 1


def test_a_run_begun_with_other_settings_is_not_resumed(finished):
    folder, result = finished
    with pytest.raises(UsageError, match="seed"):
        search(like(result, output=folder, resume=True, seed=7), SilentReporter())


def test_a_run_is_not_overwritten(finished):
    folder, result = finished
    with pytest.raises(UsageError, match="--resume"):
        search(like(result, output=folder), SilentReporter())


def test_export_of_the_run_equals_the_bundle(finished, tmp_path):
    folder, _ = finished
    path = export(folder, SilentReporter(), out=tmp_path / "again.onnx")
    assert path.read_bytes() == (folder / "model.onnx").read_bytes()


def test_another_strategy_reuses_the_supernet(finished, tmp_path):
    folder, result = finished
    config = like(result, output=tmp_path / "second", reuse=folder, int8=False, strategy="evolution")
    second = search(config, SilentReporter())
    assert second.met_budget == result.met_budget and second.int8_measured_ms is None
    assert (tmp_path / "second" / "table.csv").read_bytes() == (folder / "table.csv").read_bytes()


def test_an_impossible_budget_is_refused_before_training(finished, tmp_path):
    _, result = finished
    with pytest.raises(BudgetError, match=r"fastest (takes|is predicted to take) 0\.\d+ ms"):
        search(like(result, budget_ms=0.001, output=tmp_path / "impossible"), SilentReporter())
    assert not (tmp_path / "impossible" / "supernet.pt").exists()


@pytest.mark.parametrize("given", [pytest.param(BY_A_TABLE, id="by a table"), HERE])
def test_a_search_that_is_refused_after_its_profile_leaves_the_folder_free(tmp_path, monkeypatch, given):
    def refuse(priced, ctx, options):
        assert (ctx.folder.path / "table.csv").exists()
        raise UsageError("not like this")

    monkeypatch.setattr(Random, "build", refuse)
    with pytest.raises(UsageError, match="not like this"):
        search(make_config({**TINY, **given, "budget_ms": 100, "output": tmp_path / "run"}), SilentReporter())
    assert not (tmp_path / "run").exists()


def test_a_size_that_the_data_cannot_come_in_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--image-size 64: digits comes in 32 x 32"):
        search(
            make_config({**TINY, "data": "digits", "budget_ms": 1, "image_size": 64, "output": tmp_path / "sized"}),
            SilentReporter(),
        )


def test_train_and_export_one_architecture(finished, tmp_path):
    _, result = finished
    config = like(result, final_epochs=1, output=tmp_path / "one")
    trained = train(config, result.arch, SilentReporter())
    assert trained.arch == result.arch and 0 < trained.validation_accuracy <= 1
    assert export(tmp_path / "one", SilentReporter(), out=tmp_path / "one.onnx").stat().st_size > 5_000


def test_predict_agrees_with_the_search(finished):
    folder, result = finished
    space = build_space(like(result).space, (1, 32, 32), 10)
    table = {"table": folder / "table.csv", "estimate_missing": True}  # of the toys the shipped one lacks most
    (row,) = predict(make_config({}), space, archs=[result.arch], **table)
    assert row.latency_ms == pytest.approx(result.predicted_ms, rel=0.02)
    assert row.macs == result.macs and row.params == result.params
    assert row.peak_bytes == result.peak_bytes and (row.estimated_share == 0) == (space.name == "mbconv")


@measured_here
def test_when_every_finalist_misses_the_next_ones_are_tried(finished, tmp_path, monkeypatch):
    """The first measurement says too slow; another architecture is trained, and the misses are told."""
    folder, result = finished
    measured, real, slow_ms = [], timed_files.bench_in_fresh_process, 1.05 * result.budget_ms

    def slow_at_first(paths, **settings):
        measured.append(paths[0])  # again and again, where the machine is busy
        is_first = paths[0] == measured[0]
        rows = real(paths, **settings)
        # Measured well, as a miss that is in doubt is none.
        slow = {"ms": slow_ms, "repeat_error": 0.01, "reference_ms": 1e-6}
        return [replace(row, **slow) if is_first else row for row in rows]

    monkeypatch.setattr(timed_files, "bench_in_fresh_process", slow_at_first)
    config = like(result, output=tmp_path / "run", reuse=folder, int8=False, finalists=1)
    second = search(config, SilentReporter())
    assert second.met_budget and len(set(measured)) >= 2
    first_arch = json.loads((tmp_path / "run" / "finalists.json").read_text())["finalists"]
    assert second.arch not in first_arch
    assert any("passed over" in note for note in read_artefact(tmp_path / "run", "report", Report).notes)
    exported = export(tmp_path / "run", SilentReporter(), out=tmp_path / "second.onnx")
    assert exported.read_bytes() == (tmp_path / "run" / "model.onnx").read_bytes()
