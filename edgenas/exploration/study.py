"""Study: what a search has found so far, in a run folder that survives being killed at any moment.

`trials.jsonl` holds one trial a line and is only appended to. `search.pt` is the checkpoint: the strategy's state and
the number of trials it has been told of. Opening a folder cuts the lines beyond that number, so strategy and trials
always agree, and the search runs on as if it had never stopped.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgenas.errors import DamagedRun
from edgenas.exploration.objective import Objective
from edgenas.exploration.pareto import non_dominated
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

TRIALS, CHECKPOINT = "trials.jsonl", "search.pt"


def _save(path: Path, state: State) -> None:
    """Keep `state` with edgenas.system.checkpoint; torch starts here, and only where a search is kept."""
    from edgenas.system import checkpoint

    checkpoint.save(path, state)


def _load(path: Path) -> State:
    """Return what `_save` kept; torch does not start where there is nothing."""
    # Any generation will do: killed between two renames, a save leaves only the one before, under a longer name.
    if not any(path.parent.glob(f"{path.name}*")):
        raise FileNotFoundError(path)
    from edgenas.system import checkpoint

    return checkpoint.load(path)


class Stateful(Protocol):
    """What a checkpoint keeps: a strategy."""

    def state_dict(self) -> State:
        """Return all that its future depends on."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        ...


class Study:
    """The trials of one search, in order, in a folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Study(Path(folder), Objective({"macs": 1e6}))
    ...     _ = study.add((0, 1), {"macs": 9e5, "accuracy": 0.8})
    ...     _ = study.add((1, 1), {"macs": 2e6, "accuracy": 0.9})
    ...     [trial.arch for trial in study.best(2)]
    [(0, 1)]
    """

    def __init__(
        self,
        folder: Path,
        objective: Objective,
        save: Callable[[Path, State], None] = _save,
        load: Callable[[Path], State] = _load,
        *,
        every_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        writes: bool = True,
    ) -> None:
        """Open `folder`, new or with an earlier search in it; `restore` then brings the strategy to the same point.

        Afterwards `notices` says what was dropped, for the user, and `seconds` how long the search took up to the
        checkpoint; whoever searches counts it.

        Args:
            folder: where trials and checkpoints are kept; it is made if it is not there.
            objective: which judges the trials.
            save: writes a checkpoint atomically.
            load: reads one back, or raises FileNotFoundError.
            every_s: least time between two checkpoints that are not forced, in s.
            clock: seconds, for tests.
            writes: False for all but one of several processes that search together; that one opens the folder first.

        Raises:
            CheckpointError: the trials that the checkpoint counts are missing or damaged.
        """
        self.folder = folder
        self.objective = objective
        self.trials: list[Trial] = []
        self.notices: list[str] = []
        self.seconds = 0.0
        self._save, self._load = save, load
        self._every_s, self._clock, self._writes = every_s, clock, writes
        self._state: State | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._open()
        self._saved_at = clock()

    # Writing

    def add(
        self,
        arch: Arch,
        metrics: Mapping[str, float],
        *,
        seconds: float = 0.0,
        error: str | None = None,
        weights_version: int = 0,
    ) -> Trial:
        """Judge and append one trial; a metric that is not a finite number makes it a failed one, and is left out.

        Args:
            arch: what was evaluated.
            metrics: costs, and the quality if it was scored.
            seconds: how long the evaluation took.
            error: why it failed, if it did.
            weights_version: which weights the quality is of.
        """
        finite = {metric: float(value) for metric, value in metrics.items() if math.isfinite(value)}
        if error is None and len(finite) < len(metrics):
            error = "not a number: " + ", ".join(f"{m} = {v}" for m, v in metrics.items() if m not in finite)
        # The reward needs every budgeted cost. One that is missing or no number counts as infinite: never feasible.
        known = {metric: finite.get(metric, math.inf) for metric in self.objective.budgets} | finite
        if error is not None:
            known[self.objective.quality] = math.nan
        trial = Trial(
            number=len(self.trials),
            arch=arch,
            metrics=finite,
            reward=self.objective.reward(known),
            feasible=error is None and self.objective.feasible(known),
            weights_version=weights_version,
            error=error,
            seconds=seconds,
        )
        if self._writes:
            with (self.folder / TRIALS).open("a", encoding="utf-8") as file:
                file.write(trial.line())
        self.trials.append(trial)
        return trial

    def checkpoint(self, strategy: Stateful, force: bool = False) -> None:
        """Save the strategy beside the number of trials it was told of.

        Args:
            strategy: whose state is saved.
            force: whether to save even if the last checkpoint is younger than `every_s`.
        """
        if not self._writes or (not force and self._clock() - self._saved_at < self._every_s):
            return
        path = self.folder / TRIALS
        # A search without any proposal has no file yet.
        path.touch()
        with path.open("rb") as file:  # lines beyond the last checkpoint are expendable: this is when they must be safe
            os.fsync(file.fileno())
        counts = {"trials": len(self.trials), "sha256": _hash(path.read_bytes()), "seconds": self.seconds}
        self._save(self.folder / CHECKPOINT, {**counts, "strategy": strategy.state_dict()})
        self._saved_at = self._clock()

    def restore(self, strategy: Stateful) -> None:
        """Bring a fresh strategy to the checkpoint this folder had when it was opened; without one, do nothing."""
        if self._state is not None:
            from edgenas.system.checkpoint import understood

            with understood(self.folder / CHECKPOINT):
                strategy.load_state_dict(self._state)

    # Reading

    @property
    def weights_version(self) -> int:
        """The newest weights that any trial was scored on."""
        return max((trial.weights_version for trial in self.trials), default=0)

    def candidates(self, weights_version: int | None = None) -> list[Trial]:
        """Return the last feasible, scored trial of each architecture; of the newest weights, or of another version."""
        version = self.weights_version if weights_version is None else weights_version
        latest = {
            trial.arch: trial
            for trial in self.trials
            if trial.feasible and trial.weights_version == version and self.objective.quality in trial.metrics
        }
        return list(latest.values())

    def best(self, k: int = 1, weights_version: int | None = None) -> list[Trial]:
        """Return at most `k` feasible trials of highest quality; among equal ones the cheaper, then the earlier.

        Each is the last of its architecture, scored on the weights of `weights_version`; by default the newest ones.
        """

        def rank(trial: Trial) -> tuple[float, ...]:
            costs = (trial.metrics[metric] for metric in self.objective.budgets)
            return -trial.metrics[self.objective.quality], *costs, trial.number

        return sorted(self.candidates(weights_version), key=rank)[:k]

    def front(self, weights_version: int | None = None) -> list[Trial]:
        """Return feasible trials that none beats in quality and every budgeted cost; best quality first."""
        ranked = self.best(len(self.trials), weights_version)
        metrics = list(self.objective.budgets)
        points = [[-t.metrics[self.objective.quality], *(t.metrics[m] for m in metrics)] for t in ranked]
        return [trial for trial, kept in zip(ranked, non_dominated(points), strict=True) if kept]

    # Opening

    def _open(self) -> None:
        """Read the checkpoint and the trials it counts, and cut the rest."""
        count, sha256 = 0, None
        try:
            payload = self._load(self.folder / CHECKPOINT)
            from edgenas.system.checkpoint import understood

            with understood(self.folder / CHECKPOINT):
                count, self._state = int(payload["trials"]), dict(payload["strategy"])
                # Checkpoints of earlier versions do not have these.
                self.seconds, sha256 = float(payload.get("seconds", 0.0)), payload.get("sha256")
        except FileNotFoundError:
            pass
        path = self.folder / TRIALS
        content = _content(path)
        *lines, torn = content.split(b"\n")
        if torn:
            self.notices.append(f"{TRIALS}: the last line is torn and was dropped")
        if len(lines) > count:
            self.notices.append(f"{TRIALS}: {len(lines) - count} trials beyond the checkpoint are searched again")
        self.trials = _parsed(path, lines[:count], count)
        kept = sum(len(line) + 1 for line in lines[:count])
        if sha256 not in (None, _hash(content[:kept])):
            raise DamagedRun(
                f"{path} is damaged: its trials are not those of the checkpoint; start with a new --output"
            )
        # Last of all, so that a folder whose trials are damaged is left as it was found.
        if len(content) > kept:
            os.truncate(path, kept)


def read_trials(folder: Path) -> list[Trial]:
    """Return the trials of a run folder, for looking only: nothing is cut, a torn last line is left out.

    Raises:
        CheckpointError: a line is damaged.
    """
    *lines, _ = _content(folder / TRIALS).split(b"\n")
    return _parsed(folder / TRIALS, lines, len(lines))


def _content(path: Path) -> bytes:
    """The bytes of a file; none where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DamagedRun(f"{path} is no file any more ({error.strerror}); start with a new --output") from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parsed(path: Path, lines: list[bytes], expected: int) -> list[Trial]:
    """Return the trials of `lines`, which must be as many as expected and numbered from 0."""
    if len(lines) < expected:
        raise DamagedRun(f"{path} has {len(lines)} trials, the checkpoint {expected}; start with a new --output")
    trials = []
    for number, line in enumerate(lines):
        try:
            trial = Trial.parse(line)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedRun(f"{path} line {number + 1} is damaged; start again with a new --output") from error
        if trial.number != number:
            raise DamagedRun(f"{path} line {number + 1} holds trial {trial.number}; start with a new --output")
        trials.append(trial)
    return trials
