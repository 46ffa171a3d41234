"""What the stages of a run leave in its folder, one record a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgenas.errors import DamagedRun
from edgenas.exporters.by_class import ByClass
from edgenas.exporters.metadata import Precision
from edgenas.runtimes.decide import keeps, may_keep


@dataclass(frozen=True)
class Bounds:
    """The architectures that move the fewest and the most bytes, by code, and their latency in ms.

    Args:
        smallest_low_ms: what the smallest takes at least, where the machine was too busy to tell it well.
        smallest_high_ms: what the smallest takes at most on a device that is elsewhere.
        largest_low_ms, largest_high_ms: what the largest takes at least and at most.
    """

    smallest: str
    smallest_ms: float
    largest: str
    largest_ms: float
    smallest_low_ms: float | None = None
    smallest_high_ms: float | None = None
    # Earlier runs kept none of these.
    largest_low_ms: float | None = None
    largest_high_ms: float | None = None

    @property
    def least_ms(self) -> float:
        """Return the least budget that a search can be for.

        Here a measurement decides in the end, so what might just be possible is searched; elsewhere nothing can be
        promised below the high end of what the smallest takes.
        """
        if self.smallest_high_ms is not None:
            return self.smallest_high_ms
        return self.smallest_ms if self.smallest_low_ms is None else self.smallest_low_ms

    @property
    def most_ms(self) -> float:
        """Return the budget from which on it does not bind: what the largest takes at most."""
        return self.largest_ms if self.largest_high_ms is None else self.largest_high_ms


@dataclass(frozen=True)
class Single:
    """The one architecture that a run trains, by code."""

    arch: str


@dataclass(frozen=True)
class AttainableMinimum:
    """The least that the space has of each metric that is limited beside the latency, in the metric's unit."""

    metrics: Mapping[str, float]


IMPORTANCE = "importance"  # name of the artefact
CONFIRMED = "confirmed"  # likewise: what a kit measured of the finalists on a device that is not this machine


@dataclass(frozen=True)
class Importance:
    """What the channels of the whole network matter on the run's photos, by the group of their batch norm."""

    channels: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Losses:
    """What each option of each choice costs by itself: a divergence in nats, see `option_losses`.

    Args:
        base: the architecture, by code, that each option was tried in.
        options: by choice, what each of its options costs; None where it is not allowed.
    """

    base: str
    options: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Combination:
    """One combination of shape choices: its values by choice, and the MACs of its large feasible architectures."""

    values: Mapping[str, bool | int | float | str]
    large_feasible_macs: float
    kept: bool


@dataclass(frozen=True)
class Narrowing:
    """The options that stay of each shape choice, by index, and the combinations that were compared."""

    allowed: Mapping[str, tuple[int, ...]]
    combinations: tuple[Combination, ...]


@dataclass(frozen=True)
class Candidate:
    """A candidate for a finalist: predicted, and measured where the device is here; shares in 0..1, latencies in ms.

    Args:
        accuracy: None of another network than the run's, which is not scored before it is trained.
        met: None where nothing was measured, or the machine was too busy to tell.
        clean: whether the measurement is of clean samples.
        agreement: with the teacher, of its cuts.
    """

    arch: str
    accuracy: float | None
    predicted_ms: float
    measured_ms: float | None
    repeat_error: float | None
    met: bool | None
    clean: bool = True
    agreement: float | None = None

    @property
    def scores(self) -> dict[str, float]:
        """Return what the evaluator has said, by metric."""
        known = {"accuracy": self.accuracy, "agreement": self.agreement}
        return {name: score for name, score in known.items() if score is not None}


@dataclass(frozen=True)
class Selection:
    """The finalists, by code, the candidates that were looked at, and what the strategy says of its choice.

    Args:
        misses_ms: measured latencies, by code, that the correction was fitted again with before the last candidates.
        controls: those of the finalists, by name, that no search was needed for.
    """

    finalists: tuple[str, ...]
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    misses_ms: Mapping[str, float] = field(default_factory=dict)
    controls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Folds:
    """Accuracies (0..1) of trained networks, by code, over all images of several folds, each seen by none of its own.

    Args:
        folds: how many.
        images: of all folds.
        loss: mean cross-entropy on them, by code.
    """

    folds: int
    images: int
    accuracy: Mapping[str, float]
    loss: Mapping[str, float] = field(default_factory=dict)  # earlier runs kept none


@dataclass(frozen=True)
class ExportedFile:
    """One file of a finalist: its accuracy (0..1) on the validation split, and its size."""

    validation_accuracy: float
    file_bytes: int


@dataclass(frozen=True)
class Exported:
    """The files of a finalist by precision; `reason` says why there is no int8 file."""

    files: Mapping[str, ExportedFile]
    reason: str


@dataclass(frozen=True)
class Figure:
    """A measured latency in ms; None stands for what was not measured yet.

    Args:
        clean: whether it is of clean samples.
        slowed: how much slower than at its best the reference op was meanwhile, at least 1.
    """

    ms: float | None = None
    p90_ms: float | None = None
    repeat_error: float | None = None
    threads: int | None = None
    clean: bool = True
    slowed: float = 1.0

    def keeps(self, budget_ms: float) -> bool | None:
        """Tell whether it keeps a budget; None where nothing was measured, or the measurement cannot tell."""
        if self.ms is None or self.repeat_error is None:
            return None
        return keeps(self.ms, self.repeat_error, budget_ms, clean=self.clean, slowed=self.slowed)

    def may_keep(self, budget_ms: float) -> bool:
        """Tell whether it misses a budget by so little that another measurement may keep it."""
        if self.ms is None or self.repeat_error is None:
            return False
        return may_keep(self.ms, self.repeat_error, budget_ms, self.slowed)


@dataclass(frozen=True)
class Measurement:
    """The latencies of a finalist's files, by precision."""

    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Confirmed:
    """What a kit measured of the finalists on a device that is not this machine, by number and precision."""

    finalists: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Verdict:
    """Whether a finalist meets the budget, in the precision that this is for, and which file is the default.

    Args:
        met: None while the device has not measured it, and where it was too busy to tell.
        too_large: bytes of a file that exceeds its limit; it misses the budget however fast it is.
        figures: latencies by precision, of the files that there are.
    """

    met: bool | None
    default: Precision
    reason: str
    figures: Mapping[str, Figure]
    too_large: int | None = None


@dataclass(frozen=True)
class TestedFinalist:
    """Accuracies (0..1) on the test split: of the network, and of its files; and figures by class of the files."""

    test_accuracy: float
    onnx_test_accuracy: float
    int8_test_accuracy: float | None
    by_class: Mapping[str, ByClass] = field(default_factory=dict)  # by precision


@dataclass(frozen=True)
class TestReport:
    """What the test split said, the one time that it was opened; finalists by number."""

    images: int
    test_reads: int
    finalists: Mapping[str, TestedFinalist]

    def of(self, number: int) -> TestedFinalist:
        """Return what it said of a finalist.

        Raises:
            DamagedRun: it was not asked.
        """
        if str(number) not in self.finalists:
            raise DamagedRun(f"test.json lacks finalist {number}; put back a copy of it, or use a new --output")
        return self.finalists[str(number)]


@dataclass(frozen=True)
class Report:
    """What a person should know of a run, a line each, and how many images its accuracies are over."""

    notes: tuple[str, ...]
    images: Mapping[str, int]


@dataclass(frozen=True)
class Source:
    """The run whose weights are used, by the name of its folder."""

    run: str
