"""What a kit's manifest says of its probes, checked field by field: it went to a device and back."""

from __future__ import annotations

import re
from typing import TypeGuard

from edgenas.errors import DamagedTable
from edgenas.system.records import Json

TEXTS, COUNTS, PAIRS, HASH = ("kind", "precision", "id"), ("macs", "params", "bytes"), "pairs", "sha256"
NEEDED = {"op": COUNTS, "finalist": (HASH,)}  # by kind, what an entry must have beside the texts
MOST = 1e18  # of counts: an exabyte, or the operations of a second on the fastest of computers
_HASH = re.compile(r"[0-9a-f]{64}")


def check_entries(where: str, manifest: Json) -> None:
    """Check what a manifest says of its probes: each once, with texts, counts, shapes and hashes that may be.

    Args:
        where: the file and the line, for the message.
        manifest: with its `probes`.

    Raises:
        DamagedTable: a field is missing or is none of its kind; it is named.
        KeyError: there are no probes.
    """
    probes = manifest["probes"]
    if not isinstance(probes, list) or not all(isinstance(entry, dict) for entry in probes):
        raise DamagedTable(f"{where}: the probes of its kit are no list of them; make the kit again")
    checks = {**dict.fromkeys(TEXTS, _is_text), **dict.fromkeys(COUNTS, _is_count), PAIRS: _are_shapes, HASH: _is_hash}
    seen: set[tuple[str, ...]] = set()
    for number, entry in enumerate(probes):
        needed = {*TEXTS, *NEEDED.get(str(entry.get("kind")), ())}
        for name, check in checks.items():
            if (name in entry or name in needed) and not check(entry.get(name)):
                said = repr(entry[name]) if name in entry else "missing"
                raise DamagedTable(
                    f"{where}: probe {number} of its kit is implausible: its {name} is {said}; make the kit again"
                )
        key = tuple(entry[name] for name in TEXTS)
        if key in seen:
            raise DamagedTable(f"{where}: probe {number} of its kit is there twice; make the kit again")
        seen.add(key)


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a value is a number, and not one in a text."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    """Tell whether a value is a number that can count something; some integers are too large for a float."""
    return is_number(value) and 0 <= value <= MOST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _are_shapes(value: object) -> bool:
    """Tell whether a value is a list of lists of shapes."""
    return isinstance(value, list) and all(isinstance(side, list) and all(map(_is_text, side)) for side in value)


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None
