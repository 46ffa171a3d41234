"""Run: what the stages of one run share, made when it is first asked for."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.random import Generator

from edgenas.cost.base import CostModel
from edgenas.cost.bounds import extreme
from edgenas.cost.counts import FLOAT_BYTES, CountCost, Counts
from edgenas.cost.file_size import FileBytes
from edgenas.cost.memory import PeakBytes
from edgenas.errors import EnvironmentFault, Interrupted, UsageError
from edgenas.evaluators.tabular import Scores, read_scores
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.feasible import grow, random_feasible, repair
from edgenas.exploration.objective import SCORED_UP_TO, Limit, Metrics, Objective
from edgenas.exploration.problem import Problem
from edgenas.exporters.metadata import Precision
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import Latency, latency_interval
from edgenas.latency.registry import device_table
from edgenas.latency.table import LatencyTable, read_table, write_table
from edgenas.runtimes import host
from edgenas.spaces.base import SearchSpace, build_space
from edgenas.system import plugins
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import RunFolder
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.data.base import Data
    from edgenas.training.context import TrainingContext
    from edgenas.workflows.inherited import Inherited

MB = 1e6


class Costs(NamedTuple):
    """What a run knows of an architecture before training it; `gate`, the interval's high end, meets the budget."""

    latency: Latency
    low: Latency
    gate: Latency
    macs: CostModel
    params: CostModel
    peak: CostModel


class Run:
    """One run: its configuration, folder, data and space; the latency table and the problem once they are known."""

    table: LatencyTable
    costs: Costs
    problem: Problem
    inherited: Inherited | None = None  # of a run on the weights of another

    def __init__(self, config: Config, folder: RunFolder, reporter: Reporter, stop: Callable[[], bool]) -> None:
        """`stop` is asked at every safe point."""
        self.config, self.folder, self.reporter, self.stop = config, folder, reporter, stop
        self._tell: Callable[..., None] | None = None

    @cached_property
    def data(self) -> Data:
        """The data set, on the training device. Raises UsageError if it does not come in the size asked for."""
        config = self.config
        data: Data = plugins.load("data", config.data).build(
            root=Path(config.data_root).expanduser() if config.data_root else None,
            seed=config.seed,
            image_size=config.size,
            validation_share=config.validation_share,
            download=config.download,
            strict=config.strict,
            device=self.torch_device,
        )
        _, height, width = data.shape
        if config.size not in (None, height):
            raise UsageError(f"--size {config.size}: {data.name} comes in {height} x {width} pixels; leave it out")
        return data

    @cached_property
    def torch_device(self) -> str:
        """`cpu` or `cuda`. Raises EnvironmentFault if cuda is wanted and not there."""
        import torch

        wanted = self.config.train_device
        if wanted == "cuda" and not torch.cuda.is_available():
            raise EnvironmentFault("--train-device cuda: torch sees no GPU here; use cpu or auto")
        return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"

    @cached_property
    def space(self) -> SearchSpace:
        """The search space; narrowed to `folder`'s choice of statics once `narrow` has run."""
        return build_space(self.config.space, self.data.shape, len(self.data.classes))

    @cached_property
    def evaluator(self) -> Evaluator:
        """What scores architectures; a supernet is trained here."""
        assert self.config.evaluator is not None
        evaluator: Evaluator = plugins.load("evaluators", self.config.evaluator).build(self)
        return evaluator

    @property
    def own_weights(self) -> bool:
        """Whether the evaluator trains each architecture by itself, so that trials need nothing of each other."""
        assert self.config.evaluator is not None
        return bool(getattr(plugins.load("evaluators", self.config.evaluator), "OWN_WEIGHTS", False))

    @property
    def device(self) -> str:
        """Name of the device that the budget is for."""
        return host.host_name() if self.config.device is None else self.config.device.partition("/")[0]

    @property
    def precision(self) -> Precision:
        """Of the model that the budget is for: as was said, or that which the whole name of the table ends with."""
        named = self.config.precision or (self.config.device or "").rpartition("-")[2]
        return "int8" if named == "int8" else "fp32"

    @property
    def is_here(self) -> bool:
        """Whether the device is this machine, where latency is measured; elsewhere it is predicted."""
        return self.device == host.host_name()

    def rng(self, name: str) -> Generator:
        """An independent stream of random numbers for each name."""
        return np.random.default_rng((self.config.seed, zlib.crc32(name.encode())))

    def set_table(self, table: LatencyTable) -> None:
        """Price with this table from now on."""
        self.table = table
        self.costs = self.costs_by(table)
        self.problem = Problem(self.space, (*self.costs, *self.further_costs), self.objective(), self.evaluate)

    def costs_by(self, table: LatencyTable) -> Costs:
        """The costs under a table; what it lacks is estimated."""
        known = {key: Counts(row.macs, row.params, row.bytes) for key, row in table.ops.items()}
        macs, params = (CountCost(metric, known) for metric in ("macs", "params"))
        return Costs(*latency_interval(table, self.space, estimate_missing=True), macs, params, self.peak)

    @cached_property
    def peak(self) -> PeakBytes:
        """Peak memory in the precision that the budget is for."""
        return PeakBytes(1 if self.precision == "int8" else FLOAT_BYTES)

    @cached_property
    def scores(self) -> Scores | None:
        """What `--scores` holds. Raises UsageError if it is of another space."""
        if self.config.scores is None:
            return None
        scores = read_scores(Path(self.config.scores).expanduser())
        scores.check(self.space)
        return scores

    @property
    def recorded(self) -> frozenset[str]:
        """Further devices whose latencies are looked up among the scores."""
        known = self.scores.latency_ms if self.scores else {}
        return frozenset(name for name, _ in self.config.device_budgets if name in known)

    @cached_property
    def tables_elsewhere(self) -> dict[str, LatencyTable]:
        """Tables of the further devices that have a budget, by whole name, as they were when the run began."""
        tables = {}
        for i, (name, _) in enumerate(self.config.device_budgets, start=1):
            if name in self.recorded:
                continue
            path = self.folder.path / f"device-{i}.csv"
            if not path.exists():
                write_table(path, device_table(name, runtime=self.config.runtime, threads=self.config.threads))
            tables[name] = read_table(path)
        return tables

    @cached_property
    def further_costs(self) -> tuple[CostModel, ...]:
        """Costs that only matter where they are limited: latencies of further devices, and the file's size."""
        costs: list[CostModel] = []
        for name, table in self.tables_elsewhere.items():
            for latency in latency_interval(table, self.space, estimate_missing=True):
                latency.metric = f"{latency.metric.partition('@')[0]}@{name}"  # a device may have several tables
                costs.append(latency)
        if self.scores is not None:
            costs += [self.scores.latency(name) for name in sorted(self.recorded)]
        if self.config.max_file_mb is not None:
            costs.append(FileBytes(self.space, self.precision))
        return (*costs, *(self.inherited.costs if self.inherited else ()))

    @cached_property
    def options(self) -> dict[str, str]:
        """Options of the strategy, the first of each where none is given.

        Raises:
            UsageError: one that the strategy does not have, or no value of it.
        """
        known = getattr(plugins.load("strategies", self.config.strategy), "OPTIONS", {})
        options = {name: values[0] for name, values in known.items()}
        for text in self.config.options:
            name, _, value = text.partition("=")
            if name not in known:
                there = f"it has {', '.join(known)}" if known else "it has none"
                raise UsageError(f"--options {text}: {self.config.strategy} has no option {name!r}; {there}")
            if value not in known[name]:
                raise UsageError(f"--options {text}: {name} is one of {', '.join(known[name])}")
            options[name] = value
        return options

    def objective(self) -> Objective:
        """Accuracy under the run's limits."""
        form = self.config.reward or plugins.load("strategies", self.config.strategy).REWARD
        return Objective({limit.metric: limit.bound for limit in self.limits}, form=form)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The budgets, and how far inherited weights reach."""
        return (*self.own_limits, *(self.inherited.limits if self.inherited else ()))

    @cached_property
    def own_limits(self) -> tuple[Limit, ...]:
        """The budgets: latency on the run's device first, then on others, by the upper ends of the intervals."""
        config = self.config
        assert config.budget_ms is not None
        here = f"on {self.device}" if config.budgets_ms else ""
        limits = [Limit(f"latency_high_ms@{self.device}", config.budget_ms, "--budget-ms ", here)]
        for name, ms in config.device_budgets:
            metric = "latency_ms" if name in self.recorded else "latency_high_ms"
            limits.append(Limit(f"{metric}@{name}", ms, f"--budget-ms {name}=", f"on {name}"))
        if config.max_params is not None:
            limits.append(Limit("params", config.max_params, "--max-params ", "parameters"))
        if config.max_memory_mb is not None:
            limits.append(Limit("peak_bytes", MB * config.max_memory_mb, "--max-memory-mb ", "of activations", MB))
        if config.max_file_mb is not None:
            limits.append(Limit("file_bytes", MB * config.max_file_mb, "--max-file-mb ", "for the file", MB))
        return tuple(limits)

    @property
    def binds(self) -> bool:
        """Whether some network of the space exceeds the latency budget."""
        bounds = self.folder.artefact("bounds", dict)
        return bool(self.config.budget_ms is not None and bounds["largest_ms"] > self.config.budget_ms)

    def scored_extremes(self) -> tuple[Arch, Arch]:
        """The largest architecture that any reward form scores, and the one of least latency that it scores."""
        reach = max(SCORED_UP_TO.values())
        budgets = {limit.metric: reach * limit.bound for limit in self.limits}
        roomy = Problem(self.space, self.problem.costs, Objective(budgets), self.evaluate)
        rng = self.rng("teacher")
        smallest = extreme(self.space, self.costs.gate)
        smallest = repair(roomy, smallest, rng) or smallest  # the fastest need not meet the other budgets
        start = random_feasible(roomy, rng) or smallest
        grown = [grow(roomy, start, rng) for _ in range(4)] if roomy.feasible([start])[0] else [start]
        macs = self.costs.macs.many(self.space, grown)
        return grown[int(np.argmax(macs))], smallest

    def surroundings(self, name: str, identity: dict[str, Any]) -> TrainingContext:
        """Checkpoint `<name>.pt` in the folder, bound to this run's space, data and seed; progress and stop."""
        from edgenas.training.context import TrainingContext

        bound = {
            "space": self.space.spec,
            "allowed": [list(options) for options in self.space.allowed],
            "data": self.config.data,
            "seed": self.config.seed,
        }
        return TrainingContext(self.folder.path / f"{name}.pt", {**bound, **identity}, self.tell, self.stop)

    def tell(self, done: int, total: int, text: str = "") -> None:
        """Progress of the stage that is under way."""
        if self._tell is not None:
            self._tell(done, total, text)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """What happens inside is reported under `title`, and its time counted under `name`."""
        if self.stop():
            raise Interrupted(f"stopped before: {title}")
        started = time.monotonic()
        try:
            with self.reporter.stage(title) as self._tell:
                yield
        finally:
            self._tell = None
            self.folder.add_seconds(name, time.monotonic() - started)

    def evaluate(self, arch: Arch) -> Metrics:
        """What the run's evaluator finds; a supernet is trained first."""
        return self.evaluator(arch)
