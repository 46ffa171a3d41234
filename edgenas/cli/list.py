"""`edgenas list`: what there is to choose from."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgenas.cli import flags, output
from edgenas.system import plugins, text

if TYPE_CHECKING:
    from edgenas.workflows.list import Entry, NetworkEntry, TableEntry

EXAMPLE = """\
edgenas list
edgenas list strategies
edgenas list devices"""

STRATEGIES, PRETRAINED, DEVICES = "strategies", "pretrained", "devices"
KINDS = (*plugins.KINDS, "presets", DEVICES)


def configure(parser: ArgumentParser) -> None:
    """Add the kind to list."""
    parser.add_argument(
        "kind", nargs="?", choices=KINDS, metavar="KIND", help=f"one of {', '.join(KINDS)} (default: all)"
    )
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Print plugins with the first line of their files, tables with their headers; options only of one kind alone."""
    from edgenas.workflows.list import entries

    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    # Options are read from classes, and sizes from networks, which have to be imported: torch with some of them.
    found = {kind: entries(kind, with_details=len(kinds) == 1) for kind in kinds}
    if arguments.json:
        output.write_json({kind: [_plain(row) for row in rows] for kind, rows in found.items()})
        return 0
    blocks = [_block(kind, rows, named=len(kinds) > 1) for kind, rows in found.items()]
    output.write("\n\n".join(blocks) + "\n")
    return 0


def _plain(row: Entry | TableEntry | NetworkEntry) -> dict[str, Any]:
    """Return a row without what is empty or unknown."""
    return {name: value for name, value in asdict(row).items() if value not in (None, {})}


def _block(kind: str, rows: Sequence[Any], named: bool) -> str:
    """Return the rows of one kind as a table, under its name if there are others."""
    if not rows:
        lines = ["none yet; `edgenas profile` measures this machine"]
    elif kind == DEVICES:
        heads = ["device", "runtime", "date", "repeat error", "ops", "nets", "adapted", "file"]
        lines = text.table(heads, [_device(row) for row in rows]).splitlines()
    elif kind == PRETRAINED and not named:
        heads = ["network", "pixels", "MACs", "weights", "licence", "(x - mean) / std, of x in 0..1", "here"]
        lines = text.table(heads, [_network(row) for row in rows]).splitlines()
    else:
        cells = [cells for row in rows for cells in _plugin(row)]
        lines = text.table(None, cells).splitlines()
    return "\n".join([kind, *("  " + line for line in lines)] if named else lines)


def _plugin(row: Entry) -> list[list[str]]:
    """Return name and description, and a line for each option, its default marked."""
    lines = [[row.name, row.description]]
    for name, values in row.options.items():
        listed = ", ".join([f"{values[0]} (default)", *values[1:]])
        lines.append(["", f"--options {name}=VALUE: {listed}"])
    return lines


def _network(row: NetworkEntry) -> list[str]:
    """Return the cells of a trained network; where its weights are not here, what brings them."""
    mean, std = (" ".join(f"{x:.3f}" for x in values) for values in (row.mean, row.std))
    size, macs = text.size(row.weights_mb * 1e6), f"{row.macs:.0f} M"
    return [
        row.name,
        str(row.side),
        macs,
        size,
        row.licence,
        f"{mean}; {std}",
        "yes" if row.is_here else f"no: {row.hint}",
    ]


def _device(row: TableEntry) -> list[str]:
    if row.error is not None:
        return [row.name, *[""] * 6, text.printable(row.error)]
    runtime = f"{row.runtime} {row.version}"
    share = text.percent(row.repeat_error)
    adapted = f"± {text.percent(row.adapted_margin)}" if row.adapted else ""
    facts = [runtime, row.date, share, str(row.ops), str(row.nets), adapted]
    return [text.printable(cell) for cell in (row.name, *facts, row.file)]
