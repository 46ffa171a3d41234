"""Random search: the control that every strategy has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgenas.exploration.feasible import Archive, new_samples
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State


class Random(Strategy):
    """Uniformly random feasible architectures, each network once (the control of arXiv:1902.07638).

    Under a budget so tight that thousands of samples hold no new feasible one, samples are repaired instead.

    >>> import numpy as np
    >>> from edgenas.testing.toy import ToySpace, toy_problem
    >>> problem = toy_problem(ToySpace(3), budget_share=0.3)
    >>> archs = Random(problem, np.random.default_rng(0)).ask(2)
    >>> problem.feasible(archs).tolist()
    [True, True]
    """

    reward_form = "hard"

    def __init__(self, problem: Problem, rng: Generator) -> None:
        """Search `problem`; `rng` is all its randomness."""
        self.problem = problem
        self.rng = rng
        self.proposed = Archive(problem.space)

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` new feasible architectures; [] when nothing new turns up."""
        return new_samples(self.problem, self.proposed, self.rng, n)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""

    def state_dict(self) -> State:
        """Return generator and what was proposed."""
        return {"rng": self.rng.bit_generator.state, "proposed": self.proposed.state()}

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.proposed.load(state["proposed"])
