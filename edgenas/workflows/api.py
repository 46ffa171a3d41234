"""What the commands do, as functions: each takes a Config and reports through a Reporter."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace, build_space
from edgenas.system import distributed, plugins
from edgenas.system.progress import Reporter, SilentReporter
from edgenas.system.run_folder import RunFolder, read_artefact, write_atomically
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import Config
from edgenas.workflows.inherited import SOURCE
from edgenas.workflows.result import Result
from edgenas.workflows.run import Run

if TYPE_CHECKING:
    from edgenas.latency.forecast import Forecast
    from edgenas.latency.table import LatencyTable

Probes = tuple[list[Node], list[tuple[SearchSpace, Arch]]]  # to be timed: ops, and whole networks

CHUNK = 2000  # architectures priced at a time
PROFILE_NETS, GENERAL_NETS = 60, 40


def never() -> bool:
    """The default `stop`: run to the end."""
    return False


@distributed.processes()
def search(config: Config, reporter: Reporter, stop: Callable[[], bool] = never) -> Result:
    """From images and a budget to a measured bundle in the run folder; in all processes that torchrun started.

    Raises:
        BudgetError: no network meets the budget.
        Interrupted: `stop` said so; the run can be resumed.
        EdgeNASError: see errors.py.
    """
    return _searched(config, reporter, stop)


def specialize(config: Config, source: Path | None, reporter: Reporter, stop: Callable[[], bool] = never) -> Result:
    """As `search`, on the weights that the run in `source` trained; `config` as `inherited.settings` makes it.

    With `config.resume`, `source` may be None: the run folder keeps what it needs of the other.

    Raises:
        UsageError: there is no such run, it shares no weights, or did not come so far.
        BudgetError: no network that the weights were trained on meets the budget.
    """
    if config.resume and not (output_path(config) / SOURCE).is_dir():
        raise UsageError(f"--resume: {config.output} was begun by a search of its own; resume it with `edgenas search`")
    return _searched(config, reporter, stop, None if config.resume else source)


def _searched(config: Config, reporter: Reporter, stop: Callable[[], bool], source: Path | None = None) -> Result:
    if config.budget_ms is None and not config.budgets_ms:
        raise UsageError("--budget-ms: say how many milliseconds the model may take, for example --budget-ms 20")
    configure_threads()
    config = with_evaluator(config)
    for kind in ("data", "space", "evaluator", "runtime"):  # names first: they cost nothing to check
        plugins.check("data" if kind == "data" else f"{kind}s", getattr(config, kind))
    _check_scores(config)
    config = with_devices(config)
    run = _begun(config, reporter, stop)
    try:
        from edgenas.workflows import pipeline  # torch with it

        with pipeline.undone(run):
            pipeline.check_workers(run)
            distributed.first(lambda: pipeline.keep_config(run, source))
            pipeline.inherit(run)
            pipeline.prepare(run)
            strategy = pipeline.strategy(run)
        return pipeline.finish(run, pipeline.search(run, strategy), strategy)
    finally:
        run.folder.unlock()


def _begun(config: Config, reporter: Reporter, stop: Callable[[], bool]) -> Run:
    """A run in its folder, which is locked; of several processes the first writes and speaks, and all stop together."""
    path, writes = output_path(config), distributed.rank() == 0
    folder = distributed.in_turn(lambda: RunFolder(path, resume=config.resume, writes=writes))
    reporter = reporter if writes else SilentReporter()
    if folder.notice:
        reporter.say(folder.notice)
    return Run(config, folder, reporter, lambda: distributed.agree(stop()))


def with_evaluator(config: Config) -> Config:
    """With the evaluator that the strategy asks for, if none is named. Raises UnknownName for an unknown strategy."""
    asked = plugins.evaluator_for(config.strategy)
    return replace(config, evaluator=config.evaluator or asked)


def _check_scores(config: Config) -> None:
    """Have the evaluator read its file of scores, before anything is measured; refuse one that nothing reads.

    Raises:
        UsageError: the file or its accuracies are not named, or the evaluator takes none.
        DataError: the file holds no scores.
    """
    assert config.evaluator is not None
    evaluator = plugins.load("evaluators", config.evaluator)
    if hasattr(evaluator, "accuracies"):
        evaluator.accuracies(config)
    elif config.scores is not None or config.scores_name is not None:
        name = "--scores" if config.scores is not None else "--scores-name"
        raise UsageError(
            f"{name}: the evaluator {config.evaluator} reads none; add --evaluator tabular, or leave it out"
        )


def with_devices(config: Config) -> Config:
    """With a main device, and the whole name of every device's table.

    Raises:
        UsageError: two different budgets for one table, or none for the main device.
    """
    from edgenas.latency.registry import device_table, table_name
    from edgenas.runtimes.host import host_name

    recorded = recorded_devices(config)
    tabled = [name for name, _ in config.device_budgets if name not in recorded]
    if config.budget_ms is None and config.device is None and tabled:
        config = replace(config, device=tabled[0])
    config = _for_device(config)
    main = config.device or f"{host_name()}/{config.runtime}-{config.threads}t-{config.precision or 'fp32'}"
    budgets = {} if config.budget_ms is None else {main: config.budget_ms}
    for name, ms in config.device_budgets:
        if name not in recorded and not (config.resume and "/" in name):
            name = table_name(device_table(name, runtime=config.runtime, threads=config.threads))
        if budgets.setdefault(name, ms) != ms:
            raise UsageError(f"--budget-ms: {budgets[name]:g} and {ms:g} ms are both for {name}; leave one out")
    if main not in budgets:
        raise UsageError(f"--budget-ms: say how many milliseconds the model may take on {main}, the --device")
    budget_ms = budgets.pop(main)
    return replace(config, budget_ms=budget_ms, budgets_ms=tuple(f"{name}={ms!r}" for name, ms in budgets.items()))


def recorded_devices(config: Config) -> Collection[str]:
    """Devices whose latencies `--scores` holds; their budgets are checked by look-up."""
    from edgenas.evaluators.tabular import read_scores

    return read_scores(Path(config.scores).expanduser()).latency_ms.keys() if config.scores else ()


def _for_device(config: Config) -> Config:
    """With the whole name of the device's table, and the runtime and threads that it is of."""
    if config.device is None or (config.resume and "/" in config.device):
        return config
    from edgenas.latency.registry import table_name

    table = named_table(config)
    header = table.header
    return replace(config, device=table_name(table), runtime=header["runtime"], threads=int(header["threads"]))


def named_table(config: Config) -> LatencyTable:
    """The table of `--device`.

    Raises:
        UnknownName: there is none.
        UsageError: its whole name was given, and another runtime or number of threads beside it.
    """
    from edgenas.latency.registry import device_table

    assert config.device is not None
    precision = config.precision or "fp32"
    table = device_table(config.device, runtime=config.runtime, threads=config.threads, precision=precision)
    for name in ("runtime", "threads", "precision"):
        given = getattr(config, name)
        if given != getattr(Config(), name) and str(given) != table.header[name]:
            raise UsageError(
                f"--{name} {given}: {config.device} is a table of {name} {table.header[name]}; leave it out"
            )
    return table


def output_path(config: Config) -> Path:
    """The run folder: what the user said, else one named by the time."""
    if config.output is not None:
        return Path(config.output).expanduser()
    if config.resume:
        raise UsageError("--resume needs --output, the run folder to go on with")
    return distributed.broadcast(Path("runs") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S"))


def front(folder: Path) -> list[dict[str, Any]]:
    """The Pareto front of a finished run: accuracy as the search scored it against what is limited."""
    return list(read_artefact(folder, "result")["front"])


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
    from edgenas.devices import this_host as host
    from edgenas.latency.table import write_table
    from edgenas.workflows.stages.profile import PATIENCE

    configure_threads()
    rng = np.random.default_rng(config.seed)
    if general:
        nodes, nets = general_probes(config.seed, GENERAL_NETS)
    else:
        nodes, nets = space_probes(build_space(config.space, shape, classes), PROFILE_NETS, rng)
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


def space_probes(space: SearchSpace, nets: int, rng: np.random.Generator) -> Probes:
    """All ops of a space, and so many of its networks, none twice."""
    from edgenas.spaces.sampling import sample
    from edgenas.workflows.stages.profile import distinct_nodes

    archs = dict.fromkeys(sample(space, rng) for _ in range(10 * nets))
    return distinct_nodes(space), [(space, arch) for arch in list(archs)[:nets]]


def general_probes(seed: int, nets: int) -> Probes:
    """Ops and networks that stand for those that edgenas did not build."""
    from edgenas.devices.general_probes import general_nets, general_ops

    return general_ops(seed=seed), general_nets(limit=nets, seed=seed)


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
    from edgenas.cost.memory import PeakBytes
    from edgenas.latency.forecast import ms_per_mac
    from edgenas.latency.predictor import EstimatedMs, latency_interval
    from edgenas.spaces.sampling import sample

    space = build_space(config.space, shape, classes)
    prices = _table(config, table)
    known = {key: Counts(row.macs, row.params, row.bytes) for key, row in prices.ops.items()}
    latency, low, high = latency_interval(prices, space, estimate_missing=estimate_missing)
    counts = [CountCost(metric, known) for metric in ("macs", "params")]
    costs = (latency, low, high, EstimatedMs(latency), *counts, PeakBytes())
    rng = np.random.default_rng(config.seed)
    chosen = [space.parse(code) for code in archs] if archs else [sample(space, rng) for _ in range(samples or 0)]
    rate = ms_per_mac(prices, latency.correction)
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
                "macs_only_ms": macs * rate,
                "estimated_share": estimated_ms / (ms - latency.intercept),
            }


def predict_ops(
    config: Config,
    *,
    shape: Shape,
    classes: int,
    archs: Sequence[str],
    table: Path | None = None,
    estimate_missing: bool = False,
) -> tuple[LatencyTable, list[Forecast]]:
    """As `predict`, op by op; and the table they are predicted from."""
    from edgenas.latency.forecast import graph_forecast
    from edgenas.latency.predictor import latency_interval

    space = build_space(config.space, shape, classes)
    prices = _table(config, table)
    interval = latency_interval(prices, space, estimate_missing=estimate_missing)
    return prices, [graph_forecast(space.graph(space.parse(code)), *interval) for code in archs]


def predict_files(
    config: Config, models: Sequence[Path], *, table: Path | None = None
) -> tuple[LatencyTable, list[Forecast]]:
    """Latencies of ONNX files that anybody made, and the table they are predicted from.

    Raises:
        DataError: not an ONNX model that onnxruntime can load and run.
        MissingOps: the table is empty.
    """
    from edgenas.latency.forecast import Forecaster
    from edgenas.latency.onnx_file import read_kernels

    prices = _table(config, table)
    forecaster = Forecaster(prices)
    return prices, [forecaster(read_kernels(model)) for model in models]


def _table(config: Config, file: Path | None) -> LatencyTable:
    """The table of a file, or of a device by name, or this machine's own; under the conditions of `config`."""
    from edgenas.devices.this_host import cached_table
    from edgenas.latency.table import read_table

    if file and config.device:
        raise UsageError("--device and --table both name a latency table; give one of them")
    if config.device:
        return named_table(config)
    table = read_table(file) if file else cached_table(config.runtime, config.threads)
    table.check_matches(runtime=config.runtime, threads=config.threads, precision="fp32")
    return table


@distributed.processes()
def train(config: Config, arch: str, reporter: Reporter, stop: Callable[[], bool] = never) -> dict[str, Any]:
    """Train one architecture from fresh weights, as a finalist is; the run folder is then one that `export` takes."""
    from edgenas.evaluators.scratch import ScratchEvaluator
    from edgenas.workflows import pipeline
    from edgenas.workflows.stages.finalists import final_settings, train_finalist

    configure_threads()
    run = _begun(config, reporter, stop)
    try:
        distributed.first(lambda: pipeline.keep_config(run))
        code = run.space.code(run.space.parse(arch))
        run.evaluator = ScratchEvaluator(run.space, run.data, final_settings(run), run.torch_device, config.seed)
        with run.stage("training", "train"):
            finalist = train_finalist(run, run.space.parse(code), 0)
        run.folder.artefact("finalists", lambda: {"finalists": [code]})
        return {
            "arch": code,
            "validation_accuracy": finalist.scores.accuracy,
            "validation_images": finalist.scores.images,
            "run": str(run.folder.path),
        }
    finally:
        run.folder.unlock()


def export(
    run_folder: Path, reporter: Reporter, *, arch: str | None = None, out: Path, dynamic_batch: bool = False
) -> Path:
    """A trained architecture of a run as one ONNX file.

    Raises:
        UsageError: the run has no such trained architecture.
        ExportError: the file differs from the network; it is kept as `<out>.rejected`.
    """
    from edgenas.workflows import pipeline
    from edgenas.workflows.config import resolve
    from edgenas.workflows.stages import deliver as delivery

    configure_threads()
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
