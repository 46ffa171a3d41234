"""What a run says in the end: the result, the Pareto front, and what a person should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgenas.graph import Arch
from edgenas.run import Run
from edgenas.stages.finalists import Finalist
from edgenas.study import Study


def result(
    run: Run,
    study: Study,
    finalist: Finalist,
    selected: Sequence[dict[str, Any]],
    measured: dict[str, Any],
    tested: dict[str, Any],
    misses: int,
) -> dict[str, Any]:
    """The fields of `Result`; the Pareto front, notes and image counts go to `report.json`.

    `selected` are the rows of the selection that the finalist came from. Where it was no trial but grown from one, it
    joins the front that is shown.
    """
    config, arch = run.config, finalist.arch
    bounds = run.folder.artefact("bounds", dict)
    latency, low, high, macs, params, peak = run.costs
    metrics = run.problem.preview([arch])[0]
    fp32, int8 = measured["fp32"], measured["int8"]
    model = {"fp32": "model.onnx", "int8": "model.int8.onnx"}[measured["default"]]
    assert config.budget_ms is not None
    result = {
        "met_budget": fp32["met"],
        "budget_ms": config.budget_ms,
        "device": run.table.device,
        "runtime": config.runtime,
        "threads": fp32["threads"],
        "precision": "fp32",
        "predicted_ms": metrics[latency.metric],
        "predicted_low_ms": metrics[low.metric],
        "predicted_high_ms": metrics[high.metric],
        "measured_ms": fp32["ms"],
        "measured_p90_ms": fp32["p90_ms"],
        "repeat_error": fp32["repeat_error"],
        "largest_ms": bounds["largest_ms"],
        "smallest_ms": bounds["smallest_ms"],
        "validation_accuracy": finalist.scores.accuracy,
        "test_accuracy": tested["test_accuracy"],
        "onnx_test_accuracy": tested["onnx_test_accuracy"],
        "int8_test_accuracy": tested["int8_test_accuracy"],
        "int8_measured_ms": int8 and int8["ms"],
        "macs": metrics[macs.metric],
        "params": metrics[params.metric],
        "peak_bytes": metrics[peak.metric],
        "file_bytes": (run.folder.path / model).stat().st_size,
        "space": run.space.name,
        "arch": run.space.code(arch),
        "choices": run.space.values(arch),
        "strategy": config.strategy,
        "evaluator": config.evaluator,
        "data": config.data,
        "seed": config.seed,
        "trials": len(study.trials),
        "feasible_trials": sum(trial.feasible for trial in study.trials),
        "test_reads": tested["test_reads"],
        "seconds": dict(run.folder.seconds),
        "model": model,
        "bundle": ".",
    }
    front = [_point(run, trial.arch, trial.metrics) for trial in study.front()]
    notes = _notes(run, bounds, front, measured, misses)
    code = run.space.code(arch)
    if code not in {point["arch"] for point in front}:
        accuracy = next(row["accuracy"] for row in selected if row["arch"] == code)
        front.append(_point(run, arch, {**metrics, "accuracy": accuracy}))
    images = {"validation": finalist.scores.images, "test": tested["images"]}
    run.folder.artefact("report", lambda: {"front": front, "notes": notes, "images": images})
    return result


def _point(run: Run, arch: Arch, metrics: Mapping[str, float]) -> dict[str, Any]:
    """A row of the front."""
    shown = {name: metrics[name] for name in ("accuracy", "macs", "params")}
    return {"latency_ms": metrics[run.costs.latency.metric], **shown, "arch": run.space.code(arch)}


def _notes(
    run: Run, bounds: dict[str, Any], front: Sequence[dict[str, Any]], measured: dict[str, Any], misses: int
) -> list[str]:
    lines = []
    if not run.binds:
        text = f"the budget does not bind: the largest network takes {bounds['largest_ms']:.3f} ms"
        if len(front) > 1:
            middle = front[len(front) // 2]
            loss = 100 * (front[0]["accuracy"] - middle["accuracy"])
            text += f"; {middle['latency_ms']:.3f} ms would cost {loss:.1f} points on shared weights"
        lines.append(text)
    if misses:
        lines.append(f"{misses} more accurate finalist(s) were measured above the budget and passed over")
    if measured["reason"]:
        lines.append(f"{measured['default']} is the default model: {measured['reason']}")
    return lines
