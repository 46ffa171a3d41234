"""One's own loop needs one import: `edgenas`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgenas
from edgenas.api import contracts


class Space(edgenas.SearchSpace):
    """Two choices, nine architectures."""

    choices = (edgenas.Choice("kernel", (1, 3, 5)), edgenas.Choice("channels", (4, 8, 16)))

    def emit(self, g: edgenas.Builder) -> None:
        bodies = {}
        for n in (4, 8, 16):
            kernels = {k: g.conv(f"c{n}.k{k}", g.input, out=n, kernel=k) for k in (1, 3, 5)}
            bodies[n] = g.conv(f"p{n}", g.choose("kernel", kernels, name=f"kernel{n}"), out=16)
        g.linear("head", g.global_pool("pool", g.choose("channels", bodies)), out=self.classes)


def accuracy(arch):
    return {"accuracy": 0.5 + 0.1 * sum(arch)}


@pytest.fixture
def problem() -> edgenas.Problem:
    return edgenas.Problem(
        Space((3, 16, 16), 10), (edgenas.CountCost("macs"),), edgenas.Objective({"macs": 200_000}), accuracy
    )


@pytest.mark.parametrize("strategy", [edgenas.strategies.Random, edgenas.strategies.Evolution, edgenas.strategies.GA])
def test_an_own_loop_finds_the_best_feasible_architecture(problem, strategy, tmp_path):
    study = edgenas.Study(tmp_path, problem.objective)
    ending = edgenas.run_search(problem, strategy(problem, np.random.default_rng(0)), study, max_trials=20)
    feasible = [arch for arch in np.ndindex(3, 3) if problem.feasible([arch])[0]]
    best = max(feasible, key=lambda arch: accuracy(arch)["accuracy"])
    assert study.best(1)[0].metrics["accuracy"] == accuracy(best)["accuracy"]
    assert ending in ("exhausted", "trials") and all(isinstance(trial, edgenas.Trial) for trial in study.trials)


def test_latency_comes_from_a_shipped_table(problem):
    entry = next(e for e in edgenas.list("devices") if e.name == "amd-epyc-zen4/onnxruntime-1t-fp32")
    table = edgenas.read_table(Path(entry.file))
    assert isinstance(table, edgenas.LatencyTable)
    latency, low, high = edgenas.latency_interval(table, problem.space, estimate_missing=True)
    graph = problem.space.graph((1, 1))
    assert low(graph) < latency(graph) < high(graph)


def test_a_loop_starts_without_torch():
    script = """
import sys
import edgenas
edgenas.SearchSpace, edgenas.Problem, edgenas.Objective, edgenas.Study, edgenas.CountCost, edgenas.run_search
edgenas.strategies.Random, edgenas.strategies.Evolution, edgenas.read_table
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "onnx", "onnxruntime", "fvcore")]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_contract_has_the_name_that_the_package_gives_it():
    names = [name for name, value in vars(contracts).items() if getattr(value, "__module__", "").startswith("edgenas")]
    assert names and all(getattr(edgenas, name) is getattr(contracts, name) for name in names)
