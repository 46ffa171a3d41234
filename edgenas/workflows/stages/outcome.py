"""What a run says in the end: the result, the Pareto front, and what a person should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgenas.exploration.pareto import hypervolume
from edgenas.exploration.study import Study
from edgenas.exporters.metadata import MODELS
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import EstimatedMs
from edgenas.system.text import TRAINED
from edgenas.workflows.run import Run
from edgenas.workflows.stages.deliver import limits
from edgenas.workflows.stages.finalists import Finalist

WORTH_TELLING = 0.01  # share of a prediction


class Chosen(NamedTuple):
    """The finalist to deliver: its number, the selection that it came from, what was measured of it.

    `misses` counts more accurate finalists that were measured above the budget, or all of them if this one is too.
    """

    number: int
    selected: Mapping[str, Any]
    judged: Mapping[str, Any]
    misses: int


def result(run: Run, study: Study, finalist: Finalist, chosen: Chosen, tested: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Result`; notes and image counts go to `report.json`.

    A finalist that was no trial but grown from one joins the front that is shown.
    """
    config, arch = run.config, finalist.arch
    bounds = run.folder.artefact("bounds", dict)
    latency, low, high, macs, params, peak = run.costs
    metrics = run.problem.preview([arch])[0]
    judged, accuracies = chosen.judged, tested["finalists"][str(chosen.number)]
    timing, int8 = judged[run.precision], judged["int8"]
    model = MODELS[judged["default"]]
    assert config.budget_ms is not None
    result: dict[str, Any] = {
        "met_budget": judged["met"],
        "budget_ms": config.budget_ms,
        "device": run.device,
        "runtime": config.runtime,
        "threads": timing["threads"] or config.threads,
        "precision": run.precision,
        "predicted_ms": metrics[latency.metric],
        "predicted_low_ms": metrics[low.metric],
        "predicted_high_ms": metrics[high.metric],
        "measured_ms": timing["ms"],
        "measured_p90_ms": timing["p90_ms"],
        "repeat_error": timing["repeat_error"],
        "largest_ms": bounds["largest_ms"],
        "smallest_ms": bounds["smallest_ms"],
        "validation_accuracy": finalist.scores.accuracy,
        "test_accuracy": accuracies["test_accuracy"],
        "onnx_test_accuracy": accuracies["onnx_test_accuracy"],
        "int8_test_accuracy": accuracies["int8_test_accuracy"],
        "int8_measured_ms": int8 and int8["ms"],
        "macs": metrics[macs.metric],
        "params": metrics[params.metric],
        "peak_bytes": metrics[peak.metric],
        "file_bytes": (run.folder.path / model).stat().st_size,
        "limits": limits(run, metrics, chosen.number),
        "space": run.space.name,
        "arch": run.space.code(arch),
        "choices": run.space.values(arch),
        "strategy": config.strategy,
        "evaluator": config.evaluator,
        "data": config.data,
        "seed": config.seed,
        "trials": len(study.trials),
        "feasible_trials": sum(trial.feasible for trial in study.trials),
        **volume(study),
        "test_reads": tested["test_reads"],
        "seconds": dict(run.folder.seconds),
        "model": model,
        "bundle": ".",
    }
    front = [_point(run, trial.arch, trial.metrics) for trial in study.front()]
    notes = _notes(run, arch, bounds, front, chosen)
    code = run.space.code(arch)
    if code not in {point["arch"] for point in front}:
        accuracy = next(row["accuracy"] for row in chosen.selected["measured"] if row["arch"] == code)
        front.append(_point(run, arch, {**metrics, "accuracy": accuracy}))
    result |= {"front": front, "source": run.inherited and run.inherited.name}
    images = {"validation": finalist.scores.images, "test": tested["images"]}
    run.folder.artefact("report", lambda: {"notes": notes, "images": images})
    return result


def volume(study: Study) -> dict[str, Any]:
    """Hypervolume of the feasible trials in quality and the budgeted metrics, bounded by the worst of each among them.

    It is a share of the box from there to quality 1 at no cost, so runs in other units compare. A metric that is the
    same for all of them is left out; without any other it is 0.
    """
    quality, trials = study.objective.quality, study.candidates()
    own = [metric for metric in study.objective.budgets if not metric.startswith(TRAINED)]
    budgeted = [m for m in own if len({trial.metrics[m] for trial in trials}) > 1]
    if not budgeted:
        return {"hypervolume": 0.0, "reference_point": {}}
    points = np.array([[-trial.metrics[quality], *(trial.metrics[m] for m in budgeted)] for trial in trials])
    worst = points.max(axis=0)
    box = (1 + worst[0]) * float(np.prod(worst[1:]))
    reference = dict(zip([quality, *budgeted], [-worst[0], *worst[1:]], strict=True))
    return {"hypervolume": hypervolume(points, worst) / box if box > 0 else 0.0, "reference_point": reference}


def _estimated_share(run: Run, arch: Arch) -> float:
    """How much of the predicted latency comes from ops that the table has no row for."""
    latency = run.costs.latency
    estimated_ms, ms = (float(cost.many(run.space, [arch])[0]) for cost in (EstimatedMs(latency), latency))
    return estimated_ms / (ms - latency.intercept)


def _point(run: Run, arch: Arch, metrics: Mapping[str, float]) -> dict[str, Any]:
    """A row of the front, with every metric that is limited."""
    shown = {name: metrics[name] for name in ("accuracy", "macs", "params", *run.problem.objective.budgets)}
    return {"latency_ms": metrics[run.costs.latency.metric], **shown, "arch": run.space.code(arch)}


def _notes(run: Run, arch: Arch, bounds: dict[str, Any], front: Sequence[dict[str, Any]], chosen: Chosen) -> list[str]:
    judged, lines = chosen.judged, []
    if not run.binds:
        takes = "takes" if run.is_here else "is predicted to take"
        text = f"the budget does not bind: the largest network {takes} {bounds['largest_ms']:.3f} ms"
        if len(front) > 1:
            middle = front[len(front) // 2]
            loss = 100 * (front[0]["accuracy"] - middle["accuracy"])
            text += (
                f"; {middle['latency_ms']:.3f} ms would cost {loss:.1f} points by the {run.config.evaluator} evaluator"
            )
        lines.append(text)
    if judged["met"] is False:
        lines.append(
            f"all {chosen.misses} finalists were measured above the budget; search again with a smaller --budget-ms, "
            "and --reuse this run"
        )
    elif chosen.misses:
        lines.append(f"{chosen.misses} more accurate finalist(s) were measured above a limit and passed over")
    if (share := _estimated_share(run, arch)) >= WORTH_TELLING:
        lines.append(f"{share:.0%} of the predicted latency is estimated: the table of {run.device} lacks its ops")
    if run.inherited:
        lines.append(run.inherited.note)
    if judged["reason"]:
        lines.append(f"{judged['default']} is the default model: {judged['reason']}")
    return [*lines, *chosen.selected["notes"]]
