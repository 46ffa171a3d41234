"""REINFORCE by name: a policy gradient with a stream and a reward of its own."""

from __future__ import annotations

from edgenas.strategies.reinforce import Reinforce
from edgenas.testing.toy import ToyContext
from tests.strategies._synthetic import Toy, built, synthetic


def test_it_is_built_with_the_stream_of_its_name():
    problem = synthetic(Toy(3), 0.5, form="absolute")
    made = built("reinforce", problem, seed=5)
    assert isinstance(made, Reinforce) and made.reward_form == "absolute" and made.baseline == "leave-one-out"
    assert made.ask(3) == Reinforce(problem, ToyContext(5).rng("reinforce")).ask(3)
