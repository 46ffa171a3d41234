"""Search by a strategy of your own: simulated annealing on neighbours.

    python docs/examples/own_strategy.py

The same file is a plugin of the command line: `edgenas search --strategy docs/examples/own_strategy.py --budget-ms 1`.
`edgenas.testing.strategy_contract(Annealing)` checks all that the driver relies on. The example takes its smallest
settings.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from typing import Any

from numpy.random import Generator

import edgenas


class Annealing(edgenas.Strategy):
    """Simulated annealing (Kirkpatrick et al., 1983): a worse neighbour is taken with a probability that falls.

    Costs are known before anything is trained, so that only feasible neighbours are proposed.
    """

    reward_form = "hard"  # an architecture above the budget is not trained

    def __init__(self, problem: edgenas.Problem, rng: Generator, *, start: float = 0.05, cooling: float = 0.97) -> None:
        """Prepare to search.

        Args:
            problem: space, costs and objective.
            rng: the only source of randomness.
            start: temperature of the first step, in units of the reward.
            cooling: factor by which the temperature falls at each trial.
        """
        self.problem, self.rng = problem, rng
        self.temperature, self.cooling = start, cooling
        self.centre: tuple[int, ...] | None = None
        self.reward = -math.inf

    def ask(self, n: int = 1) -> list[tuple[int, ...]]:
        """Return one feasible neighbour of the centre, or a random start; [] if hardly any architecture is feasible."""
        for _ in range(1000):
            arch = self._random() if self.centre is None else self._neighbour(self.centre)
            if self.problem.feasible([arch])[0]:
                return [arch]
        return []

    def tell(self, trials: Sequence[edgenas.Trial]) -> None:
        """Move to a trial that is better, or worse by chance."""
        for trial in trials:
            gain = trial.reward - self.reward
            if gain >= 0 or self.rng.random() < math.exp(gain / self.temperature):
                self.centre, self.reward = trial.arch, trial.reward
            self.temperature *= self.cooling

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next proposals depend on."""
        return {
            "rng": self.rng.bit_generator.state,
            "temperature": self.temperature,
            "centre": self.centre,
            "reward": self.reward,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.temperature, self.reward = state["temperature"], state["reward"]
        self.centre = None if state["centre"] is None else tuple(state["centre"])

    def _random(self) -> tuple[int, ...]:
        """Decode random scores: every score vector is a valid architecture."""
        space = self.problem.space
        return space.decode([self.rng.random(len(choice.options)).tolist() for choice in space.choices])

    def _neighbour(self, arch: tuple[int, ...]) -> tuple[int, ...]:
        """Draw one choice again."""
        allowed = self.problem.space.allowed
        choice = int(self.rng.choice([i for i, options in enumerate(allowed) if len(options) > 1]))
        drawn = int(self.rng.choice([option for option in allowed[choice] if option != arch[choice]]))
        return (*arch[:choice], drawn, *arch[choice + 1 :])


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        result = edgenas.search(
            "digits",
            budget_ms=0.15,
            strategy=Annealing,
            device="amd-epyc-zen4",
            trials=6,
            shape_choices=1,
            supernet_epochs=1,
            finalists=1,
            final_epochs=1,
            int8=False,
            output=f"{folder}/run",
        )
        print(f"{result.strategy}: {result.predicted_ms:.3f} ms predicted, {100 * result.test_accuracy:.1f} % test")


if __name__ == "__main__":
    main()
