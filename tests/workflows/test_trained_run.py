"""What a search left is opened as it was, and nothing of it is changed."""

import shutil

import pytest
import torch

from edgenas.errors import CheckpointError, UsageError
from edgenas.exploration.study import read_trials
from edgenas.system import checkpoint
from edgenas.system.file_index import forget, write_kept
from edgenas.system.progress import SilentReporter
from edgenas.workflows.trained_run import open_trained_run
from tests import _toys
from tests._searched import BUDGET_MS, TOY, hashes, search

SHARED = {"strategy": "gdas", "search_epochs": 2, "trials": 2}


def opened(folder, **moved):
    return open_trained_run(folder, SilentReporter(), moved=moved)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A search whose strategy trained the weights."""
    folder = tmp_path_factory.mktemp("runs") / "gdas"
    search(folder, **SHARED)
    return folder


@pytest.fixture
def copied(searched, tmp_path):
    return shutil.copytree(searched, tmp_path / "copy")


def test_scores_are_those_of_the_search(searched):
    finished = opened(searched)
    evaluate = finished.evaluator()
    for trial in read_trials(searched):
        metrics = finished.priced.problem.preview([trial.arch])[0] | evaluate(trial.arch)
        assert metrics == pytest.approx(trial.metrics)


def test_nothing_in_the_folder_changes(searched, shared):
    for folder in (searched, shared):
        before = hashes(folder)
        finished = opened(folder)
        finished.evaluator()(read_trials(folder)[-1].arch)
        assert hashes(folder) == before


def test_what_was_trained_is_what_any_reward_scores(searched):
    """One and a half budgets, the sizes that were kept, and nothing else."""
    finished = opened(searched)
    priced, trained = finished.priced, finished.trained
    archs = _toys.all_archs(trained.space)
    gate_ms = priced.costs.gate.many(trained.space, archs)
    assert trained.feasible(archs).tolist() == (gate_ms <= 1.5 * BUDGET_MS).tolist()
    assert 0 < trained.feasible(archs).sum() < len(archs)
    assert trained.feasible([trial.arch for trial in read_trials(searched)]).all()
    assert finished.supernet.space.allowed == trained.space.allowed


def test_weights_that_a_strategy_trained(shared):
    finished = opened(shared)
    state = checkpoint.load(shared / "search.pt")["strategy"]["training"]["supernet"]
    weights = finished.supernet.state_dict()
    assert weights.keys() == state.keys() and all(torch.equal(weights[name], state[name]) for name in state)
    assert len(list(finished.trained.space.all_statics())) == 1, "gradients keep one size"
    last = read_trials(shared)[-1]
    assert finished.trained.feasible([last.arch])[0]
    assert finished.evaluator()(last.arch)["accuracy"] == pytest.approx(last.metrics["accuracy"])


def test_what_has_moved_since_can_be_said(searched):
    assert opened(searched, train_device="cpu").priced.torch_device == "cpu"


@pytest.mark.parametrize(
    "lost, message",
    [
        ("config.toml", "holds no run"),
        ("supernet.pt", r"supernet.pt is not there\); go on with `edgenas search --output .* --resume`"),
        ("narrow.json", "narrow.json is not there"),
    ],
)
def test_a_run_that_did_not_come_so_far(copied, lost, message):
    forget(copied / lost)
    with pytest.raises(UsageError, match=message):
        opened(copied)


def test_a_supernet_that_is_half_trained(copied):
    path = copied / "supernet.pt"
    payload = checkpoint.load(path)
    checkpoint.save(path, {**payload, "step": payload["step"] - 1})
    with pytest.raises(UsageError, match="its supernet is at step"):
        opened(copied)


@pytest.mark.parametrize(
    "setting, message",
    [
        ('evaluator = "scratch"', "scratch shares no weights"),
        ('evaluator = "tabular"', "tabular shares no weights"),
        ("", "holds no search"),
        ('evaluator = "supernet"\nunheard = 1', "no setting 'unheard'"),
    ],
)
def test_runs_without_shared_weights(copied, setting, message):
    config = copied / "config.toml"
    write_kept(config, config.read_text().replace('evaluator = "supernet"', setting).encode())
    with pytest.raises(UsageError, match=message):
        opened(copied)


def test_weights_of_another_version_or_of_another_run(copied):
    path = copied / "supernet.pt"
    payload = checkpoint.load(path)
    checkpoint.save(path, {**payload, "module": {"stem:kernel": torch.zeros(1)}})
    with pytest.raises(CheckpointError, match="another version"):
        opened(copied)
    checkpoint.save(path, {**payload, "identity": {**payload["identity"], "seed": TOY.get("seed", 0) + 1}})
    with pytest.raises(CheckpointError, match="seed"):
        opened(copied)
    path.write_bytes(b"nothing of ours")
    checkpoint.previous(path).unlink()
    with pytest.raises(CheckpointError, match="not an edgenas checkpoint"):
        opened(copied)
