"""Against collapse: gradient searches that drift into skip connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from edgenas.graph.graph import Arch, Choice, Option
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.gradient.bilevel_training import BilevelTraining
from edgenas.system.checkpoint import State

MOST_SKIPS = 3  # skip connections in one cell; with more of them a cell has collapsed
# RobustDARTS (arXiv:1909.09656), section 4.3: the eigenvalue over that of `WINDOW` checks ago, at most.
WINDOW, RISE = 5, 1 / 0.75
CHECKS, EVERY = 10, 20  # of the eigenvalue over a search, and least steps between them: each costs four gradients
STEP = 1e-2  # of the finite difference, relative to a direction of length 1


def skips_by_cell(space: SearchSpace, arch: Arch) -> dict[str, list[str]]:
    """Return the choices that take a skip connection and decide something, by cell: names up to the first dot."""
    found: dict[str, list[str]] = {}
    for choice, option in _taken(space, arch):
        if option in space.skip_options:
            cell, dot, _ = choice.name.partition(".")
            found.setdefault(cell if dot else "", []).append(choice.name)
    return found


def full_cells(space: SearchSpace, arch: Arch) -> dict[str, list[str]]:
    """Return the skip connections of every cell that has too many of them, as `skips_by_cell` does."""
    return {cell: names for cell, names in skips_by_cell(space, arch).items() if len(names) > MOST_SKIPS}


def collapsed(space: SearchSpace, arch: Arch) -> list[str]:
    """Return what to warn of: cells that are mostly skip connections, and a network with one op everywhere."""
    lines = [
        f"collapse: cell {cell or '(all)'} has {len(names)} skip connections, which train fast and tell little; "
        "--options guards=on withdraws them"
        for cell, names in full_cells(space, arch).items()
    ]
    taken = [(choice.options, option) for choice, option in _taken(space, arch) if len(choice.options) > 1]
    if len(taken) > MOST_SKIPS and all(one == taken[0] for one in taken):
        lines.append(f"collapse: all {len(taken)} choices take {taken[0][1]}")
    return lines


def _taken(space: SearchSpace, arch: Arch) -> Iterator[tuple[Choice, Option]]:
    """The choices that decide something, each with the option that is taken."""
    active = space.active_choices(space.rows([arch]))[0]
    for choice, option, is_active in zip(space.choices, arch, active, strict=True):
        if is_active:
            yield choice, choice.options[option]


class Eigenvalue:
    """Follows the largest eigenvalue of the Hessian of the validation loss with respect to the alphas.

    Power iteration with finite differences of the gradient, going on from the last direction.
    """

    def __init__(self) -> None:
        """Start without any value."""
        self.direction: Tensor | None = None
        self.values: deque[float] = deque(maxlen=WINDOW + 1)

    def rises(self, gradient: Callable[[Tensor], Tensor], logits: Tensor, iterations: int = 2) -> bool:
        """Return whether it has risen too far since `WINDOW` checks ago; `gradient` is a function of logits."""
        v = torch.ones_like(logits) if self.direction is None else self.direction
        v = v / v.norm()
        value = 0.0
        for _ in range(iterations):
            product = (gradient(logits + STEP * v) - gradient(logits - STEP * v)) / (2 * STEP)
            value = float((v * product).sum())  # Rayleigh quotient, as v has length 1
            v = product / product.norm().clamp(min=1e-12)
        self.direction = v
        self.values.append(abs(value))
        first, last = self.values[0], self.values[-1]
        return len(self.values) > WINDOW and last > RISE * first

    def state(self) -> tuple[Tensor | None, list[float]]:
        """Return the direction and the values."""
        return (None if self.direction is None else self.direction.clone()), list(self.values)

    def load(self, state: tuple[Tensor | None, list[float]]) -> None:
        """Load what `state` returned."""
        self.direction, values = state
        self.values = deque(values, maxlen=WINDOW + 1)


class CollapseDetector:
    """Ends what alphas learn where the loss sharpens in them, and withdraws skip connections that are too many.

    RobustDARTS (arXiv:1909.09656) stops at the alphas before the eigenvalue rose. Deviations: here weights are trained
    on and the budget still steers; annealing, which alone would raise it, is left out of the eigenvalue. Deviation
    from DARTS+ (arXiv:1909.06035), which stops at the skip connection that is one too many: the least likely ones of a
    full cell are not offered any more, as in P-DARTS (arXiv:1904.12760, section 3.3), and alphas learn on.
    """

    def __init__(self, training: BilevelTraining) -> None:
        """Watch a training."""
        self.training, self.eigenvalue = training, Eigenvalue()
        self.good = training.alphas.logits.detach().clone()
        self.checks = 0
        self.withdrawn = 0  # skip connections
        self.stopped = ""  # when alphas ceased to learn, and why

    def check(self) -> None:
        """Look for collapse in the alphas as they are, and act on it: end their learning, withdraw skip connections."""
        t = self.training
        if not t.alphas.free or t.progress < t.settings.warm_up:
            return
        if t.learns and t.relaxation.smooth and self._is_due() and self._sharpens():
            self.stopped = f"after {t.progress:.0%} of the search, as the loss turned sharp in them"
            t.learns = False
            self._set(self.good)
        if t.progress >= t.settings.anneal_from:
            self._withdraw()
        self.good = t.alphas.logits.detach().clone()

    @property
    def notes(self) -> list[str]:
        """Return what was done, a line each."""
        lines = [f"guard: alphas ceased to learn {self.stopped}"] if self.stopped else []
        if self.withdrawn:
            lines.append(f"guard: {self.withdrawn} skip connections withdrawn: a cell was to have over {MOST_SKIPS}")
        return lines

    def _withdraw(self) -> None:
        """Take the least likely skip connections of a full cell from what is offered, until it is full no more."""
        alphas = self.training.alphas
        while any(alphas.withdraw(names) for names in full_cells(alphas.space, alphas.decode()).values()):
            self.withdrawn += 1

    def _is_due(self) -> bool:
        """Return whether the eigenvalue has not been looked at in this part of the search."""
        due = int(self.training.progress * min(CHECKS, self.training.steps // EVERY))
        before, self.checks = self.checks, due
        return self.checks > before

    def _sharpens(self) -> bool:
        # The same batch at every check: eigenvalues on different ones could not be compared.
        batch = next(self.training.batches(1, step=0))
        here = self.training.alphas.logits.detach().clone()

        def gradient(logits: Tensor) -> Tensor:
            self._set(logits)
            return self.training.alpha_gradient(batch, annealed=False)

        try:
            return self.eigenvalue.rises(gradient, here)
        finally:
            self._set(here)

    def _set(self, logits: Tensor) -> None:
        with torch.no_grad():
            self.training.alphas.logits.copy_(logits)

    def state(self) -> State:
        """Return the alphas that were good, eigenvalues, and what was done."""
        return {
            "good": self.good.clone(),
            "eigenvalue": self.eigenvalue.state(),
            "checks": self.checks,
            "withdrawn": self.withdrawn,
            "stopped": self.stopped,
        }

    def load(self, state: State) -> None:
        """Load what `state` returned."""
        self.good, self.checks = state["good"].to(self.good.device), state["checks"]
        self.withdrawn, self.stopped = state["withdrawn"], state["stopped"]
        self.eigenvalue.load(state["eigenvalue"])
