"""What the commands do, as functions: each takes a Config and reports through a Reporter."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import plugins
from edgenas.config import Config, to_toml
from edgenas.errors import BudgetError, Interrupted, UsageError
from edgenas.folder import CONFIG, RunFolder, write_atomically
from edgenas.progress import Reporter
from edgenas.report import Result
from edgenas.run import Run
from edgenas.study import Study

if TYPE_CHECKING:
    from edgenas.stages.finalists import Finalist
    from edgenas.strategies._base import Strategy

REUSED = ("bounds.json", "narrow.json", "table.csv", "supernet.pt")


def never() -> bool:
    """The default `stop`: run to the end."""
    return False


def search(config: Config, reporter: Reporter, stop: Callable[[], bool] = never) -> Result:
    """From images and a budget to a measured bundle in the run folder.

    Raises:
        BudgetError: no network meets the budget.
        Interrupted: `stop` said so; the run can be resumed.
        EdgeNASError: see errors.py.
    """
    if config.budget_ms is None:
        raise UsageError("--budget-ms: say how many milliseconds the model may take, for example --budget-ms 20")
    for kind in ("data", "space", "strategy", "evaluator", "runtime"):  # names first: they cost nothing to check
        plugins.check({"data": "data", "strategy": "strategies"}.get(kind, f"{kind}s"), getattr(config, kind))
    folder = RunFolder(output_path(config), resume=config.resume)
    try:
        if folder.notice:
            reporter.say(folder.notice)
        run = Run(config, folder, reporter, stop)
        _keep_config(run)
        _prepare(run)
        return _deliver(run, *_search(run))
    finally:
        folder.unlock()


def output_path(config: Config) -> Path:
    """The run folder: what the user said, else one named by the time."""
    if config.output is not None:
        return Path(config.output).expanduser()
    if config.resume:
        raise UsageError("--resume needs --output, the run folder to go on with")
    return Path("runs") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")


def front(folder: Path) -> list[dict[str, Any]]:
    """The Pareto front of a finished run: accuracy on shared weights against predicted latency."""
    return list(_kept(folder, "result")["front"])


def notes(folder: Path) -> list[str]:
    """What a person should know about a finished run, a line each."""
    return list(_kept(folder, "result")["notes"])


def _kept(folder: Path, stage: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"{stage}.json").read_text(encoding="utf-8")))


def _keep_config(run: Run) -> None:
    """Write the effective configuration; a resumed run must have the same one."""
    path = run.folder.path / CONFIG
    mine = to_toml(run.config)
    free = ("output", "resume", "reuse")  # where a run lives is not what it is
    lines = [line for line in mine.splitlines(keepends=True) if not line.startswith(free)]
    if path.exists():
        before = path.read_text(encoding="utf-8").splitlines(keepends=True)
        changed = sorted(set(lines) ^ set(before))
        if changed:
            raise UsageError(
                f"{run.folder.path} was begun with other settings: {changed[0].strip()}; use a new --output"
            )
        return
    if run.config.reuse is not None:
        _reuse(run, Path(run.config.reuse).expanduser())
    write_atomically(path, "".join(lines).encode())


def _reuse(run: Run, source: Path) -> None:
    """Copy another run's profile, narrowing and supernet."""
    missing = [name for name in REUSED[:3] if not (source / name).exists()]
    if missing:
        raise UsageError(f"--reuse {source}: it has no {missing[0]}; give the folder of a run that came so far")
    for name in REUSED:
        if (source / name).exists():
            shutil.copyfile(source / name, run.folder.path / name)


def _prepare(run: Run) -> None:
    """Bounds, profile, narrowing; then the run has its table and its problem."""
    from edgenas.stages import latency

    folder, config = run.folder, run.config
    with run.stage("bounds", "fastest and slowest network"):
        bounds = folder.artefact("bounds", lambda: latency.bounds(run))
    assert config.budget_ms is not None
    if bounds["smallest_ms"] > config.budget_ms:
        raise BudgetError(
            f"the fastest {run.space.name} network takes {bounds['smallest_ms']:.3f} ms here; "
            f"ask for --budget-ms {1.1 * bounds['smallest_ms']:.2g} or more"
        )
    with run.stage("profile", "profile this device"):
        if not (folder.path / "narrow.json").exists():
            spread = latency.load_or(run, "table-spread", lambda: latency.profile_spread(run))
            narrowed = folder.artefact("narrow", lambda: latency.narrow(run, spread))
        narrowed = folder.artefact("narrow", dict)
        run.space = run.space.restrict(narrowed["allowed"])

        def rest() -> Any:
            return latency.profile_rest(run, latency.load_or(run, "table-spread", lambda: latency.profile_spread(run)))

        run.set_table(latency.load_or(run, "table", rest))
    for line in latency.describe_narrowing(narrowed):
        run.reporter.say(line)


def _search(run: Run) -> tuple[Study, list[Finalist]]:
    """Supernet, search, finalists."""
    from edgenas import driver
    from edgenas.engine import checkpoint
    from edgenas.stages import finalists as stage

    config = run.config
    with run.stage(config.evaluator, f"prepare the {config.evaluator} evaluator"):
        _ = run.evaluator
    strategy: Strategy = plugins.load("strategies", config.strategy).build(run)
    study = Study(run.folder.path, run.problem.objective, checkpoint.save, checkpoint.load)
    study.restore(strategy)
    for notice in study.notices:
        run.reporter.say(notice)

    def progress(study: Study) -> None:
        best = study.best(1)
        text = f"best {best[0].metrics['accuracy']:.2%}" if best else ""
        run.tell(len(study.trials), config.trials, text)

    with run.stage("search", f"search with {config.strategy}"):
        ending = driver.search(
            run.problem,
            strategy,
            study,
            max_trials=config.trials,
            minutes=config.minutes or float("inf"),
            batch=config.batch,
            weights_version=run.evaluator.weights_version,
            stop=run.stop,
            progress=progress,
        )
        if ending == "stopped":
            raise Interrupted("stopped during the search")
    with run.stage("finalists", "choose finalists"):
        chosen = run.folder.artefact("finalists", lambda: stage.select(run, study, strategy))
    trained = []
    for number, code in enumerate(chosen["finalists"]):
        with run.stage("training", f"train finalist {number + 1} of {len(chosen['finalists'])}"):
            trained.append(stage.train_finalist(run, run.space.parse(code), number))
    return study, trained


def _deliver(run: Run, study: Study, trained: list[Finalist]) -> Result:
    """The most accurate finalist that is measured within the budget, as a bundle and a result."""
    from edgenas.stages import delivery

    order = sorted(range(len(trained)), key=lambda i: -trained[i].scores.accuracy)
    misses = []
    for number in order:
        with run.stage("measure", f"measure finalist {number + 1} in a fresh process"):
            measured = run.folder.artefact(
                f"measured-{number}",
                lambda n=number: delivery.measure(run, trained[n], n),  # type: ignore[misc]
            )
        if measured["fp32"]["met"]:
            break
        misses.append(measured["fp32"])
    else:
        worst = misses[0]
        raise BudgetError(
            f"no finalist met {run.config.budget_ms:g} ms: the most accurate was measured {worst['ms']:.3f} ms "
            f"(repeat error {worst['repeat_error']:.1%}); raise the budget or the number of --finalists"
        )
    finalist = trained[number]
    with run.stage("bundle", "test and bundle"):
        tested = run.folder.artefact("test", lambda: delivery.test(run, finalist, number))
        delivery.bundle(run, finalist, number, measured, tested)
        value = run.folder.artefact("result", lambda: _result(run, study, finalist, measured, tested, len(misses)))
    return Result(**value["result"])


def _result(
    run: Run, study: Study, finalist: Finalist, measured: dict[str, Any], tested: dict[str, Any], misses: int
) -> dict[str, Any]:
    """The result, the Pareto front, and notes, as JSON."""
    config, arch = run.config, finalist.arch
    bounds = run.folder.artefact("bounds", dict)
    latency, low, high, macs, params, peak = run.problem.costs
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
    rows = [
        {
            "latency_ms": trial.metrics[latency.metric],
            "accuracy": trial.metrics["accuracy"],
            "macs": trial.metrics["macs"],
            "params": trial.metrics["params"],
            "arch": run.space.code(trial.arch),
        }
        for trial in study.front()
    ]
    return {"result": result, "front": rows, "notes": _notes(run, bounds, rows, measured, misses)}


def _notes(
    run: Run, bounds: dict[str, Any], rows: Sequence[dict[str, Any]], measured: dict[str, Any], misses: int
) -> list[str]:
    lines = []
    budget_ms = run.config.budget_ms or 0.0
    if bounds["largest_ms"] <= budget_ms:
        text = f"the budget does not bind: the largest network takes {bounds['largest_ms']:.3f} ms"
        if len(rows) > 1:
            middle = rows[len(rows) // 2]
            loss = 100 * (rows[0]["accuracy"] - middle["accuracy"])
            text += f"; {middle['latency_ms']:.3f} ms would cost {loss:.1f} points on shared weights"
        lines.append(text)
    if misses:
        lines.append(f"{misses} more accurate finalist(s) were measured above the budget and passed over")
    if measured["reason"]:
        lines.append(f"{measured['default']} is the default model: {measured['reason']}")
    return lines
