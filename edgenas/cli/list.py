"""`edgenas list`: what there is to choose from."""

from __future__ import annotations

import ast
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import Any

from edgenas.cli import flags, output
from edgenas.errors import EdgeNASError
from edgenas.system import plugins, text

HELP = "list spaces, strategies, evaluators, data, runtimes, presets and devices"
EXAMPLE = """\
edgenas list
edgenas list devices"""

DEVICES, PRESETS = "devices", "presets"


def configure(parser: ArgumentParser) -> None:
    """One kind, or all."""
    kinds = (*plugins.KINDS, PRESETS, DEVICES)
    parser.add_argument(
        "kind", nargs="?", choices=kinds, metavar="KIND", help=f"one of {', '.join(kinds)} (default: all)"
    )
    flags.add_json(parser)


def run(arguments: Namespace) -> int:
    """Plugins with the first line of their files, tables with their headers."""
    kinds = [arguments.kind] if arguments.kind else [*plugins.KINDS, PRESETS, DEVICES]
    sources = {DEVICES: tables, PRESETS: presets}
    found = {kind: sources[kind]() if kind in sources else described(kind) for kind in kinds}
    if arguments.json:
        output.write_json(found)
        return 0
    blocks = [_block(kind, rows, named=len(kinds) > 1) for kind, rows in found.items()]
    output.write("\n\n".join(blocks) + "\n")
    return 0


def described(kind: str) -> list[dict[str, Any]]:
    """Name and description of each plugin of a kind; nothing is imported."""
    rows = []
    for name in plugins.names(kind):
        file = plugins.PACKAGE / kind / f"{name.replace('-', '_')}.py"
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        rows.append({"name": name, "description": doc.partition("\n")[0]})
    return rows


def presets() -> list[dict[str, Any]]:
    """Name and description of each preset, and the settings that it stands for."""
    from edgenas.workflows.presets import PRESETS

    return [{"name": name, "description": p.description, "settings": dict(p.settings)} for name, p in PRESETS.items()]


def tables() -> list[dict[str, Any]]:
    """This user's latency tables, and those that come with edgenas, by the names that `--device` takes."""
    from edgenas.latency.registry import table_files, table_name
    from edgenas.latency.table import read_table

    rows = []
    for file in table_files():
        row: dict[str, Any] = {"name": file.parent.name, "file": str(file)}
        try:
            table = read_table(file)
        except EdgeNASError as error:
            rows.append({**row, "error": str(error)})
            continue
        header = {name: table.header.get(name, "") for name in ("runtime", "version", "threads", "precision", "date")}
        row |= {"name": table_name(table), **header, "ops": len(table.ops), "nets": len(table.nets)}
        row |= {"adapted": table.header.get("adapted"), "adapted_margin": table.adapted_margin}
        rows.append({**row, "repeat_error": float(table.header.get("repeat_error", "nan"))})
    return rows


def _block(kind: str, rows: Iterable[dict[str, Any]], named: bool) -> str:
    """The rows of one kind as a table, under its name if there are others."""
    cells = [_device(row) if kind == DEVICES else [row["name"], row["description"]] for row in rows]
    heads = ["device", "runtime", "date", "repeat error", "ops", "nets", "adapted", "file"]
    if not cells:
        lines = ["none yet; `edgenas profile` measures this machine"]
    else:
        lines = text.table(heads if kind == DEVICES else None, cells).splitlines()
    return "\n".join([kind, *("  " + line for line in lines)] if named else lines)


def _device(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return [row["name"], *[""] * 6, text.printable(row["error"])]
    runtime = f"{row['runtime']} {row['version']}"
    share = text.percent(row["repeat_error"])
    adapted = f"± {text.percent(row['adapted_margin'])}" if row["adapted"] else ""
    facts = [runtime, row["date"], share, str(row["ops"]), str(row["nets"]), adapted]
    return [text.printable(cell) for cell in (row["name"], *facts, row["file"])]
