"""What there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    from edgenas.workflows.list import Entry, NetworkEntry, TableEntry


# One signature for each record, by which type checkers know the fields of what comes back.
@overload
def list(kind: Literal["devices"]) -> Sequence[TableEntry]: ...


@overload
def list(kind: Literal["pretrained"]) -> Sequence[NetworkEntry]: ...


@overload
def list(
    kind: Literal["spaces", "strategies", "evaluators", "data", "runtimes", "presets"],
) -> Sequence[Entry]: ...


@overload
def list(kind: str) -> Sequence[Entry] | Sequence[TableEntry] | Sequence[NetworkEntry]: ...


def list(kind: str) -> Sequence[Entry] | Sequence[TableEntry] | Sequence[NetworkEntry]:
    """Return what there is of a kind: spaces, pretrained, strategies, evaluators, data, runtimes, presets or devices.

    >>> import edgenas
    >>> "mbconv" in [entry.name for entry in edgenas.list("spaces")]
    True
    """
    from edgenas.workflows.list import entries

    return entries(kind)
