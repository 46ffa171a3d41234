"""From a new run to its result: the stages of a search, in order."""

from __future__ import annotations

import itertools
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from edgenas import driver, plugins
from edgenas.config import to_toml
from edgenas.cost.table import LatencyTable
from edgenas.engine import checkpoint
from edgenas.errors import BudgetError, Interrupted, UsageError
from edgenas.folder import CONFIG, read_artefact, write_atomically
from edgenas.graph import Arch
from edgenas.report import Result
from edgenas.run import Run
from edgenas.stages import delivery, finalists, latency, outcome
from edgenas.stages.finalists import Finalist
from edgenas.strategies._base import Strategy
from edgenas.study import Study

REUSED = ("bounds.json", "narrow.json", "table.csv", "supernet.pt")


def keep_config(run: Run) -> None:
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


def prepare(run: Run) -> None:
    """Bounds, profile, narrowing; then the run has its table and its problem."""
    folder, config = run.folder, run.config
    with run.stage("bounds", "fastest and slowest network"):
        bounds = folder.artefact("bounds", lambda: latency.bounds(run))
    assert config.budget_ms is not None
    if bounds["smallest_ms"] > config.budget_ms:
        raise BudgetError(
            f"the fastest {run.space.name} network takes {bounds['smallest_ms']:.3f} ms here; "
            f"ask for --budget-ms {1.1 * bounds['smallest_ms']:.2g} or more"
        )

    def spread() -> LatencyTable:
        return latency.load_or(run, "table-spread", lambda: latency.profile_spread(run))

    with run.stage("profile", "profile this device"):
        narrowed = folder.artefact("narrow", lambda: latency.narrow(run, spread()))
        run.space = run.space.restrict(narrowed["allowed"])
        run.set_table(latency.load_or(run, "table", lambda: latency.profile_rest(run, spread())))
    for line in latency.describe_narrowing(narrowed):
        run.reporter.say(line)


def search(run: Run) -> tuple[Study, Strategy]:
    """Supernet and search."""
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
    return study, strategy


def finish(run: Run, study: Study, strategy: Strategy) -> Result:
    """Choose finalists, train them, deliver the most accurate that is measured within the budget.

    If all are measured above it, the correction is refitted on them and the next on the front are tried.
    """
    trained: list[Finalist] = []
    misses: dict[Arch, dict[str, Any]] = {}
    for attempt in range(finalists.ATTEMPTS):
        with run.stage("finalists", "choose finalists"):
            chosen = run.folder.artefact(
                _finalists_file(attempt), partial(finalists.select, run, study, strategy, attempt, set(misses))
            )
        first = len(trained)
        for number, code in enumerate(chosen["finalists"], start=first):
            with run.stage("training", f"train finalist {number + 1} of {first + len(chosen['finalists'])}"):
                trained.append(finalists.train_finalist(run, run.space.parse(code), number))
        for number in sorted(range(first, len(trained)), key=lambda i: -trained[i].scores.accuracy):
            finalist = trained[number]
            with run.stage("measure", f"measure finalist {number + 1} in a fresh process"):
                measured = run.folder.artefact(f"measured-{number}", partial(delivery.measure, run, finalist, number))
            if not measured["fp32"]["met"]:
                misses[finalist.arch] = measured["fp32"]
                continue
            with run.stage("bundle", "test and bundle"):
                tested = run.folder.artefact("test", partial(delivery.test, run, finalist, number))
                delivery.bundle(run, finalist, number, measured, tested)
                value = run.folder.artefact(
                    "result",
                    partial(outcome.result, run, study, finalist, chosen["measured"], measured, tested, len(misses)),
                )
            return Result(**{**value, "bundle": str(run.folder.path)})
        finalists.refit(run, {arch: row["ms"] for arch, row in misses.items()})
    closest = min(misses.values(), key=lambda row: float(row["ms"]))
    raise BudgetError(
        f"none of {len(misses)} finalists met {run.config.budget_ms:g} ms: the closest was measured "
        f"{closest['ms']:.3f} ms (repeat error {closest['repeat_error']:.1%}); raise the budget"
    )


def _finalists_file(attempt: int) -> str:
    """Name of the artefact that lists the finalists of an attempt."""
    return f"finalists-{attempt}" if attempt else "finalists"


def trained_codes(run_folder: Path) -> list[str]:
    """Codes of the trained architectures, by the number in their files' names."""
    names = map(_finalists_file, itertools.count())
    there = itertools.takewhile(lambda name: (run_folder / f"{name}.json").exists(), names)
    return [code for name in there for code in read_artefact(run_folder, name)["finalists"]]
