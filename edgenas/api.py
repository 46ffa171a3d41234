"""What the commands do, as functions: each takes a Config and reports through a Reporter."""

from __future__ import annotations

import datetime
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas import plugins
from edgenas.config import Config, to_toml
from edgenas.engine import process
from edgenas.errors import BudgetError, Interrupted, UsageError
from edgenas.folder import CONFIG, RunFolder, write_atomically
from edgenas.graph import Arch
from edgenas.ops import Shape
from edgenas.progress import Reporter
from edgenas.report import Result
from edgenas.run import Run
from edgenas.spaces._base import build_space
from edgenas.study import Study

if TYPE_CHECKING:
    from edgenas.cost.table import LatencyTable
    from edgenas.stages.finalists import Finalist
    from edgenas.strategies._base import Strategy

CHUNK = 2000  # architectures priced at a time
PROFILE_NETS = 60
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
    process.tune()
    for kind in ("data", "space", "strategy", "evaluator", "runtime"):  # names first: they cost nothing to check
        plugins.check({"data": "data", "strategy": "strategies"}.get(kind, f"{kind}s"), getattr(config, kind))
    folder = RunFolder(output_path(config), resume=config.resume)
    try:
        if folder.notice:
            reporter.say(folder.notice)
        run = Run(config, folder, reporter, stop)
        _keep_config(run)
        _prepare(run)
        return _finish(run, *_search(run))
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
    return list(_kept(folder, "report")["front"])


def notes(folder: Path) -> list[str]:
    """What a person should know about a finished run, a line each."""
    return list(_kept(folder, "report")["notes"])


def images(folder: Path) -> dict[str, int]:
    """How many images the accuracies of a finished run are over: `validation` and `test`."""
    return dict(_kept(folder, "report")["images"])


def profile(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    seconds: float | None = None,
    out: Path | None = None,
) -> tuple[Path, LatencyTable]:
    """Measure all ops of a space on this machine, and whole networks for the correction.

    Raises:
        NoisyMachine: the machine is too busy to time on; nothing is written.
    """
    from edgenas.cost.table import write_table
    from edgenas.profiling import host
    from edgenas.spaces._genes import sample
    from edgenas.stages.latency import distinct_nodes

    process.tune()
    space = build_space(config.space, shape, classes)
    rng = np.random.default_rng(config.seed)
    nets = [(space, sample(space, rng)) for _ in range(PROFILE_NETS)]
    path = out or host.cached_table_path(config.runtime, config.threads)
    nodes = distinct_nodes(space)
    table = host.cached_table(config.runtime, config.threads) if out is None else None
    table = table or host.empty_table(config.runtime, config.threads)
    missing = sum(node.key not in table.ops for node in nodes)
    with reporter.stage(f"profile {missing} ops and {len(nets)} networks") as tell:
        table = host.extend_table(
            table, nodes, nets, seconds=seconds or host.SECONDS_EACH * (missing + len(nets)), rng=rng, progress=tell
        )
    write_table(path, table)
    return path, table


def predict(
    config: Config,
    *,
    shape: Shape,
    classes: int,
    archs: Sequence[str] | None = None,
    samples: int | None = None,
    table: Path | None = None,
    estimate_missing: bool = False,
) -> Iterator[dict[str, Any]]:
    """Latency with its interval, counts and memory of architectures given by code, or of `samples` random ones.

    Raises:
        MissingOps: the table lacks ops, and estimates are not allowed.
        UsageError: a code is not of this space.
    """
    from edgenas.cost.base import many_metrics
    from edgenas.cost.counts import CountCost, Counts
    from edgenas.cost.latency import EstimatedMs, latency_interval
    from edgenas.cost.memory import PeakBytes
    from edgenas.cost.table import read_table
    from edgenas.profiling.host import cached_table
    from edgenas.spaces._genes import sample

    space = build_space(config.space, shape, classes)
    prices = read_table(table) if table else cached_table(config.runtime, config.threads)
    prices.check_matches(runtime=config.runtime, threads=config.threads, precision="fp32")
    known = {key: Counts(row.macs, row.params, row.bytes) for key, row in prices.ops.items()}
    latency, low, high = latency_interval(prices, space, estimate_missing=estimate_missing)
    counts = [CountCost(metric, known) for metric in ("macs", "params")]
    costs = (latency, low, high, EstimatedMs(latency), *counts, PeakBytes())
    rng = np.random.default_rng(config.seed)
    chosen = [space.parse(code) for code in archs] if archs else [sample(space, rng) for _ in range(samples or 0)]
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        columns = np.array(list(many_metrics(costs, space, part).values())).T.tolist()
        for arch, (ms, low_ms, high_ms, estimated_ms, macs, params, peak) in zip(part, columns, strict=True):
            yield {
                "arch": space.code(arch),
                "latency_ms": ms,
                "low_ms": low_ms,
                "high_ms": high_ms,
                "macs": int(macs),
                "params": int(params),
                "peak_bytes": int(peak),
                "estimated_share": estimated_ms / (ms - latency.intercept),
            }


def train(config: Config, arch: str, reporter: Reporter, stop: Callable[[], bool] = never) -> dict[str, Any]:
    """Train one architecture from fresh weights, as a finalist is; the run folder is then one that `export` takes."""
    from edgenas.evaluators.scratch import ScratchEvaluator
    from edgenas.stages.finalists import final_settings, train_finalist

    process.tune()
    folder = RunFolder(output_path(config), resume=config.resume)
    try:
        run = Run(config, folder, reporter, stop)
        _keep_config(run)
        code = run.space.code(run.space.parse(arch))
        run.evaluator = ScratchEvaluator(run.space, run.data, final_settings(run), run.torch_device, config.seed)
        with run.stage("training", "train"):
            finalist = train_finalist(run, run.space.parse(code), 0)
        folder.artefact("finalists", lambda: {"finalists": [code]})
        return {
            "arch": code,
            "validation_accuracy": finalist.scores.accuracy,
            "validation_images": finalist.scores.images,
            "run": str(folder.path),
        }
    finally:
        folder.unlock()


def export(
    run_folder: Path, reporter: Reporter, *, arch: str | None = None, out: Path, dynamic_batch: bool = False
) -> Path:
    """A trained architecture of a run as one ONNX file.

    Raises:
        UsageError: the run has no such trained architecture.
        ExportError: the file differs from the network; it is kept as `<out>.rejected`.
    """
    from edgenas.config import resolve
    from edgenas.stages import delivery

    process.tune()
    codes = _trained_codes(run_folder)
    if not codes:
        raise UsageError(
            f"{run_folder} has no trained network; run `edgenas search` or `edgenas train` to its end first"
        )
    config = resolve({"resume": True, "output": str(run_folder)})
    run = Run(config, RunFolder(run_folder, resume=True), reporter, never)
    try:
        chosen = arch if arch is not None else _winner(run_folder, codes)
        if chosen not in codes:
            raise UsageError(f"{run_folder}: {chosen} is not trained there; trained are {', '.join(codes)}")
        with reporter.stage("export"):
            model = delivery.export_trained(run, run.space.parse(chosen), codes.index(chosen), dynamic_batch)
        write_atomically(out, model)
    finally:
        run.folder.unlock()
    return out


def _winner(run_folder: Path, codes: Sequence[str]) -> str:
    """The architecture of the result; before there is one, the only finalist."""
    if (run_folder / "result.json").exists():
        return str(_kept(run_folder, "result")["arch"])
    if len(codes) > 1:
        raise UsageError(f"{run_folder} is not finished: say which with --arch, one of {', '.join(codes)}")
    return codes[0]


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


def _search(run: Run) -> tuple[Study, Strategy]:
    """Supernet and search."""
    from edgenas import driver
    from edgenas.engine import checkpoint

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


def _finish(run: Run, study: Study, strategy: Strategy) -> Result:
    """Choose finalists, train them, deliver the most accurate that is measured within the budget.

    If all are measured above it, the correction is refitted on them and the next on the front are tried.
    """
    from edgenas.stages import delivery, outcome
    from edgenas.stages import finalists as stage

    trained: list[Finalist] = []
    misses: dict[Arch, dict[str, Any]] = {}
    for attempt in range(stage.ATTEMPTS):
        with run.stage("finalists", "choose finalists"):
            chosen = run.folder.artefact(
                _finalists_file(attempt), partial(stage.select, run, study, strategy, attempt, set(misses))
            )
        first = len(trained)
        for number, code in enumerate(chosen["finalists"], start=first):
            with run.stage("training", f"train finalist {number + 1} of {first + len(chosen['finalists'])}"):
                trained.append(stage.train_finalist(run, run.space.parse(code), number))
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
                    "result", partial(outcome.result, run, study, finalist, measured, tested, len(misses))
                )
            return Result(**{**value, "bundle": str(run.folder.path)})
        stage.refit(run, {arch: row["ms"] for arch, row in misses.items()})
    closest = min(misses.values(), key=lambda row: float(row["ms"]))
    raise BudgetError(
        f"none of {len(misses)} finalists met {run.config.budget_ms:g} ms: the closest was measured "
        f"{closest['ms']:.3f} ms (repeat error {closest['repeat_error']:.1%}); raise the budget"
    )


def _finalists_file(attempt: int) -> str:
    """Name of the artefact that lists the finalists of an attempt."""
    return f"finalists-{attempt}" if attempt else "finalists"


def _trained_codes(run_folder: Path) -> list[str]:
    """Codes of the trained architectures, by the number in their files' names."""
    attempts = itertools.takewhile(lambda n: (run_folder / f"{_finalists_file(n)}.json").exists(), itertools.count())
    return [code for attempt in attempts for code in _kept(run_folder, _finalists_file(attempt))["finalists"]]
