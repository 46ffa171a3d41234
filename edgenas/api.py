"""What the commands do, as functions: each takes a Config and reports through a Reporter."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas import plugins
from edgenas.config import Config
from edgenas.engine import process
from edgenas.errors import EnvironmentFault, TableError, UsageError
from edgenas.folder import RunFolder, read_artefact, write_atomically
from edgenas.graph import Arch, Node
from edgenas.ops import Shape
from edgenas.progress import Reporter
from edgenas.report import Result
from edgenas.run import Run
from edgenas.spaces._base import SearchSpace, build_space

if TYPE_CHECKING:
    from edgenas.cost.kernels import Forecast
    from edgenas.cost.table import LatencyTable
    from edgenas.profiling.known import Scope

Probes = tuple[list[Node], list[tuple[SearchSpace, Arch]]]  # to be timed: ops, and whole networks

CHUNK = 2000  # architectures priced at a time
PROFILE_NETS, GENERAL_NETS = 60, 40


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
        from edgenas import pipeline  # torch with it

        if folder.notice:
            reporter.say(folder.notice)
        run = Run(config, folder, reporter, stop)
        pipeline.keep_config(run)
        pipeline.prepare(run)
        return pipeline.finish(run, *pipeline.search(run))
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
    return list(read_artefact(folder, "report")["front"])


def notes(folder: Path) -> list[str]:
    """What a person should know about a finished run, a line each."""
    return list(read_artefact(folder, "report")["notes"])


def images(folder: Path) -> dict[str, int]:
    """How many images the accuracies of a finished run are over: `validation` and `test`."""
    return dict(read_artefact(folder, "report")["images"])


def profile(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    seconds: float | None = None,
    out: Path | None = None,
    general: bool = False,
) -> tuple[Path, LatencyTable]:
    """Measure all ops of a space on this machine, and whole networks for the correction.

    With `general`, ops of all kinds and sizes instead, and networks of all usual blocks: to predict files that edgenas
    did not make.

    Raises:
        NoisyMachine: the machine is too busy to time on; nothing is written.
    """
    from edgenas.cost.table import write_table
    from edgenas.profiling import host
    from edgenas.stages.latency import PATIENCE

    process.tune()
    rng = np.random.default_rng(config.seed)
    if general:
        nodes, nets = _general(config.seed, GENERAL_NETS)
    else:
        nodes, nets = _of_space(build_space(config.space, shape, classes), PROFILE_NETS, rng)
    path = out or host.cached_table_path(config.runtime, config.threads)
    table = host.cached_table(config.runtime, config.threads) if out is None else None
    table = table or host.empty_table(config.runtime, config.threads)
    missing = sum(node.key not in table.ops for node in nodes)
    with reporter.stage(f"profile {missing} ops and {len(nets)} networks") as tell:
        table = host.extend_table(
            table,
            nodes,
            nets,
            seconds=seconds or host.SECONDS_EACH * (missing + len(nets)),
            rng=rng,
            patience=1 if seconds else PATIENCE,
            progress=tell,
        )
    write_table(path, table)
    return path, table


def _of_space(space: SearchSpace, nets: int, rng: np.random.Generator) -> Probes:
    """All ops of a space, and so many of its networks, none twice."""
    from edgenas.spaces._genes import sample
    from edgenas.stages.latency import distinct_nodes

    archs = dict.fromkeys(sample(space, rng) for _ in range(10 * nets))
    return distinct_nodes(space), [(space, arch) for arch in list(archs)[:nets]]


def _general(seed: int, nets: int) -> Probes:
    """Ops and networks that stand for those that edgenas did not build."""
    from edgenas.profiling.general import general_nets, general_ops

    return general_ops(seed=seed), general_nets(limit=nets, seed=seed)


def kit(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    only: Mapping[str, Sequence[str]],
    nets: int,
    tests: int,
    precisions: Sequence[str],
    out: Path,
    general: bool = False,
    page: bool = True,
) -> dict[str, Any]:
    """Write the device kit of a space, narrowed to the options in `only` (texts, by choice); returns its manifest.

    `general` as in `profile`. With `page` it also runs in browsers; where onnxruntime-web is not to be had, a notice
    says why it does not.

    Raises:
        UsageError: the space has no such choice or option.
    """
    from edgenas.profiling.kit import write_kit
    from edgenas.profiling.probes import probes

    rng = np.random.default_rng(config.seed)
    facts: dict[str, Any] = {"general": general, "seed": config.seed}
    if general:
        nodes, sorted_nets = _general(config.seed, nets + tests)
        drawn = [sorted_nets[i] for i in rng.permutation(len(sorted_nets))]
    else:
        space = build_space(config.space, shape, classes)
        space = space.restrict({name: space.options_named(name, values) for name, values in only.items()})
        nodes, drawn = _of_space(space, nets + tests, rng)
        facts |= {"space": space.spec, "only": {name: list(values) for name, values in only.items()}}
    made = probes(nodes, drawn[:nets], drawn[nets:], precisions, rng)
    with reporter.stage(f"make probes of {len(nodes)} ops and {len(drawn)} networks") as tell:
        total = len(precisions) * (len(nodes) + len(drawn))
        files = _page(reporter) if page else {}
        return write_kit(out, made, facts, files, lambda done, kind: tell(min(done, total), total, kind))


def few_kit(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    only: Mapping[str, Sequence[str]],
    count: int,
    known: Sequence[str],
    precisions: Sequence[str],
    out: Path,
    general: bool = False,
    page: bool = True,
) -> dict[str, Any]:
    """Write a kit as `kit` does, of the `count` ops and networks that tell most about a new device, for `adapt`.

    `known` names the devices they are chosen by, as in `adapt`.

    Raises:
        UsageError: the space has no such choice or option; no known table is of use.
    """
    from edgenas.profiling.devices import table_name
    from edgenas.profiling.kit import write_kit
    from edgenas.profiling.known import known_tables
    from edgenas.profiling.probes import few_probes

    facts: dict[str, Any] = {"general": general, "seed": config.seed}
    if not general:
        spec = build_space(config.space, shape, classes).spec
        facts |= {"space": spec, "only": {name: list(values) for name, values in only.items()}}
    scope = _scope(facts)
    with reporter.stage(f"choose {count} probes"):
        tables = {precision: known_tables(known, scope, precision) for precision in precisions}
        chosen = {precision: scope.choose(tables[precision], count) for precision in precisions}
    facts["known"] = {precision: [table_name(table) for table in tables[precision]] for precision in precisions}
    made = few_probes(chosen, np.random.default_rng(config.seed))
    with reporter.stage("make probes"):
        return write_kit(out, made, facts, _page(reporter) if page else {})


def _scope(manifest: Mapping[str, Any]) -> Scope:
    """What a kit is about, by its manifest."""
    from edgenas.profiling.general import general_ops, general_space
    from edgenas.profiling.known import Scope
    from edgenas.spaces._base import parse_spec
    from edgenas.stages.latency import distinct_nodes

    try:
        if manifest["general"]:
            return Scope({node.key: node for node in general_ops(seed=manifest["seed"])}, general_space())
        space = parse_spec(manifest["space"])
        only = {name: space.options_named(name, values) for name, values in manifest["only"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TableError(f"the kit does not say what it is of ({error}); make another with `edgenas kit`") from error
    space = space.restrict(only)
    return Scope({node.key: node for node in distinct_nodes(space)}, space)


def _page(reporter: Reporter) -> Mapping[str, bytes]:
    from edgenas.profiling.page import files

    try:
        return files()
    except EnvironmentFault as error:
        reporter.say(f"the kit will not run in browsers: {error}")
        return {}


def ingest(results: Path, *, kit: Path | None = None, out: Path | None = None) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results file and write a table for each precision in it, into folder `out` or the user's own.

    Raises:
        TableError: the results cannot be trusted.
        NoisyMachine: too few clean samples; nothing is written.
    """
    from edgenas.cost.table import write_table
    from edgenas.profiling.devices import own_tables, table_name
    from edgenas.profiling.ingest import read_results, tables
    from edgenas.profiling.kit import read_manifest

    found = tables(read_results(results, read_manifest(kit) if kit else None))
    written = [((out or own_tables()) / table_name(table), table) for table in found]
    for path, table in written:
        write_table(path, table)
    return written


def adapt(
    results: Path,
    *,
    known: Sequence[str],
    precisions: Sequence[str],
    kit: Path | None = None,
    out: Path | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results as `ingest` does, and write tables of all that tables of `known` devices hold of its space.

    `known` are names, files or `all`, see `known_tables`.

    Raises:
        TableError: the results cannot be trusted, or lie where a table of more measured rows is.
        NoisyMachine: too few clean samples.
        UsageError: no known table is of use, or too few rows were measured. Nothing is written then.
    """
    from edgenas.cost.adapted import adapted_table
    from edgenas.cost.table import write_table
    from edgenas.profiling.devices import own_tables, table_name
    from edgenas.profiling.ingest import read_results, tables
    from edgenas.profiling.kit import read_manifest
    from edgenas.profiling.known import check_replaceable, known_tables

    read = read_results(results, read_manifest(kit) if kit else None)
    scope = _scope(read.manifest)
    written = []
    for table in tables(read):
        precision, path = table.header["precision"], (out or own_tables()) / table_name(table)
        if precision in precisions:
            check_replaceable(path, table)
            written.append((path, adapted_table(known_tables(known, scope, precision, table), table)))
    if not written:
        raise UsageError(f"{results}: nothing was measured in {' or '.join(precisions)}; give another --precision")
    for path, table in written:
        write_table(path, table)
    return written


def predict(
    config: Config,
    *,
    shape: Shape,
    classes: int,
    archs: Sequence[str] | None = None,
    samples: int | None = None,
    table: Path | None = None,
    device: str | None = None,
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
    from edgenas.spaces._genes import sample

    space = build_space(config.space, shape, classes)
    prices = _table(config, table, device)
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


def predict_files(
    config: Config, models: Sequence[Path], *, table: Path | None = None, device: str | None = None
) -> tuple[LatencyTable, list[Forecast]]:
    """Latencies of ONNX files that anybody made, and the table they are predicted from.

    Raises:
        DataError: not an ONNX model that onnxruntime can load and run.
        MissingOps: the table is empty.
    """
    from edgenas.cost.kernels import Forecaster
    from edgenas.profiling.onnx_file import read_kernels

    prices = _table(config, table, device)
    forecaster = Forecaster(prices)
    return prices, [forecaster(read_kernels(model)) for model in models]


def _table(config: Config, file: Path | None, device: str | None) -> LatencyTable:
    """The table of a file, or of a device by name, or this machine's own; under the conditions of `config`."""
    from edgenas.cost.table import read_table
    from edgenas.profiling.devices import device_table
    from edgenas.profiling.host import cached_table

    if file and device:
        raise UsageError("--device and --table both name a latency table; give one of them")
    if device:
        return device_table(device, runtime=config.runtime, threads=config.threads)
    table = read_table(file) if file else cached_table(config.runtime, config.threads)
    table.check_matches(runtime=config.runtime, threads=config.threads, precision="fp32")
    return table


def train(config: Config, arch: str, reporter: Reporter, stop: Callable[[], bool] = never) -> dict[str, Any]:
    """Train one architecture from fresh weights, as a finalist is; the run folder is then one that `export` takes."""
    from edgenas import pipeline
    from edgenas.evaluators.scratch import ScratchEvaluator
    from edgenas.stages.finalists import final_settings, train_finalist

    process.tune()
    folder = RunFolder(output_path(config), resume=config.resume)
    try:
        run = Run(config, folder, reporter, stop)
        pipeline.keep_config(run)
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
    from edgenas import pipeline
    from edgenas.config import resolve
    from edgenas.stages import delivery

    process.tune()
    codes = pipeline.trained_codes(run_folder)
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
        return str(read_artefact(run_folder, "result")["arch"])
    if len(codes) > 1:
        raise UsageError(f"{run_folder} is not finished: say which with --arch, one of {', '.join(codes)}")
    return codes[0]
