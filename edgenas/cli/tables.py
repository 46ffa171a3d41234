"""What commands say of the latency tables that they wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.cli import output
from edgenas.system import text

if TYPE_CHECKING:
    from edgenas.latency.table import LatencyTable


def show(written: Sequence[tuple[Path, LatencyTable]], *, as_json: bool) -> None:
    """Print where each table is, and what is in it."""
    if as_json:
        output.write_json([_facts(path, table) for path, table in written])
        return
    for path, table in written:
        facts = _facts(path, table)
        test = f"test: {facts['test']}\n" if facts["test"] else ""
        if facts["doubt"]:
            test += f"warning: {facts['doubt']}\n"
        output.write(
            f"{text.printable(table.device)}, {facts['precision']}: {facts['ops']} ops and {facts['nets']} whole "
            f"networks, repeat error {text.percent(facts['repeat_error'])}\n{test}{text.printable(str(path))}\n"
        )


def _facts(path: Path, table: LatencyTable) -> dict[str, Any]:
    return {
        "path": str(path),
        "device": table.device,
        "precision": table.header["precision"],
        "ops": len(table.ops),
        "nets": len(table.nets),
        "repeat_error": float(table.header["repeat_error"]),
        "test": table.header.get("test"),
        "doubt": table.header.get("doubt"),
    }
