"""The architectures of least and of greatest cost in a space."""

from __future__ import annotations

import numpy as np

from edgenas.cost.base import CostModel
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import neighbours


def cheapest_arch(space: SearchSpace, cost: CostModel) -> Arch:
    """Return the allowed architecture of least cost.

    Coordinate descent from every combination of shape choices finds it: exactly where each choice has one best option
    whatever the others are, as for a sum of blocks; else the result is close.
    """
    return _least(space, cost, 1.0)


def largest_arch(space: SearchSpace, cost: CostModel) -> Arch:
    """Return the allowed architecture of greatest cost, as closely as `cheapest_arch` finds the least."""
    return _least(space, cost, -1.0)


def cheapest_and_largest(space: SearchSpace, cost: CostModel) -> tuple[Arch, Arch]:
    """Return the architectures of least and of greatest cost."""
    return cheapest_arch(space, cost), largest_arch(space, cost)


def _least(space: SearchSpace, cost: CostModel, sign: float) -> Arch:
    """Return the architecture of least `sign` x cost."""
    best: tuple[float, Arch] | None = None
    for statics in space.all_statics():
        fixed = dict(zip(space.static_indices, statics, strict=True))
        # From the better end: one option alone changes nothing where all around it is left out.
        starts = [tuple(fixed.get(i, allowed[end]) for i, allowed in enumerate(space.allowed)) for end in (0, -1)]
        costs = sign * cost.many(space, starts)
        arch, value = starts[int(costs.argmin())], float(costs.min())
        while True:
            # Other shape choices are other supergraphs: they have a descent of their own.
            nearby = [a for a in neighbours(space, arch) if space.statics(a) == statics]
            values = sign * cost.many(space, nearby) if nearby else np.array([np.inf])
            if values.min() >= value:
                break
            # All choices that help move together; a step that does not help as a whole moves one.
            together = _moved_together(arch, nearby, values, value)
            joint = sign * float(cost.many(space, [together])[0])
            arch, value = (together, joint) if joint < values.min() else (nearby[int(values.argmin())], values.min())
        if best is None or value < best[0]:
            best = value, arch
    assert best is not None
    return best[1]


def _moved_together(arch: Arch, nearby: list[Arch], values: np.ndarray, value: float) -> Arch:
    """Return `arch` with every choice at the option that helps most on its own.

    Args:
        arch: where the descent stands.
        nearby: its neighbours.
        values: what they cost, (n,).
        value: what `arch` costs.
    """
    moved, gains = list(arch), [value] * len(arch)
    for neighbour, v in zip(nearby, values, strict=True):
        i = next(i for i, (a, b) in enumerate(zip(arch, neighbour, strict=True)) if a != b)
        if v < gains[i]:
            moved[i], gains[i] = neighbour[i], v
    return tuple(moved)
