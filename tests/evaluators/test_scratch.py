"""Scores of short trainings: the same for the same architecture, whatever the threads."""

from __future__ import annotations

import torch

from edgenas.evaluators import scratch
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToyContext, ToyPriced, ToySpace, toy_problem

SPACE = ToySpace(3)
PRICED = ToyPriced(toy_problem(SPACE, 0.5))
ARCH = (0,) * len(SPACE.choices)


def test_keeps_the_contract():
    evaluator = scratch.build(PRICED, ToyContext())
    evaluator_contract(evaluator, SPACE, [ARCH])
    assert evaluator.own_weights and evaluator(ARCH) == evaluator.final(ARCH)


def test_another_process_with_other_threads_scores_the_same():
    before = torch.get_num_threads()
    scores = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        scores.append(scratch.build(PRICED, ToyContext())(ARCH))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert scores[0] == scores[1]
