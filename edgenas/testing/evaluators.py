"""What every evaluator promises, checked on a few architectures of its space."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.objective import Metrics
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import sample
from edgenas.testing.toy import require


def evaluator_contract(evaluator: Evaluator, space: SearchSpace, archs: Sequence[Arch] = ()) -> None:
    """Check that an evaluator keeps all that a search relies on.

    Args:
        evaluator: as its `build(priced, ctx)` returns it.
        space: whose architectures it scores.
        archs: those to score; by default two random ones.

    Raises:
        AssertionError: it does not keep the contract; the sentence says what it did.

    >>> from edgenas.evaluators.tabular import TabularEvaluator
    >>> from edgenas.testing.toy import ToySpace
    >>> space = ToySpace(3)
    >>> arch = (0,) * len(space.choices)
    >>> evaluator_contract(TabularEvaluator(space, {arch: 0.9}, seed=0, device="cpu"), space, [arch])
    """
    rng = np.random.default_rng(0)
    for arch in archs or [sample(space, rng) for _ in range(2)]:
        version = evaluator.weights_version
        require(isinstance(evaluator.own_weights, bool), "own_weights is not True or False")
        scores = evaluator(arch)
        for metrics in (scores, evaluator.final(arch)):
            _check_metrics(metrics)
        # A search scores an architecture once and keeps that, and a resumed one must find what the first one found.
        again = dict(scores)
        scores["accuracy"] = -1.0  # a caller may do with it what it likes
        require(evaluator(arch) == again, f"scored twice, {arch} has two scores")
        require(evaluator.weights_version == version, "scoring changed the weights")
        network = evaluator.network(arch)
        require(network.graph.arch == arch, f"network({arch}) is the network of {network.graph.arch}")


def _check_metrics(metrics: Metrics) -> None:
    for name, value in metrics.items():
        require(isinstance(value, float) and math.isfinite(value), f"{name} is {value!r}, which is no finite float")
    accuracy = metrics.get("accuracy", math.nan)
    require(0.0 <= accuracy <= 1.0, f"accuracy is {accuracy}, not within 0 to 1")
