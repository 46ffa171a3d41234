"""What a person should know of a result, a line each."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from edgenas.exploration.workers import capped
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import EstimatedMs
from edgenas.system import text
from edgenas.workflows.stages.artefacts import Bounds, Folds
from edgenas.workflows.stages.deliver import Chosen
from edgenas.workflows.task import Priced, Task

WORTH_TELLING = 0.01  # share of a prediction


def notes_of(chosen: Chosen, bounds: Bounds, front: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a person should know, a line each.

    Args:
        chosen: what is delivered.
        bounds: of the space.
        front: points of the result.
    """
    priced, verdict, lines = chosen.priced, chosen.verdict, []
    task = priced.task
    if bounds.most_ms <= task.budget_ms:
        lines.append(_not_binding(priced, bounds, front))
        delivered = priced.space.code(chosen.finalist.arch)
        if task.config.pretrained is not None and delivered != bounds.largest:
            lines.append(_fine_tune_whole(task))
    code = chosen.finalist.code
    if names := [name for name, control in chosen.selection.controls.items() if control == code]:
        lines.append(
            f"the search found nothing that is better than the control {' and '.join(names)}, which is delivered"
        )
    if chosen.folds:
        lines.append(_compared_by_folds(chosen.folds, code))
    if verdict.met is False:
        lines.append(
            f"all {chosen.misses} finalists were measured above the budget; search again with a smaller --budget-ms, "
            "and --reuse this run"
        )
    elif chosen.misses:
        lines.append(f"{chosen.misses} better finalist(s) were measured above a limit and passed over")
    if (share := _estimated_share(priced, chosen.finalist.arch)) >= WORTH_TELLING:
        lines.append(
            f"{share:.0%} of the predicted latency is estimated: the table of {task.device.name} lacks its ops"
        )
    if task.inherited:
        lines.append(task.inherited.note)
    if (used := capped(task.config.workers, task.config.ray)) < task.config.workers:
        lines.append(f"--workers {task.config.workers}: {used} were used, as there are no more cores here")
    if verdict.reason:
        lines.append(f"{verdict.default} is the default model: {verdict.reason}")
    return [*lines, *chosen.selection.notes]


def _compared_by_folds(folds: Folds, code: str) -> str:
    """What decided among the finalists where there are few images."""
    others = [share for other, share in folds.accuracy.items() if other != code]
    second = f", the best of the others {text.accuracy(max(others), folds.images)}" if others else ""
    return (
        f"finalists were compared by {folds.folds} folds of the {folds.images} images of training and validation, "
        f"shortly trained: this one {text.accuracy(folds.accuracy[code], folds.images)}{second}"
    )


def _not_binding(priced: Priced, bounds: Bounds, front: Sequence[Mapping[str, Any]]) -> str:
    """That every network of the space is within the budget, and what a smaller one would cost."""
    takes = "takes" if priced.task.device.is_here else "is predicted to take"
    interval = ""
    if bounds.largest_low_ms is not None and bounds.largest_high_ms is not None:
        interval = f" ({text.ms(bounds.largest_low_ms)} to {text.ms(bounds.largest_high_ms)})"
    line = f"the budget does not bind: the largest network {takes} {text.ms(bounds.largest_ms)} ms{interval}"
    if len(front) > 1:
        middle = front[len(front) // 2]
        loss = 100 * (front[0]["accuracy"] - middle["accuracy"])
        line += (
            f"; {middle['latency_ms']:.3f} ms would cost {loss:.1f} points by the {priced.config.evaluator} evaluator"
        )
    return line


def _fine_tune_whole(task: Task) -> str:
    """What a person does with a trained network that fits as it is."""
    config = task.config
    data = config.data_root if config.data == "folder" else config.data
    words = ["edgenas", "baseline", "--train", "--pretrained", str(config.pretrained), "--data", str(data)]
    words += ["--weights", config.weights] if config.weights else []
    words += ["--image-size", str(config.image_size)] if config.image_size else []
    words += ["--device", config.device] if config.device else []
    words += ["--budget-ms", f"{task.budget_ms:g}"]
    return f"nothing need be cut for this budget; to fine-tune the whole network instead: `{shlex.join(words)}`"


def _estimated_share(priced: Priced, arch: Arch) -> float:
    """How much of the predicted latency comes from ops that the table has no row for."""
    latency = priced.costs.latency
    estimated_ms, ms = (float(cost.many(priced.space, [arch])[0]) for cost in (EstimatedMs(latency), latency))
    return estimated_ms / (ms - latency.intercept)  # the intercept belongs to no op
