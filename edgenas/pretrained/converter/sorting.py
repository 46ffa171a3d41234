"""The order of channels: most important first, so that a cut, which keeps the leading ones, keeps what matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from edgenas.pretrained.converter.channels import Channels, distinct, find_channels
from edgenas.pretrained.converter.step import Steps


def importance(steps: Steps) -> dict[str, list[float]]:
    """Return how much each channel adds to what reads it, by the first step that makes the channels.

    It is the sum of the readers' weights, by their absolute values, times the scale of the batch norm before them,
    which says how far the channel's values spread (Network Slimming, arXiv:1708.06519, on top of the filters' norm).
    Of channels that several steps make, whose values are added up, scales are added up, too.
    """
    found = {}
    for group in _cuttable(steps):
        weights = [steps[name].weights["weight"].abs() for name in group.readers]
        sums = [weight.sum(tuple(axis for axis in range(weight.dim()) if axis != 1)) for weight in weights]
        total = torch.stack(sums).sum(0)
        scales = [steps[name].weights["scale"].abs() for name in group.steps if "scale" in steps[name].weights]
        if scales:
            total *= scales[-1] if len(group.makers) == 1 else torch.stack(scales).sum(0)
        found[group.makers[0]] = total.tolist()
    return found


def importance_by(steps: Steps, found: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return what was found out about channels, as `importance` has it, which stands where nothing was found.

    Args:
        steps: of a traced network.
        found: one number a channel, by the step whose value has the channels; those of equal channels are added up.
    """
    known = importance(steps)
    for group in _cuttable(steps):
        rows = [found[name] for name in group.steps if name in found]
        if rows:
            known[group.makers[0]] = np.sum(rows, axis=0).tolist()
    return known


def _cuttable(steps: Steps) -> list[Channels]:
    """The channels of which a width keeps a share."""
    return [group for group in distinct(find_channels(steps).values()) if not group.is_fixed and group.readers]


def _reordered(key: str, tensor: Tensor, order: list[int]) -> Tensor:
    """A parameter of a step whose channels get another order; attention reads them in its first layer."""
    if key == "reduce.bias":
        return tensor
    return tensor[:, order] if key == "reduce.weight" else tensor[order]


def sorted_by(steps: Steps, importance: Mapping[str, Sequence[float]]) -> Steps:
    """Return the same network with channels in another order, most important first: its function does not change.

    Args:
        steps: of a traced network.
        importance: one number a channel, by the first step that makes the channels.
    """
    weights = {name: dict(step.weights) for name, step in steps.items()}
    for group in _cuttable(steps):
        if group.makers[0] not in importance:
            continue
        order = np.argsort(-np.asarray(importance[group.makers[0]], dtype=np.float64), kind="stable").tolist()
        for name in group.steps:
            weights[name] = {key: _reordered(key, tensor, order) for key, tensor in weights[name].items()}
        for name in group.readers:
            weights[name]["weight"] = weights[name]["weight"][:, order]
    return {name: replace(step, weights=weights[name]) for name, step in steps.items()}
