"""Scores from a file."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.errors import DataError, UsageError
from edgenas.evaluators.tabular import accuracies, read_scores
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.spaces.build import build_space
from edgenas.workflows.config import make_config

SPACE = build_space("nasbench201", (3, 32, 32), 10)
CODES = np.array([[3, 3, 3, 1, 3, 3], [0, 0, 0, 1, 0, 0], [2, 2, 2, 2, 2, 2]], dtype=np.uint8)
COLUMNS = {
    "op_codes": CODES,
    "acc_c10_val": np.array([91.0, 85.0, 90.0]),
    "acc_c10_test": np.array([94.0, 84.0, 89.0]),
    "lat_names": np.array(["pi", "phone"]),
    "lat_ms": np.array([[30.0, 9.0], [5.0, 3.0], [20.0, 10.0]]),
}


def written(tmp_path, **changed):
    path = tmp_path / "scores.npz"
    np.savez(path, **{name: value for name, value in {**COLUMNS, **changed}.items() if value is not None})
    return path


def test_accuracy_and_latency_are_looked_up(tmp_path):
    scores = read_scores(written(tmp_path))
    evaluate, pi = scores.evaluator("c10_val", SPACE), scores.latency("pi")
    assert pi.metric == "latency_ms@pi"
    for row, arch in enumerate(scores.archs):
        assert evaluate(arch) == evaluate.final(arch) == {"accuracy": COLUMNS["acc_c10_val"][row] / 100}
        assert pi(SPACE.graph(arch)) == COLUMNS["lat_ms"][row, 0]
    assert pi.many(SPACE, scores.archs).tolist() == [30.0, 5.0, 20.0]


def test_a_budget_on_a_looked_up_latency(tmp_path):
    scores = read_scores(written(tmp_path))
    pi = scores.latency("pi")
    problem = Problem(SPACE, (pi,), Objective({pi.metric: 20.0}), scores.evaluator("c10_val", SPACE))
    assert problem.feasible(scores.archs).tolist() == [False, True, True]
    assert "accuracy" not in problem.evaluate(scores.archs[0])


def test_what_is_not_there_is_named(tmp_path):
    scores = read_scores(written(tmp_path))
    with pytest.raises(UsageError, match="c10_val, c10_test"):
        scores.evaluator("c100_val", SPACE)
    with pytest.raises(UsageError, match="pi, phone"):
        scores.latency("watch")
    with pytest.raises(UsageError, match="000000"):
        scores.evaluator("c10_val", SPACE)((0,) * 6)
    with pytest.raises(UsageError, match="latency_ms@pi"):
        scores.latency("pi").many(SPACE, [(0,) * 6])


def test_the_accuracies_of_a_search_are_named_by_flag(tmp_path):
    config = {"evaluator": "tabular", "scores": str(written(tmp_path))}
    assert accuracies(make_config({**config, "scores_name": "c10_val"}))[1] == "c10_val"
    for name in ({}, {"scores_name": "c100_val"}):
        with pytest.raises(UsageError, match="--scores-name: .*c10_val, c10_test"):
            accuracies(make_config(config | name))


def test_scores_of_another_space_are_refused(tmp_path):
    scores = read_scores(written(tmp_path))
    with pytest.raises(UsageError, match="mbconv"):
        scores.evaluator("c10_val", build_space("mbconv", (3, 32, 32), 10))


@pytest.mark.parametrize(
    "changed",
    [
        {"op_codes": None},
        {"acc_c10_val": None, "acc_c10_test": None},
        {"acc_c10_val": np.array([91.0, np.nan, 90.0])},
        {"acc_c10_val": np.array([91.0, 90.0])},
        {"lat_ms": np.ones((3, 1))},
        {"op_codes": CODES[:0], "acc_c10_val": np.zeros(0), "acc_c10_test": np.zeros(0), "lat_ms": np.ones((0, 2))},
        {"op_codes": np.array([{}, 1, None], dtype=object)},
        {"op_codes": CODES.astype(float)},
        {"op_codes": CODES[[0, 1, 1]]},
        {"acc_c10_val": np.array([91.0, 101.0, 90.0])},
        {"lat_ms": np.array([[30.0, 9.0], [0.0, 3.0], [20.0, 10.0]])},
    ],
)
def test_bad_files_are_refused(tmp_path, changed):
    with pytest.raises(DataError, match="holds no scores"):
        read_scores(written(tmp_path, **changed))


@pytest.mark.parametrize("content", [b"", b"not a file of numpy", b"PK\x03\x04 torn"])
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "scores.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="holds no scores"):
        read_scores(path)


def test_a_damaged_file_is_refused_whatever_was_hit(tmp_path, rng):
    path = tmp_path / "scores.npz"
    np.savez_compressed(path, op_codes=rng.integers(0, 5, (200, 6)), acc_val=rng.random(200))
    whole = path.read_bytes()
    for place in rng.choice(len(whole), 300):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        try:
            read_scores(path)
        except DataError as error:
            assert "holds no scores" in str(error)
