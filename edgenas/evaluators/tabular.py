"""Scores read from a file: accuracies that somebody measured for the architectures of a space (`--scores FILE`).

The file is an npz of `op_codes` (n, choices), the option index of each choice of each architecture; `acc_<name>` (n,),
accuracies in %; and, if it has them, `lat_names` (devices,) and `lat_ms` (n, devices), latencies in ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgenas.cost.lookup import LookupCost
from edgenas.data.storage.npz_file import read_npz
from edgenas.errors import DataError, UsageError
from edgenas.exploration.objective import Metrics
from edgenas.exploration.strategy import Context, Priced, Settings
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.system.metric import Metric

if TYPE_CHECKING:
    from edgenas.nn.network import Network

PREFIX = "acc_"


@dataclass(frozen=True)
class ScoreTable:
    """What a file holds: for each of `archs`, accuracies (n,) in 0..1 by name, and latencies (n,) in ms by device."""

    archs: tuple[Arch, ...]
    accuracy: Mapping[str, NDArray[np.float64]]
    latency_ms: Mapping[str, NDArray[np.float64]]

    def check(self, space: SearchSpace) -> None:
        """Check that the architectures are of a space.

        Raises:
            UsageError: they are of another one.
        """
        try:
            # The largest option of each choice, as if of one architecture: where it exists, so do all.
            space.check(tuple(map(max, zip(*self.archs, strict=True))))
        except UsageError as error:
            raise UsageError(f"--scores: its architectures are of another space than {space.name} ({error})") from error

    def latency(self, device: str) -> LookupCost:
        """Return the latency on a device as a cost, `latency_ms@<device>`.

        Raises:
            UsageError: the file does not have it.
        """
        if device not in self.latency_ms:
            raise UsageError(f"no latencies of {device!r} among the scores; there are {', '.join(self.latency_ms)}")
        return LookupCost(str(Metric("latency_ms", device)), self.archs, self.latency_ms[device])

    def evaluator(self, name: str, space: SearchSpace, seed: int = 0, device: str = "cpu") -> TabularEvaluator:
        """Return an evaluator that looks accuracies up.

        Args:
            name: of the accuracies.
            space: whose architectures they are of.
            seed: of the finalists' fresh weights.
            device: of the finalists, cpu or cuda.

        Raises:
            UsageError: the file does not have `name`, or is of another space.
        """
        if name not in self.accuracy:
            raise UsageError(f"no accuracies {name!r} among the scores; there are {', '.join(self.accuracy)}")
        self.check(space)
        return TabularEvaluator(space, dict(zip(self.archs, self.accuracy[name].tolist(), strict=True)), seed, device)


def read_scores(path: Path) -> ScoreTable:
    """Read a file of scores.

    Raises:
        DataError: it cannot be read, or is not of the form above.
    """
    try:
        file = read_npz(path)
        codes = file["op_codes"]
        archs = _archs(codes)
        accuracy = {n.removeprefix(PREFIX): _column(file[n], codes) / 100 for n in file if n.startswith(PREFIX)}
        devices = file["lat_names"].tolist() if "lat_names" in file else []
        table = file["lat_ms"] if devices else np.empty((len(codes), 0))
        latency_ms = {str(d): _column(column, codes) for d, column in zip(devices, table.T, strict=True)}
        if any(((column < 0) | (column > 1)).any() for column in accuracy.values()):
            raise ValueError("an accuracy outside of 0 to 100 %")
        if any((column <= 0).any() for column in latency_ms.values()):
            raise ValueError("a latency that is not above 0 ms")
    except OSError as error:
        raise UsageError(
            f"--scores {path}: cannot be read ({error.strerror}); give a file of known accuracies"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no scores: {error}; see edgenas/evaluators/tabular.py for its form") from error
    if not archs or not accuracy:
        raise DataError(f"{path} holds no scores: no architectures, or no `{PREFIX}...` of them")
    return ScoreTable(archs, accuracy, latency_ms)


def _archs(codes: NDArray[np.int64]) -> tuple[Arch, ...]:
    """Return one row per architecture, none twice."""
    if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"op_codes of shape {codes.shape} and type {codes.dtype}, not whole numbers in rows")
    archs = tuple(map(tuple, codes.astype(int).tolist()))
    if len(set(archs)) < len(archs):
        raise ValueError("an architecture twice")
    return archs


def _column(values: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return one finite number per architecture."""
    column = np.asarray(values, dtype=np.float64)
    if column.shape != codes.shape[:1] or not np.isfinite(column).all():
        raise ValueError(f"a column of shape {column.shape} with {codes.shape[0]} architectures, or not numbers")
    return column


class TabularEvaluator:
    """Looks accuracies up; nothing is trained before the finalists, whose weights begin fresh."""

    weights_version = 0
    own_weights = False

    def __init__(self, space: SearchSpace, accuracy: Mapping[Arch, float], seed: int, device: str) -> None:
        """Look up `accuracy`, in 0..1; finalists get fresh weights by `seed`, on `device` (cpu or cuda)."""
        self.space, self.accuracy, self.seed, self.device = space, accuracy, seed, device

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy`, in 0..1.

        Raises:
            UsageError: the file does not have the architecture.
        """
        if arch not in self.accuracy:
            raise UsageError(f"the scores hold no {self.space.name} {self.space.code(arch)}; use another --scores")
        return {"accuracy": self.accuracy[arch]}

    def final(self, arch: Arch) -> Metrics:
        """Return the same."""
        return self(arch)

    def network(self, arch: Arch) -> Network:
        """Return fresh weights."""
        from edgenas.nn.network import fresh_network  # torch starts here, with the first finalist

        return fresh_network(self.space, arch, self.seed, self.device)


def accuracies(config: Settings) -> tuple[ScoreTable, str]:
    """Return what `--scores` holds, and `--scores-name`.

    Raises:
        UsageError: there is no file or name, or no such accuracies.
        DataError: see `read_scores`.
    """
    if config.scores is None:
        raise UsageError("--evaluator tabular: name the file of accuracies with --scores")
    scores = read_scores(Path(config.scores).expanduser())
    return scores, _name(scores, config)


def _name(scores: ScoreTable, config: Settings) -> str:
    """Return which accuracies are meant; raises UsageError if they are not named, or not there."""
    name = config.scores_name or (next(iter(scores.accuracy)) if len(scores.accuracy) == 1 else None)
    if name is None:
        raise UsageError(f"--scores-name: say which accuracies, one of {', '.join(scores.accuracy)}")
    if name not in scores.accuracy:
        raise UsageError(f"--scores-name: no {name!r} in {config.scores}; there are {', '.join(scores.accuracy)}")
    return name


def build(priced: Priced, ctx: Context) -> TabularEvaluator:
    """Return an evaluator that looks accuracies up: those that `--scores-name` names in the file `--scores`."""
    scores, name = accuracies(priced.config)
    return scores.evaluator(name, priced.problem.space, priced.config.seed, priced.torch_device)
