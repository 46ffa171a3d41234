"""From a new run to its result: the stages of a search, in order."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgenas.errors import BudgetError, DataError, Interrupted, TableError, UnknownName, UsageError
from edgenas.exploration import driver, workers
from edgenas.exploration.objective import in_words
from edgenas.exploration.pruning import Pruning
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.latency.table import LatencyTable, write_table
from edgenas.system import checkpoint, distributed, plugins, text
from edgenas.system.run_folder import CONFIG, SECONDS, read_artefact, write_atomically
from edgenas.workflows import inherited
from edgenas.workflows.config import to_toml
from edgenas.workflows.result import Result
from edgenas.workflows.run import Run
from edgenas.workflows.stages import deliver as delivery
from edgenas.workflows.stages import finalists, outcome
from edgenas.workflows.stages import profile as latency
from edgenas.workflows.stages.finalists import Finalist
from edgenas.workflows.stages.outcome import Chosen
from edgenas.workflows.trained_run import open_finished

REUSED = ("bounds.json", "narrow.json", "table.csv", "supernet.pt")
SPREAD = "table-spread"  # the table that the space is narrowed by, before the rest is profiled
LIMITS = "limits"  # artefact: what the space reaches of each metric that is limited beside the latency
SETTLED = "settled"  # artefact: what a kit measured of the finalists on a device that is not this machine


@contextmanager
def undone(run: Run) -> Iterator[None]:
    """A refusal inside, before there is anything to go on with, leaves the folder free for another search."""
    begun = run.config.resume
    try:
        yield
    except (BudgetError, DataError, TableError, UnknownName, UsageError):
        if not begun:
            tables = (path.name for path in run.folder.path.glob("device-*.csv"))
            for name in (CONFIG, SECONDS, f"{LIMITS}.json", f"{SPREAD}.csv", *REUSED, *tables):
                (run.folder.path / name).unlink(missing_ok=True)
            inherited.forget(run.folder.path)
        raise


def keep_config(run: Run, source: Path | None = None) -> None:
    """Write the effective configuration; a resumed run must have the same one. `source`: whose weights are used."""
    path = run.folder.path / CONFIG
    mine = to_toml(run.config)
    free = ("output", "resume", "reuse", "workers", "ray")  # where a run lives and works is not what it is
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
    if source is not None:
        inherited.take_over(source, run.folder.path)
        run.folder.artefact(inherited.SOURCE, lambda: {"run": source.resolve().name})
    write_atomically(path, "".join(lines).encode())


def inherit(run: Run) -> None:
    """Search with the weights of another run, and no further than they reach, if this one was begun so.

    Finalists that were trained there give theirs to the shared ones: what is near them needs little training.
    """
    folder = run.folder
    if not (folder.path / inherited.SOURCE).is_dir():
        return
    config = run.config
    with run.stage("source", "open the weights of the other run"):
        moved = {"data_root": config.data_root, "download": config.download, "train_device": config.train_device}
        source = open_finished(folder.path, run.reporter, **moved)
        run.data, run.space, run.evaluator = source.run.data, source.trained.space, source.evaluator()
        trained = source.finalists()
        for network in reversed(trained.values()):  # the delivered one last: slices overlap
            source.supernet.absorb(network)
        run.inherited = inherited.reach(run, source, folder.artefact(inherited.SOURCE, dict)["run"], trained)
        table = folder.path / "table.csv"
        if inherited.same_table(run, source.run):
            distributed.first(lambda: None if table.exists() else write_table(table, source.run.table))


def check_workers(run: Run) -> None:
    """Raises UsageError if trials are to run in parallel, and the evaluator or the device cannot, or Ray is missing."""
    config = run.config
    if config.workers == 1 and config.ray is None:
        return
    asked = "--ray" if config.ray else f"--workers {config.workers}"
    if distributed.world() > 1:
        raise UsageError(f"{asked}: the {distributed.world()} processes of torchrun share the trials; leave it out")
    if not run.own_weights:
        raise UsageError(
            f"{asked}: the evaluator {config.evaluator} scores all trials in one process; leave it out, "
            "or train each architecture by itself, with --evaluator scratch"
        )
    if run.torch_device != "cpu":
        raise UsageError(f"{asked}: trials in parallel are trained on processors only; add --train-device cpu")
    workers.check(config.ray)


def _reuse(run: Run, source: Path) -> None:
    """Copy another run's profile, narrowing and supernet."""
    missing = [name for name in REUSED[:3] if not (source / name).exists()]
    if missing:
        raise UsageError(f"--reuse {source}: it has no {missing[0]}; give the folder of a run that came so far")
    for name in REUSED:
        if (source / name).exists():
            shutil.copyfile(source / name, run.folder.path / name)


def prepare(run: Run) -> None:
    """Bounds, profile, narrowing; then the run has its table and its problem.

    Raises:
        BudgetError: no network of the space, or none that inherited weights were trained on, is within the budget.
    """
    try:
        _prepare(run)
    except BudgetError as error:
        if run.inherited is None:
            raise
        raise BudgetError(f"{error}. {run.inherited.note[0].upper()}{run.inherited.note[1:]}") from error


def _prepare(run: Run) -> None:
    folder, config = run.folder, run.config
    _ = run.scores, run.options  # what another space has, or no strategy, is refused here
    known = latency.known_table(run)
    with run.stage("bounds", "fastest and slowest network"):
        folder.artefact(LIMITS, partial(latency.reach, run))
        if known is None or run.is_here:
            bounds = folder.artefact("bounds", lambda: latency.bounds(run))
        else:
            bounds = folder.artefact("bounds", partial(latency.predicted_bounds, run, known))
    assert config.budget_ms is not None
    if bounds["smallest_ms"] > config.budget_ms:
        raise BudgetError(
            f"the fastest {run.space.name} network takes {bounds['smallest_ms']:.3f} ms on {run.device}; "
            f"ask for --budget-ms {1.1 * bounds['smallest_ms']:.2g} or more"
        )

    def spread() -> LatencyTable:
        return known or latency.load_or(run, SPREAD, lambda: latency.profile_spread(run))

    with run.stage("profile", f"latencies of {run.device}" if known else "profile this device"):
        narrowed = folder.artefact("narrow", lambda: latency.narrow(run, spread()))
        run.space = run.space.restrict(narrowed["allowed"])
        run.set_table(known or latency.load_or(run, "table", lambda: latency.profile_rest(run, spread())))
        latency.check_together(run)
    for line in latency.describe_narrowing(narrowed):
        run.reporter.say(line)


def strategy(run: Run) -> Strategy:
    """The strategy, before anything is trained: it may refuse the problem, with a UsageError."""
    built: Strategy = plugins.load("strategies", run.config.strategy).build(run)
    return built


def search(run: Run, strategy: Strategy) -> Study:
    """Supernet and search."""
    config = run.config
    assert config.evaluator is not None
    with run.stage(config.evaluator, f"prepare the {config.evaluator} evaluator"):
        _ = run.evaluator
    writes = run.folder.writes
    study = distributed.in_turn(
        lambda: Study(run.folder.path, run.problem.objective, checkpoint.save, checkpoint.load, writes=writes)
    )
    prune = _pruning(run, strategy)
    prune(study)  # a strategy is narrowed as far as it was before it takes on its state from then
    study.restore(strategy)
    for notice in study.notices:
        run.reporter.say(notice)

    def progress(study: Study) -> None:
        best = study.best(1)
        shown = f"best {best[0].metrics['accuracy']:.2%}" if best else ""
        run.tell(len(study.trials), config.trials, shown)

    # All of it can be sent to a worker, as a run cannot.
    problem = replace(run.problem, evaluator=run.evaluator)
    with (
        run.stage("search", f"search with {config.strategy}"),
        workers.trial_map(config.workers, config.ray, run.reporter.say) as map_,
    ):
        ending = driver.search(
            problem,
            strategy,
            study,
            max_trials=config.trials,
            minutes=config.minutes or float("inf"),
            batch=config.batch,
            weights_version=lambda: run.evaluator.weights_version,
            map_=map_,
            stop=run.stop,
            prune=prune,
            progress=progress,
        )
        if ending == "stopped":
            raise Interrupted("stopped during the search")
    return study


def _pruning(run: Run, strategy: Strategy) -> Callable[[Study], None]:
    """What narrows the strategy as the study grows; nothing with `--no-prune`."""
    if not run.config.prune:
        return lambda study: None
    return Pruning(run.problem, strategy, run.config.trials, run.rng("pruning"), run.reporter.say)


def finish(run: Run, study: Study, strategy: Strategy) -> Result:
    """Choose finalists, train them, and deliver the most accurate that is measured within the budget.

    For a device that is not this machine, the most accurate of all, until the device's measurements have come.
    """
    trained: list[Finalist] = []
    chosen = (_measured_here if run.is_here else _awaited)(run, study, strategy, trained)
    finalist, code = trained[chosen.number], str(chosen.number)
    with run.stage("bundle", "test and bundle"):
        opened = {chosen.number: finalist} if run.is_here else dict(enumerate(trained))
        tested = run.folder.artefact("test", partial(delivery.test, run, opened))
        rows = tested["finalists"][code]
        distributed.first(partial(delivery.bundle, run, finalist, chosen.number, chosen.judged, tested["images"], rows))
        value = run.folder.artefact("result", partial(outcome.result, run, study, finalist, chosen, tested))
    return Result(**{**value, "bundle": str(run.folder.path)})


def _measured_here(run: Run, study: Study, strategy: Strategy, trained: list[Finalist]) -> Chosen:
    """Train and measure finalists; if all are above the budget, refit the correction and try the next on the front.

    Raises:
        BudgetError: all missed, again and again.
    """
    misses: dict[Arch, dict[str, Any]] = {}
    for attempt in range(finalists.ATTEMPTS):
        selection = _train_finalists(run, study, strategy, attempt, set(misses), trained)
        first = len(trained) - len(selection["finalists"])
        for number in sorted(range(first, len(trained)), key=lambda i: -trained[i].scores.accuracy):
            exported = _exported(run, trained[number], number)
            with run.stage("measure", f"measure finalist {number + 1} in a fresh process"):
                timings = run.folder.artefact(f"measured-{number}", partial(delivery.measure, run, number))
            judged = delivery.judged(run, exported, timings)
            if judged["met"]:
                return Chosen(number, selection, judged, len(misses))
            misses[trained[number].arch] = judged
        rows = {arch: judged[run.precision] for arch, judged in misses.items()}
        finalists.refit(run, {arch: row["ms"] for arch, row in rows.items() if row})
    _check_files(run, list(misses.values()))
    closest = min((row for row in rows.values() if row), key=lambda row: float(row["ms"]), default=None)
    if closest is None:
        raise BudgetError(f"no finalist runs in {run.precision}: {judged['reason']}; search with a table of fp32")
    raise BudgetError(
        f"none of {len(misses)} finalists met {in_words(run.limits[:1])}: the closest was measured "
        f"{closest['ms']:.3f} ms (repeat error {closest['repeat_error']:.1%}); raise the budget"
    )


def _check_files(run: Run, judged: Sequence[Mapping[str, Any]]) -> None:
    """Raises BudgetError if every finalist's file is too large."""
    sizes = [value["too_large"] for value in judged]
    if all(sizes):
        raise BudgetError(
            f"none of {len(sizes)} finalists has a file of {run.config.max_file_mb:g} MB or less: the smallest is "
            f"{text.size(min(sizes))}; raise --max-file-mb"
        )


def _awaited(run: Run, study: Study, strategy: Strategy, trained: list[Finalist]) -> Chosen:
    """As `_measured_here`, for a device whose measurements are to come, or have come into the artefact `settled`.

    Of finalists that all missed the fastest is delivered, as a miss.

    Raises:
        BudgetError: the budget is for int8, and no finalist can be quantised; or all their files are too large.
    """
    selection = _train_finalists(run, study, strategy, 0, set(), trained)
    exported = [_exported(run, finalist, number) for number, finalist in enumerate(trained)]
    settled = (run.folder.path / f"{SETTLED}.json").exists()
    timings = read_artefact(run.folder.path, SETTLED)["timings"] if settled else {}
    judged = [delivery.judged(run, made, timings.get(str(number), {})) for number, made in enumerate(exported)]
    usable = [number for number, made in enumerate(exported) if made["accuracy"][run.precision] is not None]
    if not usable:
        raise BudgetError(f"no finalist runs in int8: {exported[0]['reason']}; search with the device's table of fp32")
    _check_files(run, [judged[number] for number in usable])
    usable = [number for number in usable if not judged[number]["too_large"]]
    ranked = sorted(usable, key=lambda i: -exported[i]["accuracy"][run.precision])
    within = [number for number in ranked if judged[number]["met"] is not False]
    number = within[0] if within else min(ranked, key=lambda i: float(judged[i][run.precision]["ms"]))
    return Chosen(number, selection, judged[number], ranked.index(number) if within else len(ranked))


def _train_finalists(
    run: Run, study: Study, strategy: Strategy, attempt: int, excluded: set[Arch], trained: list[Finalist]
) -> dict[str, Any]:
    """Choose finalists, and add them to `trained`."""
    with run.stage("finalists", "choose finalists"):
        chosen = run.folder.artefact(
            _finalists_file(attempt), partial(finalists.select, run, study, strategy, attempt, excluded)
        )
    first = len(trained)
    for number, code in enumerate(chosen["finalists"], start=first):
        with run.stage("training", f"train finalist {number + 1} of {first + len(chosen['finalists'])}"):
            trained.append(finalists.train_finalist(run, run.space.parse(code), number))
    return chosen


def _exported(run: Run, finalist: Finalist, number: int) -> dict[str, Any]:
    with run.stage("export", f"export finalist {number + 1}"):
        return run.folder.artefact(f"exported-{number}", partial(delivery.exported, run, finalist, number))


def settle(folder: Path, timings: Mapping[str, Any]) -> None:
    """Keep what the device measured, by number of finalist and precision; the run's next end is decided by it."""
    for name in ("result", "report"):
        (folder / f"{name}.json").unlink(missing_ok=True)
    write_atomically(folder / f"{SETTLED}.json", json.dumps({"timings": timings}, indent=1).encode())


def _finalists_file(attempt: int) -> str:
    """Name of the artefact that lists the finalists of an attempt."""
    return f"finalists-{attempt}" if attempt else "finalists"


def trained_codes(run_folder: Path) -> list[str]:
    """Codes of the trained architectures, by the number in their files' names."""
    names = map(_finalists_file, itertools.count())
    there = itertools.takewhile(lambda name: (run_folder / f"{name}.json").exists(), names)
    return [code for name in there for code in read_artefact(run_folder, name)["finalists"]]
