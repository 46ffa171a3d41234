"""Alphas: one logit per allowed option of every choice, and the probabilities they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from edgenas.cost.bounds import largest_arch
from edgenas.cost.counts import CountCost
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace

SPREAD = 1e-3  # standard deviation of the first alphas, as in DARTS: nothing is preferred, and no two are equal
DOUBLINGS, HALVINGS = 40, 20  # of the search for an inverse temperature: up to 10^12, to six digits


class Alphas(nn.Module):
    """Logits (choices, width) of the choices that are free; shape choices have a single allowed option.

    Probabilities are an annealed softmax of the logits: each choice has a temperature of its own, the highest at which
    its likeliest option has a probability of `floor`. A floor that rises takes every choice to near one-hot, and keeps
    the order of its options.
    """

    offered: Tensor

    def __init__(self, space: SearchSpace, rng: Generator) -> None:
        """Draw small random alphas."""
        super().__init__()
        self.space = space
        self.free = [i for i, options in enumerate(space.allowed) if len(options) > 1]
        width = max((len(space.choices[i].options) for i in self.free), default=1)
        offered = torch.zeros(len(self.free), width, dtype=torch.bool)
        for row, i in enumerate(self.free):
            offered[row, list(space.allowed[i])] = True
        self.register_buffer("offered", offered)
        self.refresh()
        start = SPREAD * torch.from_numpy(rng.standard_normal(offered.shape)).float()
        self.logits = nn.Parameter(start)

    def probabilities(self, floor: float = 0.0) -> Tensor:
        """Return probabilities (choices, width), 0 where an option is not offered."""
        logits = self.logits.masked_fill(~self.offered, -torch.inf)
        probabilities: Tensor = (logits * _inverse_temperature(logits.detach(), floor)).softmax(1)
        return probabilities

    def step(self, optimizer: torch.optim.Optimizer, gradient: Tensor) -> None:
        """Make a step of an optimiser of the logits; they stay as they are where the gradient is not finite.

        Only the device knows of it, and it is not waited for.
        """
        is_finite, before = gradient.isfinite().all(), self.logits.detach().clone()
        self.logits.grad = torch.where(is_finite, gradient, 0.0)
        optimizer.step()
        with torch.no_grad():
            self.logits.copy_(torch.where(is_finite, self.logits, before))

    def rows(self, probabilities: Tensor) -> list[Tensor]:
        """Return probabilities (options,) of every choice of the space, for expected costs."""
        rows = []
        place = {i: row for row, i in enumerate(self.free)}
        for i, choice in enumerate(self.space.choices):
            if i in place:
                rows.append(probabilities[place[i], : len(choice.options)])
            else:
                certain = torch.zeros(len(choice.options), device=probabilities.device)
                certain[self.space.allowed[i][0]] = 1.0
                rows.append(certain)
        return rows

    def names(self) -> list[str]:
        """Return the choices, by row."""
        return [self.space.choices[i].name for i in self.free]

    def options(self) -> list[tuple[int, ...]]:
        """Return what is offered, by row."""
        return self._options

    def refresh(self) -> None:
        """Take note that `offered` has changed: the options are kept on the host, too."""
        self._options = [tuple(o for o, there in enumerate(row) if there) for row in self.offered.tolist()]

    def narrow(self, space: SearchSpace) -> None:
        """Offer only what this part of the space allows from now on."""
        self.space = space
        for row, i in enumerate(self.free):
            allowed = torch.zeros_like(self.offered[row])
            allowed[list(space.allowed[i])] = True
            # Withdrawn skip connections may be all that is still allowed: then they are offered again.
            both = self.offered[row] & allowed
            self.offered[row] = both if both.any() else allowed
        self.refresh()

    def withdraw(self, skips: Sequence[str]) -> bool:
        """Cease to offer a skip connection, at that of these choices where it is least likely.

        Return False if nothing else is offered at any of them.
        """
        probabilities = self.probabilities().detach()
        places = [
            (row, self._skip(row))
            for row, name in enumerate(self.names())
            if name in skips and len(self._options[row]) > 1
        ]
        if not places:
            return False
        self.offered[min(places, key=lambda place: float(probabilities[place]))] = False
        self.refresh()
        return True

    def _skip(self, row: int) -> int:
        """Return the offered skip connection of a choice."""
        values = self.space.choices[self.free[row]].options
        return next(o for o, v in enumerate(values) if v in self.space.skip_options and o in self._options[row])

    def sample(self, probabilities: Tensor, n: int, rng: Generator) -> list[Arch]:
        """Return `n` architectures with independent choices."""
        table = probabilities.detach().double().cpu().numpy()
        archs = np.tile([options[0] for options in self.space.allowed], (n, 1))
        for row, i in enumerate(self.free):
            # Float32 probabilities do not sum to 1 as exactly as numpy asks for.
            archs[:, i] = rng.choice(table.shape[1], size=n, p=table[row] / table[row].sum())
        return list(map(tuple, archs.tolist()))

    def log_likelihoods(self, archs: Sequence[Arch]) -> list[float]:
        """Return the log-likelihood of each architecture, without annealing."""
        with torch.no_grad():
            logs = self.probabilities().log().cpu().numpy()
        return [float(sum(logs[row, arch[i]] for row, i in enumerate(self.free))) for arch in archs]

    def decode(self) -> Arch:
        """Return the likeliest option of every choice."""
        scores = [row.tolist() for row in self.rows(self.probabilities())]
        return self.space.decode(scores)


def most_macs(space: SearchSpace) -> Arch:
    """Return the largest architecture: that with the most MACs."""
    return largest_arch(space, CountCost("macs"))


def _inverse_temperature(logits: Tensor, floor: float) -> Tensor:
    """Return (choices, 1): the least factor of at least 1 that gives the likeliest option a probability of `floor`."""
    low, high = torch.ones_like(logits[:, :1]), torch.ones_like(logits[:, :1])
    if floor <= 0:
        return low
    for _ in range(DOUBLINGS):
        short = _most(logits * high) < floor
        if short.device.type == "cpu" and not short.any():  # a GPU would be waited for
            break
        high = torch.where(short, 2 * high, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = _most(logits * middle) >= floor
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high


def _most(logits: Tensor) -> Tensor:
    most: Tensor = logits.softmax(1).amax(1, keepdim=True)
    return most


def entropy(probabilities: Tensor) -> float:
    """Return the mean entropy of the choices as a share of that of a uniform choice, 0 to 1."""
    # A choice with one option has entropy 0, whatever it is divided by: a divisor of log 2 keeps it from 0 / 0.
    offered = (probabilities > 0).sum(1).clamp(min=2).float()
    each = -(probabilities * probabilities.clamp(min=1e-12).log()).sum(1) / offered.log()
    return float(each.mean().detach())
