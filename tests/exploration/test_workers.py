"""Trials on Ray: two processes that really start, and are really killed."""

from __future__ import annotations

import math
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edgenas.cost.memory import PeakBytes
from edgenas.data.base import Augment
from edgenas.data.storage.splits import split_rows
from edgenas.data.storage.tensor import data_from_pixels
from edgenas.errors import DataError, EnvironmentFault, Interrupted, UsageError
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.exploration import workers
from edgenas.exploration.driver import run_search
from edgenas.exploration.problem import Outcome, Problem
from edgenas.exploration.study import Study
from edgenas.strategies.random import Random
from edgenas.system.progress import SilentReporter
from edgenas.training.settings import Settings
from edgenas.workflows.config import make_config
from edgenas.workflows.context import never
from edgenas.workflows.run_start import keep_config
from edgenas.workflows.search import search
from edgenas.workflows.setup import run_in
from tests._on_workers import ARCHS, ROOMY, SPACE, Diary, hangs, refuses
from tests.strategies._synthetic import load_json, save_json


@pytest.fixture(scope="module")
def ray():
    """Two workers, whatever this machine has."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgenas.runtimes.host.usable_cores", lambda: 2)
        with workers.trial_map(2, None, said.append):
            yield workers.import_ray()
    assert said == ["trials on 2 workers with one thread each, by Ray"]


@pytest.fixture
def map_(ray):
    return workers.RayMap(ray)


def accuracies(outcomes):
    return [outcome.metrics.get("accuracy") for outcome in outcomes]


def expected(archs):
    return [0.1 + 0.1 * sum(arch) for arch in archs]


def test_outcomes_come_in_order_from_two_processes_and_no_architecture_is_tried_twice(map_, tmp_path):
    diary = Diary(tmp_path)
    attempt = diary.problem().attempt
    archs = [*ARCHS[:6], ARCHS[0]]
    assert accuracies(map_(attempt, archs)) == expected(archs)
    assert len(diary.processes()) == 2 and str(os.getpid()) not in diary.processes()
    again = list(map_(attempt, ARCHS[4:8]))
    assert accuracies(again) == expected(ARCHS[4:8]) and [o.seconds > 0 for o in again] == [False, False, True, True]
    assert [diary.tries(arch) for arch in ARCHS[:8]] == [1] * 8


def test_what_is_killed_in_the_middle_is_tried_again_and_nothing_is_lost(map_, tmp_path):
    diary = Diary(tmp_path, deadly=ARCHS[2], deaths=workers.RETRIES)
    assert accuracies(map_(diary.problem().attempt, ARCHS[:6])) == expected(ARCHS[:6])
    assert diary.tries(ARCHS[2]) == 1 + workers.RETRIES


def test_what_always_dies_is_a_failed_trial_with_its_cause(map_, tmp_path):
    diary = Diary(tmp_path, deadly=ARCHS[1], deaths=9)
    problem = diary.problem()
    study = Study(tmp_path / "run", ROOMY, save_json, load_json)
    strategy = Script(ARCHS[:4])
    run_search(problem, strategy, study, max_trials=4, batch=4, map_=map_)
    assert diary.tries(ARCHS[1]) == 1 + workers.RETRIES
    lost, *others = sorted(study.trials, key=lambda trial: trial.error is None)
    assert lost.arch == ARCHS[1] and lost.error.startswith("its process died in each of 3 tries: WorkerCrashedError")
    assert not lost.feasible and lost.metrics == problem.preview([lost.arch])[0]
    assert [t.metrics["accuracy"] for t in others] == expected([t.arch for t in others])


class Script(Random):
    """Proposes a list."""

    def __init__(self, archs):
        self.left = list(archs)

    def ask(self, n=1):
        archs, self.left = self.left[:n], self.left[n:]
        return archs

    def tell(self, trials):
        pass

    def state_dict(self):
        return {}


def test_what_would_hit_every_trial_alike_ends_the_search(map_):
    with pytest.raises(DataError, match=r"^cat\.jpg is gone$"):
        list(map_(refuses, ARCHS[:2]))


def test_what_hangs_is_ended(map_, monkeypatch):
    assert accuracies(map_(hangs, ARCHS[1:3])) == [0.5, 0.5]
    monkeypatch.setattr(workers, "HANGING_S", 0.2)
    (hung,) = map_(hangs, ARCHS[:1])
    assert hung.error.startswith("its process died, or took over 0 s, in each of 3 tries") and hung.metrics == {}


@pytest.fixture(scope="module")
def scratch():
    """Really trains, on 96 images in 3 classes that brightness tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    pixels = (rng.integers(0, 60, (120, 1, 8, 8)) + 80 * labels[:, None, None, None]).astype(np.uint8)
    classes = ("dark", "grey", "bright")
    splits = split_rows(labels, {"train": np.arange(120)}, classes, validation_share=0.1, seed=0, where="toy")
    data = data_from_pixels("toy", classes, pixels, labels, splits, augment=Augment(shift=0.1), device="cpu")
    return ScratchEvaluator(SPACE, data, Settings(epochs=1, batch_size=16), "cpu", 0)


def test_the_history_is_the_same_for_one_worker_and_for_two(map_, scratch, tmp_path):
    """In this process with two threads, and in two processes of Ray's."""
    histories = []
    for name, spread in (("one", map), ("two", map_)):
        problem = Problem(SPACE, (PeakBytes(),), ROOMY, scratch)
        study = Study(tmp_path / name, ROOMY, save_json, load_json)
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            run_search(problem, Random(problem, np.random.default_rng(3)), study, max_trials=6, batch=4, map_=spread)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)
        histories.append([replace(trial, seconds=0.0) for trial in study.trials])
    assert histories[0] == histories[1]
    assert all(trial.error is None and 0 < trial.metrics["loss"] < 3 for trial in histories[0])


def test_one_worker_needs_no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = []
    monkeypatch.setattr("edgenas.runtimes.host.usable_cores", lambda: 1)
    for asked in (1, 64):
        with workers.trial_map(asked, None, said.append) as map_:
            assert map_ is map
    assert said == ["--workers 64: capped at 1, the cores that there are here"]


@pytest.mark.parametrize("where", [{"workers": 2}, {"ray": "auto"}])
@pytest.mark.parametrize("evaluator", ["supernet", "tabular"])
def test_evaluators_that_share_weights_are_refused_by_name(tmp_path, where, evaluator):
    scores = {}
    if evaluator == "tabular":
        scores = {"scores": tmp_path / "scores.npz"}
        np.savez(scores["scores"], op_codes=np.zeros((1, 6), dtype=np.uint8), acc_val=np.array([90.0]))
    config = make_config({"budget_ms": 5, "evaluator": evaluator, "output": tmp_path / "run", **scores, **where})
    with pytest.raises(UsageError, match=rf"^--{next(iter(where))}.*evaluator {evaluator} .*--evaluator scratch"):
        search(config, SilentReporter())
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_missing_ray_is_named_before_anything_else_happens(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    config = make_config({"budget_ms": 5, "evaluator": "scratch", "workers": 2, "output": tmp_path / "run"})
    with pytest.raises(UsageError, match=r"pip install 'edgenas\[ray\]'"):
        search(config, SilentReporter())


def test_a_cluster_that_is_not_there_is_refused_at_once(tmp_path):
    output, address = tmp_path / "run", "127.0.0.1:1"
    config = make_config({"budget_ms": 5, "evaluator": "scratch", "ray": address, "output": output})
    for begin in (
        partial(search, config, SilentReporter()),
        partial(workers._connect, workers.import_ray(), 1, address),
    ):
        with pytest.raises(EnvironmentFault, match=r"--ray 127\.0\.0\.1:1: cannot join"):
            begin()
    assert not (output / "config.toml").exists()


def test_a_run_may_go_on_with_other_workers(tmp_path):
    for change in ({}, {"workers": 2}, {"ray": "auto"}):
        config = make_config({"budget_ms": 5, "evaluator": "scratch", "output": tmp_path, **change})
        with run_in(replace(config, resume=True), SilentReporter(), never) as ctx:
            keep_config(config, ctx)


def test_sigterm_stays_with_whoever_had_it_and_is_handed_on_if_it_comes_while_ray_starts():
    caught = []
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append("mine"))
    try:
        with workers._own_sigterm():
            mine = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        assert signal.getsignal(signal.SIGTERM) is mine and not caught
        with pytest.raises(Interrupted), workers._own_sigterm():
            sys.exit(15)  # as Ray's does
        assert caught == ["mine"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_worker_that_runs_out_of_memory_is_a_failed_trial_with_its_cause():
    """Ray ends such a worker, and tries again as often as `SETTINGS` says; made up, as nobody's memory is to fill."""
    faults = SimpleNamespace(**{name: type(name, (Exception,), {}) for name in FAULTS})

    def get(task):
        raise faults.OutOfMemoryError("the node is low on memory\nand a long table of processes")

    ray = SimpleNamespace(exceptions=faults, get=get, put=lambda function: function)
    ray.wait = lambda tasks, timeout: (tasks, [])
    ray.remote = lambda **options: lambda function: SimpleNamespace(remote=lambda *task: task)
    (lost,) = workers.RayMap(ray)(refuses, ARCHS[:1])
    assert lost.metrics == {} and "\n" not in lost.error
    assert lost.error.endswith("in each of 3 tries: OutOfMemoryError, the node is low on memory")
    assert workers.SETTINGS["RAY_task_oom_retries"] == str(workers.RETRIES)


FAULTS = ("TaskCancelledError", "RayTaskError", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "RayError")


def test_a_first_trial_that_hangs_is_ended_where_others_ended_long_ago(monkeypatch):
    """On a simulated Ray of two workers, where one second passes at each look."""
    faults, now, cancelled = SimpleNamespace(**{name: type(name, (Exception,), {}) for name in FAULTS}), [0.0], []
    monkeypatch.setattr(workers.time, "monotonic", lambda: now[0])
    lasting = dict(zip(ARCHS[:3], (3.0, math.inf, 4.0), strict=True))

    def wait(tasks, *, timeout, num_returns=1):
        now[0] += 100 * timeout
        return [task for task in tasks if lasting[task] <= now[0]], []

    def get(task):
        if task in cancelled:
            raise faults.TaskCancelledError
        return Outcome({"accuracy": 0.5}, lasting[task])

    ray = SimpleNamespace(exceptions=faults, get=get, put=lambda function: function, wait=wait)
    ray.cancel = lambda task, force: cancelled.append(task)
    ray.remote = lambda **options: lambda function: SimpleNamespace(remote=lambda sent, arch, limit_s: arch)
    found = list(workers.RayMap(ray)(refuses, ARCHS[:3]))
    assert cancelled == [ARCHS[1]] and now[0] > workers.HANGING_S
    assert [outcome.error for outcome in found] == [None, "it hung: other trials ended long before", None]
