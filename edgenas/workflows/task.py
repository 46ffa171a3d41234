"""The records that a run passes on: what it is about, and what that costs. Each is made once and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from edgenas.cost.base import CostModel
from edgenas.cost.counts import FLOAT_BYTES, CountCost, Counts
from edgenas.cost.memory import PeakBytes
from edgenas.exploration.objective import ACCURACY, AGREEMENT, Limit, Objective
from edgenas.exploration.problem import Problem
from edgenas.exporters.metadata import Precision
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import Latency, latency_interval
from edgenas.latency.table import LatencyTable
from edgenas.spaces.base import SearchSpace
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.data.base import Data
    from edgenas.nn.network import Network
    from edgenas.training.distillation import Teacher


@dataclass(frozen=True)
class Device:
    """What the budget is for.

    Args:
        name: of the device, without the conditions.
        table: whole name of its latency table; None for this machine, whose table is measured.
        is_here: whether it is this machine, where latency is measured; elsewhere it is predicted.
    """

    name: str
    table: str | None
    runtime: str
    threads: int
    precision: Precision
    is_here: bool


@dataclass(frozen=True)
class Inherited:
    """How far the weights of another run reach: networks within `limits` by `costs` of the run that trained them.

    What the run's own budgets imply is left out.

    Args:
        name: of the other run's folder.
        sizes: the shape choices that were trained, for a person.
        finalists: networks that were trained to the end there, the delivered one first; the shared weights hold theirs.
    """

    name: str
    limits: tuple[Limit, ...]
    costs: tuple[CostModel, ...]
    sizes: str
    finalists: Mapping[Arch, Network]

    @property
    def note(self) -> str:
        """Say how far the weights reach, for a person."""
        bounds = "".join(f", up to {limit}" for limit in self.limits)
        return (
            f"the weights are those of {self.name}, trained at {self.sizes}{bounds}; what lies beyond needs a search "
            "of its own, whatever the budget allows"
        )


@dataclass(frozen=True)
class Task:
    """What a run is about, once all names are checked and the images are there.

    Args:
        limits: the latency on `device` first, then all others; none of a run that searches nothing.
        costs: of limits beside the latency on `device`, MACs, parameters and peak memory.
        tables: latency tables of further devices that have a budget, by whole name.
        reward_form: how budgets enter the reward.
        torch_device: where networks are trained, cpu or cuda.
        inherited: how far the weights of another run reach, if they are used.
        teacher: whose soft labels cuts learn: the whole trained network, fine-tuned on the images, or a larger one.
    """

    config: Config
    data: Data
    space: SearchSpace
    device: Device
    torch_device: str
    limits: tuple[Limit, ...] = ()
    costs: tuple[CostModel, ...] = ()
    tables: Mapping[str, LatencyTable] = field(default_factory=dict)
    reward_form: str = "hard"
    inherited: Inherited | None = None
    teacher: Teacher | None = None

    @property
    def budget_ms(self) -> float:
        """The latency that the model must meet on `device`."""
        return self.limits[0].bound  # `limits_of` puts the latency on the device first

    @property
    def peak(self) -> PeakBytes:
        """Peak memory in the precision that the budget is for."""
        # An int8 model holds its activations in one byte each.
        return PeakBytes(1 if self.device.precision == "int8" else FLOAT_BYTES)

    @property
    def objective(self) -> Objective:
        """Accuracy within the limits, or agreement with the teacher."""
        budgets = {limit.metric: limit.bound for limit in self.limits}
        compared = self.teacher is not None and self.config.evaluator == "supernet"  # which alone gives agreement
        return Objective(budgets, form=self.reward_form, quality=AGREEMENT if compared else ACCURACY)

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint is bound to: space, data and seed."""
        return {
            "space": self.space.spec,
            # Shape choices that are narrowed otherwise make other weights, under the same name of the space.
            "allowed": [list(options) for options in self.space.allowed],
            "data": self.config.data,
            "seed": self.config.seed,
        }


class Costs(NamedTuple):
    """What is known of an architecture before it is trained; `gate`, the interval's high end, meets the budget."""

    latency: Latency
    low: Latency
    gate: Latency
    macs: CostModel
    params: CostModel
    peak: CostModel


@dataclass(frozen=True)
class Priced:
    """A task with the prices of its device: strategies and evaluators are built from it.

    Its space may be a part of the task's, narrowed to some of the shape choices.
    """

    task: Task
    table: LatencyTable
    costs: Costs
    problem: Problem

    @property
    def space(self) -> SearchSpace:
        """The space that is searched."""
        return self.task.space

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.task.config

    @property
    def data(self) -> Data:
        """The images, on the training device."""
        return self.task.data

    @property
    def teacher(self) -> Teacher | None:
        """The network whose soft labels others learn, where they are cuts of a trained one."""
        return self.task.teacher

    @property
    def torch_device(self) -> str:
        """Where to train."""
        return self.task.torch_device

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint is bound to: space, data and seed."""
        return self.task.identity

    def refit(self, table: LatencyTable) -> Priced:
        """Return the same task priced by another table."""
        return price(self.task, table)


def price(task: Task, table: LatencyTable) -> Priced:
    """Return the task with the prices of a table; what the table lacks is estimated."""
    costs = costs_by(task, table)
    return Priced(task, table, costs, Problem(task.space, (*costs, *task.costs), task.objective))


def costs_by(task: Task, table: LatencyTable) -> Costs:
    """Return the costs of a task under a table; what the table lacks is estimated."""
    # The table holds the counts of its ops; to count another one, fvcore traces it.
    known = {key: Counts(row.macs, row.params, row.bytes) for key, row in table.ops.items()}
    macs, params = (CountCost(metric, known) for metric in ("macs", "params"))
    return Costs(*latency_interval(table, task.space, estimate_missing=True), macs, params, task.peak)


def narrowed(task: Task, allowed: Mapping[str, Any]) -> Task:
    """Return the task with a part of its space; `allowed` holds the indices of options, by choice."""
    return replace(task, space=task.space.restrict(allowed))
