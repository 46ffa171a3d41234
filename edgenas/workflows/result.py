"""What a search found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.errors import UsageError
from edgenas.system import records

if TYPE_CHECKING:
    from edgenas.workflows.model import Model


@dataclass(frozen=True)
class Result:
    """The outcome of a search; the JSON that `--json` prints, field for field.

    `predicted_*`, `measured_ms`, `measured_p90_ms` and `repeat_error` are of the model of `precision`, which the budget
    is for, `int8_*` of the int8 model; None where there is none, or where the device has not measured it yet, as
    `met_budget` then is. `file` is the model of the bundle to use. Latency is in ms per image, accuracies and
    errors are shares in 0..1, `macs` counts a multiply-add as one, `seconds` goes by stage. None stands for unknown,
    never NaN.

    `measurement` is "unclean" where the machine was too busy to tell whether the budget is met, so that `met_budget` is
    None too, and `edgenas bench` measures again; else it is "clean", or None before any.

    `source` names the run whose weights were used, None if the run trained its own.

    `controls` are networks cut out of a trained one without a search, and the next smaller one of its family, trained
    as the finalists were: of each `arch`, `validation_accuracy`, `validation_loss` (mean cross-entropy), and
    `latency_ms`, measured where the device is this machine. One of them is delivered if none of the search is better.

    `limits` holds, for each further budget, `metric`, `allowed` and what the model has `used` of it; latencies on
    further devices are predicted, from `low` to `high`, and keep within their budgets with the high end. `front` are
    the points that none beats in accuracy and every limited metric, and `delivered` is that of the delivered model,
    which need not be one of them: finalists are chosen by their own training. `hypervolume` is what the
    feasible trials dominate in accuracy and the limited metrics, as a share of the box from `reference_point`, the
    lowest accuracy and the highest costs among them, to accuracy 1 at no cost; a metric in which all are equal is left
    out. `genotype` is the architecture as papers on its space write it, None where there is no such form.

    >>> import edgenas, tempfile
    >>> quick = {"space": edgenas.testing.Tiny, "trials": 2, "supernet_epochs": 1, "finalists": 1, "final_epochs": 1}
    >>> folder = tempfile.mkdtemp()
    >>> result = edgenas.search("digits", budget_ms=0.05, device="amd-epyc-zen4", output=folder, **quick)
    >>> result.predicted_low_ms <= result.predicted_ms <= result.predicted_high_ms <= result.budget_ms
    True
    """

    met_budget: bool | None
    budget_ms: float | None
    device: str
    runtime: str
    threads: int
    precision: str
    predicted_ms: float
    predicted_low_ms: float
    predicted_high_ms: float
    measured_ms: float | None
    measured_p90_ms: float | None
    repeat_error: float | None
    largest_ms: float
    smallest_ms: float
    validation_accuracy: float
    test_accuracy: float
    onnx_test_accuracy: float
    int8_test_accuracy: float | None
    int8_measured_ms: float | None
    macs: int
    params: int
    peak_bytes: int
    file_bytes: int
    limits: list[dict[str, Any]]
    space: str
    arch: str
    genotype: str | None
    choices: dict[str, Any]
    strategy: str
    evaluator: str
    data: str
    seed: int
    trials: int
    feasible_trials: int
    hypervolume: float
    reference_point: dict[str, float]
    test_reads: int
    seconds: dict[str, float]
    file: str
    bundle: str
    front: list[dict[str, Any]]
    source: str | None = None
    balanced_accuracy: float | None = None
    recall: dict[str, float | None] = field(default_factory=dict)
    confusion: list[list[int]] | None = None
    measurement: str | None = None
    delivered: Mapping[str, Any] | None = None
    controls: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The run folder, which holds the bundle."""
        return Path(self.bundle)

    @cached_property  # it writes into `__dict__`, which a frozen dataclass does not prevent
    def model(self) -> Model:
        """The delivered model: `result.model(images)` gives labels and probabilities, without torch."""
        from edgenas.workflows.model import Model

        return Model(self.path)

    def at(self, folder: Path) -> Result:
        """Return the same result with `bundle` as the path of its folder, which may have been moved."""
        return replace(self, bundle=str(folder))

    def to_json(self) -> str:
        """Return one JSON object, its fields in their order; a number that is not finite is null."""
        return json.dumps(plain(asdict(self)), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, content: str | bytes) -> Result:
        """Return the result that `to_json` wrote. Raises UsageError for anything else."""
        try:
            return records.from_json(cls, records.parsed(content))
        except ValueError as error:
            raise UsageError(f"not a result of edgenas: {error}") from error


def plain(value: Any) -> Any:
    """Return what JSON can hold of a value: numpy's numbers as Python's, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | Integral):  # a bool is an integer, too, and would become 0 or 1
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    return value
