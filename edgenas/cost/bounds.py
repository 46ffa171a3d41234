"""The architectures of least and of greatest cost."""

from __future__ import annotations

import numpy as np

from edgenas.cost.base import CostModel
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import neighbours


def extremes(space: SearchSpace, cost: CostModel) -> tuple[Arch, Arch]:
    """The architectures of least and of greatest cost, see `extreme`."""
    return extreme(space, cost, 1.0), extreme(space, cost, -1.0)


def extreme(space: SearchSpace, cost: CostModel, sign: float = 1.0) -> Arch:
    """The architecture of least `sign` x cost: coordinate descent from every combination of statics.

    Exact where each choice has one best option whatever the others are, as for a sum of blocks; else a close bound.
    """
    best: tuple[float, Arch] | None = None
    for statics in space.all_statics():
        fixed = dict(zip(space.static_indices, statics, strict=True))
        # From the better end: one option alone changes nothing where all around it is left out.
        starts = [tuple(fixed.get(i, allowed[end]) for i, allowed in enumerate(space.allowed)) for end in (0, -1)]
        costs = sign * cost.many(space, starts)
        arch, value = starts[int(costs.argmin())], float(costs.min())
        while True:
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
    """Every choice at the option that helps most on its own."""
    moved, gains = list(arch), [value] * len(arch)
    for neighbour, v in zip(nearby, values, strict=True):
        i = next(i for i, (a, b) in enumerate(zip(arch, neighbour, strict=True)) if a != b)
        if v < gains[i]:
            moved[i], gains[i] = neighbour[i], v
    return tuple(moved)
