"""Price of kernels that no space wrote."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.cost.counts import Counts


@dataclass(frozen=True)
class Kernel:
    """One kernel of a file; `key` is of the op that it is, or, unless `exact`, of the one that runs most like it."""

    name: str
    kind: str
    key: str
    exact: bool
    counts: Counts
