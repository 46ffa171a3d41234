"""Against collapse: gradient searches that drift into skip connections are stopped before they do."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgenas.graph import Arch
from edgenas.spaces._base import SearchSpace
from edgenas.strategies._bilevel_training import BilevelTraining

MOST_SKIPS = 3  # in one cell
# RobustDARTS (arXiv:1909.09656), section 4.3: the eigenvalue over that of so many checks ago, at most.
WINDOW, RISE = 5, 1 / 0.75
CHECKS = 10  # of the eigenvalue over a search; each costs four gradients
STEP = 1e-2  # of the finite difference, relative to a direction of length 1


def skips_per_cell(space: SearchSpace, arch: Arch) -> int:
    """Most skip connections in any cell: choices of one name up to its first dot, if they decide anything."""
    asked = space.asked(space.rows([arch]))[0]
    counts: Counter[str] = Counter()
    for choice, option, is_asked in zip(space.choices, arch, asked, strict=True):
        if is_asked and choice.options[option] in space.skip_options:
            cell, dot, _ = choice.name.partition(".")
            counts[cell if dot else ""] += 1
    return max(counts.values(), default=0)


class Eigenvalue:
    """Follows the largest eigenvalue of the Hessian of the validation loss with respect to the alphas.

    Power iteration with finite differences of the gradient, going on from the last direction.
    """

    def __init__(self) -> None:
        """Nothing known yet."""
        self.direction: Tensor | None = None
        self.values: deque[float] = deque(maxlen=WINDOW + 1)

    def rises(self, gradient: Callable[[Tensor], Tensor], logits: Tensor, iterations: int = 2) -> bool:
        """Whether it has risen too far since so many checks ago; `gradient` is that at some logits."""
        v = torch.ones_like(logits) if self.direction is None else self.direction
        v = v / v.norm()
        value = 0.0
        for _ in range(iterations):
            product = (gradient(logits + STEP * v) - gradient(logits - STEP * v)) / (2 * STEP)
            value = float((v * product).sum())
            v = product / product.norm().clamp(min=1e-12)
        self.direction = v
        self.values.append(abs(value))
        first, last = self.values[0], self.values[-1]
        return len(self.values) > WINDOW and last > RISE * first

    def state(self) -> tuple[Tensor | None, list[float]]:
        """Direction and values."""
        return (None if self.direction is None else self.direction.clone()), list(self.values)

    def load(self, state: tuple[Tensor | None, list[float]]) -> None:
        """Inverse of `state`."""
        self.direction, values = state
        self.values = deque(values, maxlen=WINDOW + 1)


class Guard:
    """Ends what alphas learn, at the last ones it did not object to, when a cell fills with skips or the loss sharpens.

    DARTS+ (arXiv:1909.06035) and RobustDARTS. Weights are trained on.
    """

    def __init__(self, training: BilevelTraining) -> None:
        """Nothing objected to yet."""
        self.training, self.eigenvalue = training, Eigenvalue()
        self.good = training.alphas.logits.detach().clone()
        self.checks = 0
        self.reason = ""  # why alphas do not learn any more

    def check(self) -> None:
        """Look at the alphas as they are."""
        t = self.training
        if not t.learns or not t.alphas.free or t.progress < t.settings.warm_up:
            return
        skips = skips_per_cell(t.alphas.space, t.alphas.decode())
        if skips > MOST_SKIPS:
            self.reason = f"a cell had {skips} skip connections after {t.progress:.0%} of the search"
        elif t.weighting.smooth and self._is_due() and self._sharpens():
            self.reason = f"the loss turned sharp in the alphas after {t.progress:.0%} of the search"
        if self.reason:
            t.learns = False
            self._set(self.good)
        else:
            self.good = t.alphas.logits.detach().clone()

    def _is_due(self) -> bool:
        """Whether the eigenvalue has not been looked at in this part of the search."""
        before, self.checks = self.checks, int(self.training.progress * CHECKS)
        return self.checks > before

    def _sharpens(self) -> bool:
        batch = next(self.training.batches(1, step=0))
        here = self.training.alphas.logits.detach().clone()

        def gradient(logits: Tensor) -> Tensor:
            self._set(logits)
            return self.training.alpha_gradient(batch)

        try:
            return self.eigenvalue.rises(gradient, here)
        finally:
            self._set(here)

    def _set(self, logits: Tensor) -> None:
        with torch.no_grad():
            self.training.alphas.logits.copy_(logits)

    def state(self) -> dict[str, Any]:
        """Alphas that were good, eigenvalues, reason."""
        return {
            "good": self.good.clone(),
            "eigenvalue": self.eigenvalue.state(),
            "reason": self.reason,
            "checks": self.checks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.good, self.reason, self.checks = state["good"].to(self.good.device), state["reason"], state["checks"]
        self.eigenvalue.load(state["eigenvalue"])
