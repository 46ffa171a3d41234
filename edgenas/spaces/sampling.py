"""Operations on architectures that need nothing but the choices: sample, mutate, cross over, one-hot, neighbours."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from edgenas.graph.graph import Arch, Node
from edgenas.spaces.base import SearchSpace


def sample(space: SearchSpace, rng: Generator) -> Arch:
    """Return a uniformly random allowed architecture: `decode` of noise.

    >>> import numpy as np
    >>> from edgenas.spaces.build import build_space
    >>> space = build_space("nasbench201", (3, 32, 32), 10)
    >>> space.published(sample(space, np.random.default_rng(0)))
    '|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|'
    """
    # The largest of independent uniform numbers is equally often each of them. Options that are not allowed get one,
    # too, so a space draws as many numbers as its restrictions do.
    return space.decode([rng.random(len(choice.options)).tolist() for choice in space.choices])


def one_hot(space: SearchSpace, arch: Arch) -> list[list[float]]:
    """Return scores that `decode` maps back to `arch`."""
    return [
        [float(option == chosen) for option in range(len(choice.options))]
        for choice, chosen in zip(space.choices, arch, strict=True)
    ]


def free_choices(space: SearchSpace) -> list[int]:
    """Return the positions of the choices that still have more than one allowed option."""
    return [i for i, allowed in enumerate(space.allowed) if len(allowed) > 1]


def mutate(space: SearchSpace, arch: Arch, rng: Generator) -> Arch:
    """Return a neighbour of `arch`: one choice redrawn among its other allowed options; `arch` if none is free."""
    free = free_choices(space)
    if not free:
        return arch
    i = int(rng.choice(free))
    others = [option for option in space.allowed[i] if option != arch[i]]
    # An architecture is written as JSON, which takes no integers of numpy.
    return (*arch[:i], int(rng.choice(others)), *arch[i + 1 :])


def crossover(a: Arch, b: Arch, rng: Generator) -> Arch:
    """Return a child that takes each choice from one of the parents `a` and `b`, with equal odds."""
    from_a = rng.random(len(a)) < 0.5
    return tuple(np.where(from_a, a, b).tolist())


def is_allowed(space: SearchSpace, arch: Arch) -> bool:
    """Tell whether all options of `arch` are allowed."""
    return all(option in allowed for option, allowed in zip(arch, space.allowed, strict=True))


def within(space: SearchSpace, arch: Arch, rng: Generator) -> Arch:
    """Return `arch` with each option that is not allowed redrawn among those that are."""
    return tuple(
        option if option in allowed else int(rng.choice(allowed))
        for option, allowed in zip(arch, space.allowed, strict=True)
    )


def neighbours(space: SearchSpace, arch: Arch) -> list[Arch]:
    """Return all allowed architectures that differ from `arch` in one choice."""
    return [
        (*arch[:i], option, *arch[i + 1 :])
        for i, allowed in enumerate(space.allowed)
        for option in allowed
        if option != arch[i]
    ]


def distinct_nodes(space: SearchSpace) -> list[Node]:
    """Return one node for each op key of the space, over all allowed shape choices."""
    return list({n.key: n for statics in space.all_statics() for n in space.supergraph(statics).priced}.values())
