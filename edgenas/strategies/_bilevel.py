"""Bilevel search: weights learn on one half of the training images, alphas on the other (DARTS, arXiv:1806.09055).

The shared part of all gradient strategies. Each of their files says only how alphas weight branches (`Weighting`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from edgenas.cost.base import AdditiveCost
from edgenas.data._base import Split, stratified_split, subset
from edgenas.engine.settings import Settings, batch_size_for, rate
from edgenas.engine.train import Surroundings, make_optimizer
from edgenas.errors import EdgeNASError, Interrupted, UsageError
from edgenas.evaluators.shared import SharedEvaluator
from edgenas.graph import Arch, Graph
from edgenas.nn.mixture import Mixture, mixed
from edgenas.nn.supernet import Supernet
from edgenas.problem import Problem
from edgenas.spaces._base import SearchSpace
from edgenas.strategies import _base as base
from edgenas.strategies._alphas import Alphas
from edgenas.strategies._expected_cost import ExpectedCost
from edgenas.strategies._feasible import Proposed, feasible_samples, random_feasible, repair
from edgenas.strategies._guards import MOST_SKIPS, Eigenvalue, skips_per_cell
from edgenas.study import Study

Batch = tuple[Tensor, Tensor]
GUARDS = ("on", "off")
SAMPLES = 256  # of the final probabilities, ranked for the recommendation


class Weighting(Protocol):
    """How a strategy turns probabilities (choices, width) into mixtures; `progress` runs from 0 to 1.

    `smooth` says that nothing is drawn: the loss is a function of the alphas, with a Hessian.
    """

    smooth: bool

    def for_alphas(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """The mixtures through which alphas get their gradient."""
        ...

    def for_weights(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """The mixtures that weights learn in."""
        ...


@dataclass(frozen=True)
class BilevelSettings:
    """How alphas are trained, each with its reason; shares are of all steps."""

    weights: Settings
    warm_up: float = 0.15  # weights alone at first: alphas of untrained branches follow noise
    travel: float = 8.0  # how far Adam can move an alpha in the whole search: short runs take larger steps
    alpha_decay: float = 1e-3  # as in DARTS
    floor: float = 0.95  # least probability of the likeliest option in the end
    anneal_from: float = 0.4  # when that floor begins to rise
    anneal_to: float = 0.9
    pull: float = 2.0  # on the squared excess of the expected cost over the budget
    multiplier_rate: float = 30.0  # of the multiplier, over the whole search
    target: float = 0.97  # of the budget: discretising and intervals take the rest
    skip: float = 1.0  # weight of the auxiliary skip connection at first; it decays to zero (DARTS-, arXiv:2009.01027)
    second_order: bool = False  # unrolled weights, equations 7 and 8 of DARTS
    guards: bool = True  # auxiliary skip, and an end to what alphas learn where they collapse


class Bilevel(base.Strategy):
    """Alternates steps on alphas and on weights; each `ask` advances by a part of the training and says what it found.

    Deviations from DARTS: options of several choices may be tied to one input pair, so there is no `none`; Adam's rate
    follows from the number of steps; probabilities are sharpened towards the end; the expected cost is in the loss,
    with a multiplier that steers it to the tightest budget from both sides.
    """

    def __init__(
        self,
        problem: Problem,
        evaluator: SharedEvaluator,
        weighting: Weighting,
        settings: BilevelSettings,
        rng: Generator,
        *,
        seed: int,
        rounds: int,
        private: bool,
        device: str = "cpu",
        around: Surroundings | None = None,
    ) -> None:
        """`problem` with one combination of static options; `private` weights for every alternative, or shared ones.

        The training is cut into so many `rounds`, each with an architecture to evaluate.
        """
        self.problem, self.evaluator, self.weighting, self.settings = problem, evaluator, weighting, settings
        self.rng, self.seed = rng, seed
        self.around = around or Surroundings()
        self.space: SearchSpace = problem.space
        (self.statics,) = self.space.all_statics()
        self.supergraph: Graph = self.space.supergraph(self.statics)
        generator = torch.Generator().manual_seed(seed)
        self.supernet = Supernet(self.space, generator, private=private).to(device)
        self.supernet.to(memory_format=torch.channels_last)
        evaluator.adopt(self.supernet)
        self.alphas = Alphas(self.space, rng).to(device)
        weights_half, alphas_half = halves(evaluator.data.train, seed)
        self.batches = weights_half, alphas_half
        self.per_epoch = max(1, len(weights_half) // settings.weights.batch_size)
        self.steps = self.per_epoch * settings.weights.epochs
        self.rounds = min(rounds, self.steps)
        self.weight_optimizer = make_optimizer(self.supernet, settings.weights)
        self.alpha_optimizer = torch.optim.Adam(
            [self.alphas.logits],
            lr=settings.travel / self.steps,
            betas=(0.5, 0.999),
            weight_decay=settings.alpha_decay,
        )
        self.costs = [
            (ExpectedCost(cost, self.space, self.statics, torch.device(device)), problem.objective.budgets[cost.metric])
            for cost in problem.costs
            if isinstance(cost, AdditiveCost) and cost.metric in problem.objective.budgets
        ]
        self.multiplier = torch.zeros((), device=device)
        self.step = 0
        self.eigenvalue = Eigenvalue()
        self.good = self.alphas.logits.detach().clone()  # the last alphas that no guard objected to
        self.frozen = ""  # why alphas do not learn any more

    # What the driver calls

    def ask(self, n: int = 1) -> list[Arch]:
        """Train on, then what the alphas say now; [] when all steps are done, or nothing is within the budget.

        Where nothing is left to choose, all steps are one round.
        """
        if self.step >= self.steps or random_feasible(self.problem, copy.deepcopy(self.rng)) is None:
            return []
        done = self.step * self.rounds // self.steps
        self._train(-(-(done + 1) * self.steps // self.rounds) if self.alphas.free else self.steps)
        self._guard()
        self.evaluator.weights_version += 1
        return self._likely(1)

    def tell(self, trials: Sequence[Any]) -> None:
        """Nothing: what is learned is learned from images."""

    def narrow(self, space: SearchSpace) -> None:
        """Fewer options get a probability from now on; the size stays what it was."""
        sizes = {self.space.choices[i].name: self.space.allowed[i] for i in self.space.static_indices}
        super().narrow(space.restrict(sizes))
        self.alphas.narrow(self.problem.space)

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """What the final alphas say, and their likeliest feasible samples."""
        return self._likely(k)

    def state_dict(self) -> dict[str, Any]:
        """Weights, alphas, optimisers, multiplier, generator and step."""
        return {
            "supernet": copy.deepcopy(self.supernet.state_dict()),
            "alphas": copy.deepcopy(self.alphas.state_dict()),
            "weight_optimizer": copy.deepcopy(self.weight_optimizer.state_dict()),
            "alpha_optimizer": copy.deepcopy(self.alpha_optimizer.state_dict()),
            "multiplier": self.multiplier.clone(),
            "eigenvalue": self.eigenvalue.state(),
            "good": self.good.clone(),
            "frozen": self.frozen,
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "weights_version": self.evaluator.weights_version,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.supernet.load_state_dict(state["supernet"])
        self.alphas.load_state_dict(state["alphas"])
        self.weight_optimizer.load_state_dict(copy.deepcopy(state["weight_optimizer"]))
        self.alpha_optimizer.load_state_dict(copy.deepcopy(state["alpha_optimizer"]))
        self.multiplier = state["multiplier"].to(self.multiplier.device)
        self.eigenvalue.load(state["eigenvalue"])
        self.good, self.frozen = state["good"].to(self.multiplier.device), state["frozen"]
        self.rng.bit_generator.state = state["rng"]
        self.step = state["step"]
        self.evaluator.weights_version = state["weights_version"]

    # Training

    def _train(self, until: int) -> None:
        """Raises Interrupted if the run is to stop."""
        size = self.supergraph.input.shape[1]
        weights, alphas = (
            cycled(half, self.settings.weights.batch_size, size, self.seed + i, self.step)
            for i, half in enumerate(self.batches)
        )
        self.supernet.train()
        loss = torch.zeros(())
        while self.step < until:
            batch, other = next(weights), next(alphas)
            if self.progress >= self.settings.warm_up and not self.frozen:
                self._step_alphas(other, batch)
            loss = self._step_weights(batch)
            self.step += 1
            if self.step % 10 == 0:
                self.around.progress(self.step, self.steps, f"loss {loss.item():.3f}")
            if self.around.stop():
                raise Interrupted("stopped during the search")
        if not torch.isfinite(loss):
            raise EdgeNASError("the search diverged: its loss is no number; lower the rate")

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        return self.step / self.steps

    def probabilities(self) -> Tensor:
        """(choices, width), as sharp as they are to be by now."""
        s = self.settings
        ramp = (self.progress - s.anneal_from) / (s.anneal_to - s.anneal_from)
        return self.alphas.probabilities(s.floor * min(1.0, max(0.0, ramp)))

    def excess(self, probabilities: Tensor) -> Tensor:
        """The tightest expected cost over its target, less 1: (), with gradients."""
        rows = self.alphas.rows(probabilities)
        each = [cost(rows) / (self.settings.target * bound) - 1 for cost, bound in self.costs]
        return torch.stack(each).amax()

    def _loss(self, mixtures: Sequence[Mixture], batch: Batch) -> Tensor:
        x, y = batch
        by_name = dict(zip(self.alphas.names(), mixtures, strict=True))
        skip = self.settings.skip * max(0.0, 1 - self.progress / self.settings.anneal_to) if self.settings.guards else 0
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.device.type == "cuda"):
            logits = mixed(self.supernet, self.supergraph, by_name, x, skip=skip)
            return F.cross_entropy(logits, y, label_smoothing=self.settings.weights.label_smoothing)

    def _mixtures(self, of: str, probabilities: Tensor) -> list[Mixture]:
        made: list[Mixture] = getattr(self.weighting, f"for_{of}")(
            probabilities, self.alphas.options(), self.rng, self.progress
        )
        return made

    def _step_alphas(self, batch: Batch, training: Batch) -> None:
        probabilities = self.probabilities()
        loss = self._loss(self._mixtures("alphas", probabilities), batch)
        if self.costs:
            excess = self.excess(probabilities)
            loss = loss + self.multiplier * excess + self.settings.pull / 2 * excess.square()
            self.multiplier = self.multiplier + self.settings.multiplier_rate / self.steps * excess.detach()
        gradient: Tensor = torch.autograd.grad(loss, [self.alphas.logits])[0]
        if self.settings.second_order:
            gradient = gradient + self._unrolled(batch, training)
        self.alphas.logits.grad = gradient
        self.alpha_optimizer.step()

    def _unrolled(self, batch: Batch, training: Batch) -> Tensor:
        """What the gradient at weights one step ahead differs by: DARTS, equations 7 and 8.

        The step ahead is one of plain gradient descent, at the present rate.
        """
        parameters: list[Tensor] = list(self.supernet.parameters())
        ahead = self.weight_optimizer.param_groups[0]["lr"]
        here = self._alpha_gradient(batch)
        step = self._weight_gradients(training)
        with torch.no_grad():
            torch._foreach_add_(parameters, step, alpha=-ahead)
        there, direction = self._alpha_gradient(batch), self._weight_gradients(batch)
        length = torch.stack([d.norm() for d in direction]).norm().clamp(min=1e-12)
        epsilon = float(0.01 / length)
        with torch.no_grad():
            torch._foreach_add_(parameters, step, alpha=ahead)
            torch._foreach_add_(parameters, direction, alpha=epsilon)
        above = self._alpha_gradient(training)
        with torch.no_grad():
            torch._foreach_add_(parameters, direction, alpha=-2 * epsilon)
        below = self._alpha_gradient(training)
        with torch.no_grad():
            torch._foreach_add_(parameters, direction, alpha=epsilon)
        difference: Tensor = there - here - ahead * (above - below) / (2 * epsilon)
        return difference

    def _alpha_gradient(self, batch: Batch) -> Tensor:
        loss = self._loss(self._mixtures("alphas", self.probabilities()), batch)
        gradient: Tensor = torch.autograd.grad(loss, [self.alphas.logits])[0]
        return gradient

    def _weight_gradients(self, batch: Batch) -> list[Tensor]:
        """One for each parameter of the supernet, zeros where it is not used."""
        loss = self._loss(self._mixtures("weights", self.probabilities()), batch)
        parameters = list(self.supernet.parameters())
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]

    def _guard(self) -> None:
        """Go back to the last good alphas and keep them, if a cell fills with skips or the loss turns sharp."""
        if self.frozen or not self.settings.guards or self.progress < self.settings.warm_up:
            return
        skips = skips_per_cell(self.space, self.alphas.decode())
        if skips > MOST_SKIPS:
            self.frozen = f"a cell had {skips} skip connections"
        elif self.weighting.smooth and self._is_sharp():
            self.frozen = "the loss turned sharp in the alphas"
        if self.frozen:
            self.frozen += f" after {self.progress:.0%} of the search"
            with torch.no_grad():
                self.alphas.logits.copy_(self.good)
        else:
            self.good = self.alphas.logits.detach().clone()

    def _is_sharp(self) -> bool:
        size = self.supergraph.input.shape[1]
        batch = next(cycled(self.batches[1], self.settings.weights.batch_size, size, self.seed + 1, 0))
        before = self.alphas.logits.detach().clone()

        def gradient(logits: Tensor) -> Tensor:
            with torch.no_grad():
                self.alphas.logits.copy_(logits)
            return self._alpha_gradient(batch)

        try:
            return self.eigenvalue.rises(gradient, before)
        finally:
            with torch.no_grad():
                self.alphas.logits.copy_(before)

    def _step_weights(self, batch: Batch) -> Tensor:
        settings = self.settings.weights
        for group in self.weight_optimizer.param_groups:
            group["lr"] = rate(settings, self.step, self.steps)
        with torch.no_grad():
            probabilities = self.probabilities()
        self.weight_optimizer.zero_grad()
        loss = self._loss(self._mixtures("weights", probabilities), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), settings.clip)
        self.weight_optimizer.step()
        return loss.detach()

    # Architectures

    def _likely(self, k: int) -> list[Arch]:
        """At most `k` feasible architectures: the alphas' own, repaired if need be, then the likeliest samples."""
        rng = copy.deepcopy(self.rng)
        own = repair(self.problem, self.alphas.decode(), rng)
        with torch.no_grad():
            samples = self.alphas.sample(self.alphas.probabilities(0.5), SAMPLES, rng)
        feasible = [arch for arch, fits in zip(samples, self.problem.feasible(samples), strict=True) if fits]
        ranked = sorted(feasible, key=lambda arch: (-self.alphas.log_likelihood(arch), arch))
        likely = [own, *ranked] if own is not None else ranked
        anything = random_feasible(self.problem, rng) if not likely else None
        return Proposed(self.problem.space).add(likely if anything is None else [anything], k)


def halves(training: Split, seed: int) -> tuple[Split, Split]:
    """Two disjoint halves, each class in proportion."""
    first, second = stratified_split(training.labels.numpy(), (0.5, 0.5), seed)
    return subset(training, first), subset(training, second)


def cycled(split: Split, batch_size: int, size: int, seed: int, step: int) -> Iterator[Batch]:
    """Augmented batches without end, from `step` on: a function of (seed, step) alone."""
    per_epoch = max(1, len(split) // batch_size)
    while True:
        epoch, start = divmod(step, per_epoch)
        for batch in split.batches(batch_size, size=size, epoch=epoch, seed=seed, augment=True, start=start):
            yield batch
            step += 1


def one_size(problem: Problem, rng: Generator, draws: int = 2000) -> Problem:
    """`problem` in the static options that hold the largest feasible networks: gradients need shapes that stay.

    By the 80 % quantile of multiply-adds, as sizes are narrowed.
    """
    space = problem.space
    if not space.static_indices:
        return problem
    samples = feasible_samples(problem, rng, draws)
    macs = np.array([metrics["macs"] for metrics in problem.preview(samples, ["macs"])])
    rows = space.rows(samples)
    best, chosen = -1.0, next(space.all_statics())
    for statics, members in space.by_statics(rows).items():
        score = float(np.quantile(macs[members], 0.8))
        if score > best:
            best, chosen = score, statics
    allowed = {space.choices[i].name: [o] for i, o in zip(space.static_indices, chosen, strict=True)}
    return replace(problem, space=space.restrict(allowed))


class Run(base.Run, Protocol):
    """What the wiring of a gradient strategy needs of a run."""

    @property
    def evaluator(self) -> Any:
        """Must be the evaluator `shared`."""
        ...

    @property
    def options(self) -> Mapping[str, str]:
        """Options of the strategy."""
        ...

    @property
    def torch_device(self) -> str:
        """Where to train."""
        ...

    def surroundings(self, name: str, identity: dict[str, Any]) -> Surroundings:
        """Who is told of progress, and who may stop."""
        ...


def bilevel(run: Run, weighting: Weighting, *, private: bool) -> Bilevel:
    """The strategy with the run's settings. Raises UsageError if the run scores by other weights."""
    if not isinstance(run.evaluator, SharedEvaluator):
        raise UsageError(f"--evaluator {run.config.evaluator}: the strategy trains its own weights; leave it out")
    images = len(run.evaluator.data.train)
    epochs = run.config.search_epochs or run.config.seeing(40_000, 4, images)
    return Bilevel(
        one_size(run.problem, run.rng("size")),
        run.evaluator,
        weighting,
        BilevelSettings(
            Settings(epochs, batch_size_for(images // 2)),
            guards=run.options["guards"] == "on",
            second_order=run.options.get("order") == "2",
        ),
        run.rng("alphas"),
        seed=run.config.seed,
        rounds=run.config.trials,
        private=private,
        device=run.torch_device,
        around=run.surroundings("bilevel", {}),
    )
