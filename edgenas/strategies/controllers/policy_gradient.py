"""Policy gradient with an LSTM controller."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Literal

import torch
from numpy.random import Generator
from torch import Tensor

from edgenas.exploration.feasible import Archive, network_keys, random_feasible, repair
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import is_allowed
from edgenas.strategies.controllers.lstm import Controller
from edgenas.system.checkpoint import State

# Samples drawn per sample of a round: a round prefers those that need an evaluation, or it would often be about
# networks that are known, or too slow, by the time the policy has an opinion.
DRAWS = 8
# Updates that one `ask` may make on costs and known rewards alone before it looks elsewhere.
FREE_ROUNDS = 32
# Samples of the final policy that are ranked for the recommendation.
FINAL_SAMPLES = 256

Baseline = Literal["leave-one-out", "moving"]


class PolicyGradient(Strategy):
    """REINFORCE on an LSTM policy (Williams, 1992; Zoph and Le, arXiv:1611.01578), with what makes it beat random.

    The policy is updated once a *round* of samples has its rewards. Of many draws it takes those that the objective
    scores and whose network is new; they are evaluated. What is missing is filled up with the others, whose rewards
    follow from their costs, or from memory. So the policy finds the budget without a single evaluation, an `ask` may
    span many rounds, and no network is evaluated twice on the same weights.
    """

    reward_form = "absolute"

    def __init__(
        self,
        problem: Problem,
        rng: Generator,
        *,
        samples: int = 8,
        hidden: int = 64,
        learning_rate: float = 0.03,
        entropy_weight: float = 0.03,
        entropy_decay: float = 0.98,
        baseline: Baseline = "leave-one-out",
    ) -> None:
        """Start from a fresh policy.

        Args:
            problem: what is searched.
            rng: all its randomness.
            samples: of a round, two at least.
            hidden: width of the LSTM.
            learning_rate: of Adam.
            entropy_weight: of the entropy bonus, in rewards per nat, at first.
            entropy_decay: what the bonus shrinks by with every `samples` evaluations.
            baseline: what rewards are compared with: the others of their round, or a moving average.
        """
        self.problem = problem
        self.rng = rng
        self.samples = samples
        self.entropy_weight = entropy_weight
        self.entropy_decay = entropy_decay
        self.baseline = baseline
        self.controller = Controller(problem.space.allowed, hidden, rng)
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=learning_rate)
        self.moving: float | None = None
        self.evaluated = 0
        self.round: list[tuple[Arch, float | None]] = []
        self.known: dict[bytes, tuple[Arch, float]] = {}
        self.weights_version = 0

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` samples of the policy that need an evaluation; new random ones when it repeats itself."""
        for _ in range(FREE_ROUNDS):
            if not self.learn():
                return [arch for arch, reward in self.round if reward is None][:n]
            self._draw()
        return self._elsewhere()

    def learn(self) -> bool:
        """Update the policy on the round, if it has all its rewards, and end it; False while some are awaited."""
        if any(reward is None for _, reward in self.round):
            return False
        if self.round:
            self._update([arch for arch, _ in self.round], [reward for _, reward in self.round if reward is not None])
        self.round = []
        return True

    def rehearse(self, accuracies: Callable[[Sequence[Arch]], Sequence[float]], rounds: int) -> None:
        """Update the policy `rounds` times between two rounds, on rewards too rough to be remembered.

        Args:
            accuracies: gives the accuracy (0..1) of each of some architectures.
            rounds: how many updates.
        """
        objective = self.problem.objective
        for _ in range(rounds):
            archs = self.controller.sample(self.samples, self.rng)
            rows = [dict(metrics) for metrics in self.problem.preview(archs, list(objective.budgets))]
            scored = [i for i, row in enumerate(rows) if objective.scored(row)]
            for i, accuracy in zip(scored, accuracies([archs[i] for i in scored]), strict=True):
                rows[i][objective.quality] = accuracy
            self._update(archs, [objective.reward(row) for row in rows])

    def forget(self) -> None:
        """Forget known rewards, as the weights are others from now on; called between rounds."""
        self.known.clear()

    def tell(self, trials: Sequence[Trial]) -> None:
        """Complete the current round; rewards are remembered as long as the weights stay the same."""
        self.evaluated += len(trials)
        for trial, key in zip(trials, self._keys([trial.arch for trial in trials]), strict=True):
            if trial.weights_version > self.weights_version:
                self.weights_version = trial.weights_version
                self.known.clear()
            self.known[key] = trial.arch, trial.reward
        told = {trial.arch: trial.reward for trial in trials}
        self.round = [(arch, told.get(arch) if reward is None else reward) for arch, reward in self.round]

    def narrow(self, space: SearchSpace) -> None:
        """The policy forgets no option that is still allowed; a round goes on with what it has within the space."""
        super().narrow(space)
        self.controller.narrow(space.allowed)
        within = [(arch, reward) for arch, reward in self.round if is_allowed(space, arch)]
        # The leave-one-out baseline needs two rewards.
        self.round = within if len(within) > 1 else []

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """Return the best trials and the likeliest feasible samples of the final policy, in turn."""
        rng = copy.deepcopy(self.rng)  # asked twice, it answers the same
        samples = list(dict.fromkeys(self.controller.sample(FINAL_SAMPLES, rng)))
        with torch.no_grad():
            likelihood = self.controller(samples)[0]
        ranked = [samples[i] for i in torch.argsort(likelihood, descending=True, stable=True).tolist()]
        repaired = [arch for arch in (repair(self.problem, arch, rng) for arch in ranked[:k]) if arch is not None]
        trials = [trial.arch for trial in study.best(k)]
        # `zip_longest` pads the shorter list with None, which is dropped.
        in_turn = (arch for arch in chain.from_iterable(zip_longest(trials, repaired)) if arch is not None)
        return Archive(self.problem.space).add(in_turn, k)

    def _draw(self) -> None:
        """Begin a round: first what needs an evaluation, then what has its reward already."""
        objective = self.problem.objective
        archs = self.controller.sample(self.samples * DRAWS, self.rng)
        previews = self.problem.preview(archs, list(objective.budgets))
        new: dict[bytes, Arch] = {}
        rewarded: list[tuple[Arch, float | None]] = []
        for arch, metrics, key in zip(archs, previews, self._keys(archs), strict=True):
            if not objective.scored(metrics):
                rewarded.append((arch, objective.reward(metrics)))
            elif key in self.known:
                rewarded.append((arch, self.known[key][1]))
            else:
                new.setdefault(key, arch)
        # What needs no evaluation comes last, so it is cut off first.
        self.round = [*((arch, None) for arch in new.values()), *rewarded][: self.samples]

    def _update(self, archs: Sequence[Arch], rewards: Sequence[float]) -> None:
        """Do one step of Adam on a complete round."""
        log_prob, entropy = self.controller(archs)
        bonus = self.entropy_weight * self.entropy_decay ** (self.evaluated / self.samples)
        advantage = self._advantage(torch.tensor(rewards, dtype=torch.float64))
        loss = -(advantage * log_prob + bonus * entropy).mean()
        self.optimizer.zero_grad()
        if loss.requires_grad:  # not where every choice has a single option
            loss.backward()
            self.optimizer.step()

    def _advantage(self, rewards: Tensor) -> Tensor:
        """Return rewards (n,) over the baseline, divided by their spread: float32 (n,), all 0 if they are equal."""
        n = len(rewards)
        spread = rewards.std(correction=0)
        if spread < 1e-9:
            return torch.zeros(n)
        mean = float(rewards.mean())
        if self.baseline == "moving":
            self.moving = mean if self.moving is None else 0.9 * self.moving + 0.1 * mean
            return ((rewards - self.moving) / spread).float()
        # The mean of the others: r_i - (n mean - r_i) / (n - 1).
        return ((rewards - mean) * n / (n - 1) / spread).float()

    def _elsewhere(self) -> list[Arch]:
        """Return a random feasible architecture of a new network, which is no part of the policy's rounds."""
        for _ in range(FREE_ROUNDS):
            arch = random_feasible(self.problem, self.rng)
            if arch is None:
                break
            if self._keys([arch])[0] not in self.known:
                return [arch]
        return []

    def _keys(self, archs: Sequence[Arch]) -> list[bytes]:
        return network_keys(self.problem.space, archs)

    def state_dict(self) -> State:
        """Return generator, policy, optimiser, round and memory."""
        return {
            "rng": self.rng.bit_generator.state,
            "controller": copy.deepcopy(self.controller.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "moving": self.moving,
            "evaluated": self.evaluated,
            "round": list(self.round),
            "known": list(self.known.values()),
            "weights_version": self.weights_version,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.controller.load_state_dict(state["controller"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.moving = state["moving"]
        self.evaluated = state["evaluated"]
        self.round = [(tuple(arch), reward) for arch, reward in state["round"]]
        known = [(tuple(arch), reward) for arch, reward in state["known"]]
        self.known = dict(zip(self._keys([arch for arch, _ in known]), known, strict=True))
        self.weights_version = state["weights_version"]
