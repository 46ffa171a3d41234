"""Trials: what a search has tried, one a line of a file."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass

from edgenas.exploration.objective import Metrics
from edgenas.graph.graph import Arch
from edgenas.system.records import parsed_object

CHECKSUM = "crc32"  # of a line, without it


@dataclass(frozen=True)
class Trial:
    """One architecture and what is known of it.

    Qualities are comparable within one `weights_version` only. `error` is the cause if the evaluation failed; such a
    trial is never feasible and may lack the quality. `seconds` is what it took to evaluate.

    >>> trial = Trial(0, (0, 1), {"macs": 9e5, "accuracy": 0.8}, reward=0.8, feasible=True)
    >>> Trial.parse(trial.line().encode()) == trial
    True
    """

    number: int
    arch: Arch
    metrics: Metrics
    reward: float
    feasible: bool
    weights_version: int = 0
    error: str | None = None
    seconds: float = 0.0

    def line(self) -> str:
        """Return the trial as a line of JSON."""
        # JSON has no NaN; `Study.add` leaves out such metrics, and this raises if another caller does not.
        text = json.dumps(asdict(self), allow_nan=False)
        return f'{text[:-1]}, "{CHECKSUM}": "{_checksum(text)}"}}\n'

    @classmethod
    def parse(cls, line: bytes) -> Trial:
        """Return the trial that `line` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        fields = parsed_object(line)
        checksum = fields.pop(CHECKSUM, None)  # lines of earlier versions have none
        trial = cls(**(fields | {"arch": tuple(fields["arch"])}))
        if checksum is not None and trial.line().encode().rstrip() != line.rstrip():
            raise ValueError("its checksum does not fit")
        return trial


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
