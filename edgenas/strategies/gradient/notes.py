"""What a person should know of a gradient search: what discretising changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from edgenas.nn.mixture import Mixture
from edgenas.strategies.gradient.bilevel_training import Batch, BilevelTraining
from edgenas.strategies.gradient.relaxations import soft

SHOWN = 6  # rounds of which the entropy is shown, evenly spread


def notes(
    training: BilevelTraining, problem: Problem, arch: Arch, entropies: Sequence[float], validation: Iterable[Batch]
) -> list[str]:
    """Return lines for a person about the alphas, and about `arch` against the mixture it was taken from.

    Args:
        training: of the alphas.
        problem: what was searched.
        arch: what the alphas say in the end.
        entropies: of the alphas after each round.
        validation: batches on which both are scored.
    """
    alphas = training.alphas
    if not alphas.free:
        return ["every choice had a single option: the alphas had nothing to decide"]
    with torch.no_grad():
        probabilities = training.probabilities()
    before = soft(probabilities, alphas.options())
    after = [Mixture((arch[i],), torch.ones(1, device=probabilities.device)) for i in alphas.free]
    mixed, single = accuracies(training, [before, after], validation)
    lines = [
        f"alphas: every choice has an option with a probability of {float(probabilities.amax(1).min()):.3f} or more",
        f"alphas: supernet accuracy {mixed:.2%} before discretising, {single:.2%} after",
    ]
    if entropies:
        lines.append(f"alphas: entropy as training went on, 1 where nothing is preferred: {_course(entropies)}")
    found = problem.preview([arch])[0]
    for metric, expected in training.lagrangian.expected(alphas.rows(probabilities)).items():
        lines.append(f"alphas: {metric} {expected:.4g} expected, {found[metric]:.4g} after discretising")
    return lines


def _course(values: Sequence[float]) -> str:
    # A set, as fewer rounds than `SHOWN` give the same place several times.
    places = sorted({round(i * (len(values) - 1) / (SHOWN - 1)) for i in range(SHOWN)})
    return ", ".join(f"{values[i]:.2f}" for i in places)


@torch.no_grad()
def accuracies(
    training: BilevelTraining, candidates: Sequence[Sequence[Mixture]], batches: Iterable[Batch]
) -> list[float]:
    """Return the accuracy of each candidate, normalised with each batch's own statistics, as it is trained."""
    correct, images = torch.zeros(len(candidates)), 0
    for x, y in batches:
        hits: list[Tensor] = [(training.logits(mixtures, x).argmax(1) == y).sum() for mixtures in candidates]
        correct += torch.stack(hits).cpu()
        images += len(y)
    return [float(hits) / images for hits in correct]
