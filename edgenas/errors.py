"""Every error that edgenas raises on purpose, and the exit code of each.

    EdgeNASError                 exit 1   no model meets the budget, or a check failed
    +-- BudgetError              exit 1   the budget is below what the space can reach
    +-- ExportError              exit 1   an exported file differs from the network it came from
    +-- UsageError               exit 2   a flag, a configuration or a name is wrong
    |   +-- UnknownName          exit 2   no such space, strategy, data set, runtime, ...
    |   +-- OwnCode              exit 2   a file names code that only a person may name
    |   +-- MissingOps           exit 2   a latency table has no row for an op
    |   +-- TableError           exit 2   a latency table, or results of a kit, are not those that are needed
    |   |   +-- DamagedTable     exit 3   they are damaged, or hold what no device measures
    |   +-- CheckpointError      exit 2   what a run keeps belongs to another run or version
    |   |   +-- DamagedRun       exit 3   it is damaged
    +-- DataError                exit 3   images, labels, or a file of any other kind are unusable
    +-- EnvironmentFault         exit 4   disk, device, or a machine too noisy to time on
    |   +-- NoisyMachine         exit 4   too few clean samples, or figures that do not repeat
    |   +-- TooLarge             exit 4   a training does not fit in memory, however few images are computed at once
    +-- Ended                    as the process that ended first: another one of the same run, which has told why
    +-- Interrupted              exit 130 or 143, by a signal; `--resume` goes on

Each message names the thing and the next step, in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class EdgeNASError(Exception):
    """Base of all errors of edgenas; on its own, a check that failed."""

    exit_code = 1  # every error has one, so the command line asks no error what it is


class BudgetError(EdgeNASError):
    """The budget is below what the space can reach."""


class ExportError(EdgeNASError):
    """An exported file differs from the network it came from."""


class UsageError(EdgeNASError):
    """A flag, a configuration or a name is wrong."""

    exit_code = 2


class UnknownName(UsageError):
    """There is no plugin of that name."""


class OwnCode(UsageError):
    """A file names a plugin that does not come with edgenas; to run it, a person has to name it."""

    def __init__(self, message: str, words: str = "") -> None:
        """Say what is refused.

        Args:
            message: in one line.
            words: of a command line, that name the plugin.
        """
        super().__init__(message)
        self.words = words


class MissingOps(UsageError):
    """A latency table has no row for an op."""


class TableError(UsageError):
    """A latency table, or results of a kit, are not those that are needed: another device's, too few, not there."""


class DamagedTable(TableError):
    """A latency table, or results of a kit, are damaged: unit, number, duplicate, or no such file at all."""

    exit_code = 3


class CheckpointError(UsageError):
    """What a run keeps belongs to another run, or to another version."""


class DamagedRun(CheckpointError):
    """What a run keeps is damaged."""

    exit_code = 3


class DataError(EdgeNASError):
    """Images or labels are unusable, or a file of any other kind: a kit, a bundle, scores, an ONNX model."""

    exit_code = 3

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        """Say what is wrong.

        Args:
            message: in one line.
            details: all that is wrong, where a line has no room for it.
        """
        super().__init__(message)
        self.details = tuple(details)


class EnvironmentFault(EdgeNASError):
    """The disk, a device or the operating system stands in the way."""

    exit_code = 4


class NoisyMachine(EnvironmentFault):
    """There are too few clean timing samples, or figures do not repeat."""


class TooLarge(EnvironmentFault):
    """A training does not fit in memory, however few images are computed at once."""


class Ended(EdgeNASError):
    """Another process of the same run ended first and has told why; `exit_code` is set to that of the other."""


class Interrupted(EdgeNASError):
    """A signal stopped the run, at a point from which `--resume` goes on."""

    exit_code = 130  # as shells say of SIGINT; the command sets 143 where SIGTERM came
