"""One bilevel training: weights learn on one half of the training images, alphas on the other (arXiv:1806.09055)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from edgenas.data.base import Split, cycled, stratified_split, subset
from edgenas.exploration.problem import Problem
from edgenas.nn.mixture import Mixture, mixed
from edgenas.nn.supernet import Supernet
from edgenas.strategies.gradient.alphas import Alphas, most_macs
from edgenas.strategies.gradient.augmented_lagrangian import AugmentedLagrangian, LagrangianSettings
from edgenas.strategies.gradient.relaxations import Relaxation
from edgenas.strategies.one_shot.parts import reopen, train_part
from edgenas.system import distributed
from edgenas.system.checkpoint import State, load_weights
from edgenas.training.context import TrainingContext
from edgenas.training.ghost_batch_norm import Found, split_batch
from edgenas.training.memory import fit
from edgenas.training.settings import Settings, batch_size_for, epochs_for, rate
from edgenas.training.train import Stepper, make_optimizer

Batch = tuple[Tensor, Tensor]

LIKELY = 0.99  # probability of the largest branches, where the memory of a step is measured on what is drawn
MEMORY = 3  # times in a search that Adam forgets how large gradients of alphas were: those of the budget are, at first


@dataclass(frozen=True)
class BilevelSettings:
    """How alphas are trained, each with its reason; shares are of all steps."""

    weights: Settings
    warm_up: float = 0.15  # weights alone at first: alphas of untrained branches follow noise
    travel: float = 8.0  # how far Adam can move an alpha in the whole search: short runs take larger steps
    alpha_decay: float = 1e-3  # as in DARTS, and so is the first beta of their Adam, 0.5
    floor: float = 0.995  # least probability of the likeliest option in the end: discretising then changes nothing
    anneal_from: float = 0.25  # when that floor begins to rise
    anneal_to: float = 0.8  # what is left makes the weights those of one path
    lagrangian: LagrangianSettings = field(default_factory=LagrangianSettings)
    skip: float = 1.0  # weight of the auxiliary skip connection at first; it decays to zero (DARTS-, arXiv:2009.01027)
    largest_first: bool = False  # whether warm-up trains the largest network, else mixtures as later on


def settings_for(training: Split, default_images: int, epochs: int | None, ghost_batch: int | None) -> BilevelSettings:
    """Return the settings that suit a training split.

    Args:
        training: the images, of which weights see one half.
        default_images: how many are seen where `epochs` is None, in four epochs at least.
        epochs: of the training.
        ghost_batch: the most images that batch norm sees at once.
    """
    epochs = epochs or epochs_for(default_images, 4, len(training))
    return BilevelSettings(Settings(epochs, batch_size_for(len(training) // 2), ghost_batch=ghost_batch))


def largest_first(settings: BilevelSettings) -> BilevelSettings:
    """Return settings for few steps: the largest network first, as in progressive shrinking (arXiv:1908.09791, 3.3).

    Its kernels then lead, and an auxiliary skip connection would take that lead from them: there is none.
    """
    return replace(settings, largest_first=True, warm_up=0.35, anneal_from=0.75, anneal_to=0.95, skip=0.0)


class BilevelTraining:
    """Alternate steps on alphas and on weights, as a function of (seed, step) and the generator alone.

    Deviations from DARTS: it is of first order; there is no `none`, as inputs are a choice of their own; alternatives
    share weights; Adam's rate follows from the number of steps; probabilities are annealed towards the end; the
    expected cost is in the loss, with a multiplier that steers it to the tightest budget from both sides.
    """

    def __init__(
        self,
        problem: Problem,
        training: Split,
        relaxation: Relaxation,
        settings: BilevelSettings,
        rng: Generator,
        *,
        seed: int,
        device: str,
    ) -> None:
        """Start from fresh weights and small random alphas.

        Args:
            problem: with one combination of shape choices.
            training: images, of which weights learn on one half and alphas on the other.
            relaxation: how alphas weight branches.
            settings: of weights, alphas and budget.
            rng: for alphas and for what is drawn; `seed` is for weights and the order of images.
            seed: see `rng`.
            device: where to train, cpu or cuda.
        """
        self.relaxation, self.settings, self.rng, self.seed = relaxation, settings, rng, seed
        space = problem.space
        (statics,) = space.all_statics()
        self.supergraph = space.supergraph(statics)
        generator = torch.Generator().manual_seed(seed)
        self.supernet = Supernet(space, generator).to(torch.device(device))
        self.supernet.forget_statistics()
        self.supernet.to(memory_format=torch.channels_last)
        _fix_scales(self.supernet)
        self.alphas = Alphas(space, rng).to(device)
        one = torch.ones(1, device=device)
        single = {c.name: o for c, o in zip(space.choices, space.allowed, strict=True) if len(o) == 1}
        self.opening: list[Mixture] = []  # of the warm-up, if it has its own
        if settings.largest_first:
            largest = most_macs(space)
            self.opening = [Mixture((largest[i],), one) for i in self.alphas.free]
        self.certain = {name: Mixture(options, one) for name, options in single.items()}
        self.halves = halves(training, seed)
        self.batch_size = min(settings.weights.batch_size, *map(len, self.halves))
        self.ghosts = split_batch(self.batch_size, settings.weights.ghost_batch)
        self.steps = len(self.halves[0]) // self.batch_size * settings.weights.epochs
        self.step = 0
        self.optimizer = make_optimizer(self.supernet, settings.weights)
        self.stepper = Stepper(self.supernet, self.optimizer, settings.weights.clip)
        self.alpha_optimizer = torch.optim.Adam(
            [self.alphas.logits],
            lr=settings.travel / self.steps,
            betas=(0.5, 1 - min(max(MEMORY / self.steps, 0.001), 0.1)),
            weight_decay=settings.alpha_decay,
        )
        self.lagrangian = AugmentedLagrangian(problem, settings.lagrangian, self.steps, torch.device(device))
        self.learns = True  # whether alphas do, from images: the budget steers them in any case
        self._whole = self.ghosts  # how batches are cut if memory suffices
        self._fits = False  # whether that is known

    @property
    def progress(self) -> float:
        """The share of the steps that are done."""
        return self.step / self.steps

    def advance(self, until: int, context: TrainingContext) -> None:
        """Train up to this step.

        Raises:
            Interrupted: the run is to stop; what is done is kept.
            EdgeNASError: twenty steps in a row had no finite gradient.
            EnvironmentFault: a step does not fit in memory; nothing was trained.
        """
        begun = reopen(self, context)
        self.supernet.train()
        self.fit(context)
        weights, alphas = (self.batches(half) for half in (0, 1))

        def update() -> Tensor:
            batch, other = next(weights), next(alphas)
            if self.alphas.free and self.progress >= self.settings.warm_up:
                self._step_alphas(other)
            return self._step_weights(batch)

        train_part(self, begun, until, update, context)

    def fit(self, context: TrainingContext) -> int | None:
        """Cut batches so that a step fits in memory; return the images of a micro-batch, if they had to be cut.

        Raises:
            EnvironmentFault: not even the smallest micro-batch fits.
        """
        if not self._fits:
            self.ghosts = fit(self._whole, self.supernet, self._step_on_largest, self.supergraph.input.shape, context)
            self._fits = True
        return None if self.ghosts is self._whole else self.ghosts.edges[1]

    def batches(self, half: int, step: int | None = None) -> Iterator[Batch]:
        """Yield augmented batches of one half without end, this process's part, from the present or another step on."""
        size, start = self.supergraph.input.shape[1], self.step if step is None else step
        return cycled(self.halves[half], self.batch_size, size, self.seed + half, start, self.ghosts.rows)

    def probabilities(self) -> Tensor:
        """Return probabilities (choices, width), annealed as far as they are to be by now."""
        s = self.settings
        ramp = (self.progress - s.anneal_from) / (s.anneal_to - s.anneal_from)
        return self.alphas.probabilities(s.floor * min(1.0, max(0.0, ramp)))

    def alpha_gradient(self, batch: Batch, *, annealed: bool = True) -> Tensor:
        """Return the gradient of a batch's loss, without costs, by alphas: `annealed` as they are by now, or not."""
        probabilities = None if annealed else self.alphas.probabilities()
        (gradient,) = self._gradients(self._mixtures(True, probabilities), batch, [self.alphas.logits])
        return torch.zeros_like(self.alphas.logits) if gradient is None else gradient  # all that was drawn is zero

    def _gradients(self, mixtures: Sequence[Mixture], batch: Batch, of: Sequence[Tensor]) -> list[Tensor | None]:
        def compute(x: Tensor, y: Tensor) -> Found:
            loss = self._loss(mixtures, (x, y))
            several = self.ghosts.count > 1  # the graph of the mixtures serves all ghost batches
            return loss.detach(), list(torch.autograd.grad(loss, of, retain_graph=several, allow_unused=True))

        return self.ghosts.mean(compute, *batch)[1]

    def _mixtures(self, for_alphas: bool, probabilities: Tensor | None = None) -> list[Mixture]:
        if not for_alphas and self.opening and self.progress < self.settings.warm_up:
            return self.opening
        make = self.relaxation.for_alphas if for_alphas else self.relaxation.for_weights
        probabilities = self.probabilities() if probabilities is None else probabilities
        return make(probabilities, self.alphas.options(), self.rng, self.progress)

    def logits(self, mixtures: Sequence[Mixture], x: Tensor) -> Tensor:
        """Return logits (N, classes) of the supernet with these mixtures of the free choices."""
        by_name = self.certain | dict(zip(self.alphas.names(), mixtures, strict=True))
        skip = self.settings.skip * max(0.0, 1 - self.progress / self.settings.anneal_to)
        with torch.autocast("cuda", torch.bfloat16, enabled=x.device.type == "cuda"):
            return mixed(self.supernet, self.supergraph, by_name, x, skip=skip)

    def _loss(self, mixtures: Sequence[Mixture], batch: Batch) -> Tensor:
        x, y = batch
        return F.cross_entropy(self.logits(mixtures, x), y, label_smoothing=self.settings.weights.label_smoothing)

    def _step_alphas(self, batch: Batch) -> None:
        logits, pull = self.alphas.logits, self.lagrangian.loss(self.alphas.rows(self.probabilities()))
        if not (self.learns or pull.requires_grad):
            return
        gradient = self.alpha_gradient(batch) if self.learns else torch.zeros_like(logits)
        if pull.requires_grad:  # the same in all processes, as alphas are
            gradient = gradient + torch.autograd.grad(pull, [logits])[0]
        # Decay alone would make alphas equal once they cease to learn.
        self.alpha_optimizer.param_groups[0]["weight_decay"] = self.settings.alpha_decay if self.learns else 0.0
        self.alphas.step(self.alpha_optimizer, gradient)
        distributed.copy_([logits])  # a rounding apart, processes would draw other branches

    def _step_weights(self, batch: Batch) -> Tensor:
        settings = self.settings.weights
        for group in self.optimizer.param_groups:
            group["lr"] = rate(settings, self.step, self.steps)
        self.optimizer.zero_grad()
        with torch.no_grad():
            mixtures = self._mixtures(False)

        def backward(x: Tensor, y: Tensor, step: int) -> Tensor:
            loss = self._loss(mixtures, (x, y))
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        loss = self.ghosts.step(self.supernet, backward, *batch, self.step)
        self.stepper.step()
        return loss

    def _step_on_largest(self, x: Tensor, y: Tensor) -> None:
        """Compute the gradients of alphas and of weights where most memory is needed; nothing is learned or drawn."""
        probabilities = self.alphas.probabilities().detach()
        largest = most_macs(self.supernet.space)
        certain = torch.zeros_like(probabilities)
        for row, i in enumerate(self.alphas.free):
            certain[row, largest[i]] = 1.0
        for p in (probabilities, LIKELY * certain + (1 - LIKELY) * probabilities):
            drawn = (p.requires_grad_(), self.alphas.options(), copy.deepcopy(self.rng), self.progress)
            if self.alphas.free:
                torch.autograd.grad(self._loss(self.relaxation.for_alphas(*drawn), (x, y)), [p], allow_unused=True)
            with torch.no_grad():
                mixtures = self.relaxation.for_weights(*drawn)
            self._loss(mixtures, (x, y)).backward()  # type: ignore[no-untyped-call]
            if self.relaxation.smooth:  # all branches are computed, however likely they are
                break

    def state(self) -> State:
        """Return weights, alphas, optimisers, multiplier, generator and step."""
        return {
            "supernet": copy.deepcopy(self.supernet.state_dict()),
            "alphas": copy.deepcopy(self.alphas.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "alpha_optimizer": copy.deepcopy(self.alpha_optimizer.state_dict()),
            "steering": self.lagrangian.state(),
            "learns": self.learns,
            "rng": self.rng.bit_generator.state,
            "step": self.step,
        }

    def load(self, state: State) -> None:
        """Load what `state` returned."""
        load_weights(self.supernet, state["supernet"])
        self.alphas.load_state_dict(state["alphas"])
        self.alphas.refresh()
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.alpha_optimizer.load_state_dict(copy.deepcopy(state["alpha_optimizer"]))
        self.lagrangian.load(state["steering"])
        self.rng.bit_generator.state, self.learns, self.step = state["rng"], state["learns"], state["step"]


def _fix_scales(supernet: Supernet) -> None:
    """Fix scale and shift of batch norm, as in DARTS: learned ones would undo whatever weight a branch has."""
    for key, parameter in supernet.shared.items():
        if key.endswith((":scale", ":shift")):
            parameter.requires_grad_(False)


def halves(training: Split, seed: int) -> tuple[Split, Split]:
    """Return two disjoint halves, each class in proportion."""
    first, second = stratified_split(training.labels.numpy(), (0.5, 0.5), seed)
    return subset(training, first), subset(training, second)
