"""Changes of kits, and of the results that a board brings back."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from edgenas.devices.runner import MANIFEST, kit_hash
from tests.fuzz import hostile
from tests.fuzz.archives import OF_ZIPS, entries_of, zipped
from tests.fuzz.files import LINES_OF_JSON, OTHER_VALUE, Mutation, changed_inside


def manifest_changed(path: Path, rng: Random) -> str:
    """Change a value of a kit's manifest, sometimes with the hash that then fits."""
    entries = entries_of(path)
    manifest, said = changed_inside(json.loads(entries[MANIFEST]), rng)
    if isinstance(manifest, dict) and rng.random() < 0.6:
        manifest, said = resealed(manifest), f"{said}, sealed again"
    entries[MANIFEST] = json.dumps(manifest).encode()
    return zipped(path, entries, said)


def resealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with the hash of what it holds."""
    try:
        return manifest | {"kit": kit_hash(manifest)}
    except (TypeError, ValueError):
        return manifest


def results_resealed(path: Path, rng: Random) -> str:
    """Change the header of results, and make the hashes fit: a file that somebody has made, not damaged."""
    first, _, rest = path.read_text().partition("\n")
    head = json.loads(first)
    if rng.random() < 0.3:
        head["manifest"]["space"] = rng.choice(hostile.PLUGINS)
        said = f"space {head['manifest']['space']}"
    else:
        part = rng.choice(("manifest", "manifest", "header"))
        head[part], said = changed_inside(head[part], rng, part)
    if isinstance(head["manifest"], dict):
        head["manifest"] = resealed(head["manifest"])
        head["kit"] = head["manifest"].get("kit", head["kit"])
        if isinstance(head["header"], dict):
            head["header"]["kit"] = head["kit"]
    path.write_text(f"{json.dumps(head)}\n{rest}")
    return f"{said}, sealed again"


def figure_spoilt(path: Path, rng: Random) -> str:
    """Put what is no number in place of one, of a probe of the kit or of a round, and make the hashes fit."""
    lines = path.read_text().splitlines()
    head = json.loads(lines[0])
    counted = [probe for probe in head["manifest"]["probes"] if "macs" in probe]  # finalists have no counts
    if counted and rng.random() < 0.5:
        at, record = 0, rng.choice(counted)
    else:
        at = rng.randrange(1, len(lines))
        record = json.loads(lines[at])
    name = rng.choice([name for name, value in record.items() if isinstance(value, int | float)])
    record[name] = rng.choice((*hostile.BAD_NUMBERS, float("nan"), float("inf"), -1, True, [], 10**400, {}))
    if at == 0:
        head["manifest"] = resealed(head["manifest"])
        head["kit"] = head["header"]["kit"] = head["manifest"]["kit"]
        lines[0] = json.dumps(head)
    else:
        lines[at] = json.dumps(record)
    path.write_text("".join(f"{line}\n" for line in lines))
    return f"{name} of line {at + 1} is {record[name]!r:.60}"


OF_KITS = (*OF_ZIPS, *(Mutation("manifest", manifest_changed),) * 4)
OF_RESULTS = (
    *LINES_OF_JSON,
    *(Mutation("bad figure", figure_spoilt),) * 4,
    *(Mutation("results sealed again", results_resealed, harmless=OTHER_VALUE),) * 6,
)
