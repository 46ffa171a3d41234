"""Shared weights beside weights of their own: which networks are compared, what is kept, and what is printed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgenas.cli.main import main
from edgenas.errors import BudgetError, UsageError
from edgenas.system.file_index import INDEX
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import RunFolder
from edgenas.workflows.ranking import correlations, ranking, stratified
from edgenas.workflows.trained_run import open_trained_run
from tests._searched import hashes
from tests.strategies._synthetic import GATE, Toy, synthetic

SPACE = Toy(6)


@pytest.mark.parametrize("budget_share", [0.05, 0.3, 2.0])
def test_networks_are_feasible_different_and_spread_over_the_latencies(budget_share, rng):
    problem = synthetic(SPACE, budget_share)
    archs = stratified(problem, GATE, 12, rng)
    ms = np.array([metrics[GATE] for metrics in problem.preview(archs, [GATE])])
    assert problem.feasible(archs).all() and (np.diff(ms) >= 0).all() and 3 <= len(set(archs)) == len(archs) <= 12
    whole = [metrics[GATE] for metrics in problem.preview(stratified(problem, GATE, 1000, rng), [GATE])]
    quartiles = np.searchsorted(np.quantile(whole, [0.25, 0.5, 0.75]), ms)
    assert len(archs) < 12 or set(quartiles.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "a, b, spearman, kendall",
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0, 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0, -1.0),
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6, 1 / 3),
        ([1, 2, 2, 3], [1, 2, 3, 3], 5 / 6, 0.8),
        ([1, 2, 3], [5, 5, 5], float("nan"), float("nan")),
    ],
)
def test_correlations(a, b, spearman, kendall):
    assert correlations(a, b) == pytest.approx((spearman, kendall), nan_ok=True)


@pytest.fixture
def copied(searched, tmp_path):
    return shutil.copytree(searched, tmp_path / "copy")


def test_networks_trained_before_are_not_trained_again(copied, monkeypatch):
    before = {name: hash_ for name, hash_ in hashes(copied).items() if name != INDEX}
    first = ranking(copied, SilentReporter(), networks=3, epochs=1)
    written = hashes(copied)
    kept = "ranking-1-epochs.json"
    assert written.items() >= before.items() and set(written) == {*before, INDEX, kept}
    evaluate = open_trained_run(copied, SilentReporter()).evaluator()
    space = open_trained_run(copied, SilentReporter()).priced.space
    for row in first.networks:
        assert row.shared == evaluate.final(space.parse(row.arch))["accuracy"]
    monkeypatch.setattr("edgenas.evaluators.scratch.train", None)
    assert repr(ranking(copied, SilentReporter(), networks=3, epochs=1)) == repr(first)  # nan equals nan there
    monkeypatch.undo()
    # What is damaged or gone is begun again.
    for damage in (lambda path: path.write_text(path.read_text().replace("1", "2")), Path.unlink):
        damage(copied / kept)
        assert repr(ranking(copied, SilentReporter(), networks=3, epochs=1)) == repr(first)
        assert hashes(copied) == written


def test_a_run_that_is_under_way_is_not_written_into(copied):
    run = RunFolder(copied, resume=True)
    before = hashes(copied)
    with pytest.raises(UsageError, match="works in it"):
        ranking(copied, SilentReporter(), networks=3)
    assert hashes(copied) == before
    run.unlock()


def test_the_command_prints_each_network_and_how_they_agree(copied, capsys):
    assert main(["ranking", str(copied), "--networks", "3", "--epochs", "1", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 3 + 1 and "rank correlation of 3 networks: Spearman" in lines[-1]
    assert main(["ranking", str(copied), "--networks", "3", "--epochs", "1", "-q", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["networks"]) == 3


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        ranking(tmp_path, SilentReporter(), networks=3)


def test_too_few_networks_have_no_ranking(copied, monkeypatch):
    monkeypatch.setattr("edgenas.workflows.ranking.stratified", lambda *arguments: [])
    with pytest.raises(BudgetError, match="nothing to rank"):
        ranking(copied, SilentReporter(), networks=3)
