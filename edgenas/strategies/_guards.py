"""Against collapse: gradient searches that drift into skip connections are stopped before they do."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import torch
from torch import Tensor

from edgenas.graph import Arch
from edgenas.spaces._base import SearchSpace

MOST_SKIPS = 3  # in one cell
# RobustDARTS (arXiv:1909.09656), section 4.3: the eigenvalue over that of so many checks ago, at most.
WINDOW, RISE = 5, 1 / 0.75
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
