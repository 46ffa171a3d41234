"""`edgenas list`: what there is to choose from."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency.registry import table_files, table_name
from edgenas.latency.table import read_table
from edgenas.system import plugins
from edgenas.workflows.presets import PRESETS

STRATEGIES, DEVICES, PRESETS_KIND, PRETRAINED = "strategies", "devices", "presets", "pretrained"
KINDS = (*plugins.KINDS, PRESETS_KIND, DEVICES)


@dataclass(frozen=True)
class Entry:
    """Something to choose, with the first line of its file.

    Args:
        options: of a strategy, the values of each, the default first.
        settings: of a preset, what it stands for.
    """

    name: str
    description: str
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkEntry:
    """A trained network, by the name that `--pretrained` takes.

    Args:
        weights_mb: size of its float weights, in 10^6 bytes.
        macs: of one image, in millions, at `side` pixels.
        is_here: whether its weights are on this machine.
        source: where they come from.
        hint: what brings them, where they are not here.
    """

    name: str
    side: int
    weights_mb: float
    macs: float
    licence: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    is_here: bool
    source: str
    hint: str


@dataclass(frozen=True)
class TableEntry:
    """A latency table, by the name that `--device` takes; `error` says why it cannot be read."""

    name: str
    file: str
    error: str | None = None
    runtime: str = ""
    version: str = ""
    threads: str = ""
    precision: str = ""
    date: str = ""
    ops: int = 0
    nets: int = 0
    adapted: str | None = None
    adapted_margin: float = 0.0
    repeat_error: float = float("nan")


def entries(kind: str, *, with_details: bool = True) -> list[Entry] | list[TableEntry] | list[NetworkEntry]:
    """Return what there is of a kind.

    Args:
        kind: one of `KINDS`.
        with_details: whether strategies are imported for their options and trained networks built for their sizes,
            which takes seconds.

    Raises:
        UsageError: there is no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
    sources: dict[str, Callable[[], Any]] = {DEVICES: tables, PRESETS_KIND: presets}
    if with_details:
        sources[PRETRAINED] = networks
    if kind in sources:
        found: list[Entry] | list[TableEntry] | list[NetworkEntry] = sources[kind]()
        return found
    return [
        Entry(name, description(kind, name), options(name) if kind == STRATEGIES and with_details else {})
        for name in plugins.names(kind)
    ]


def description(kind: str, name: str) -> str:
    """Return the first line of a plugin's file; it is not imported."""
    # Parsed, not imported: some plugins bring torch or scipy with them, and a list must not take seconds.
    file = plugins.PACKAGE / kind / f"{name.replace('-', '_')}.py"
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def options(strategy: str) -> dict[str, tuple[str, ...]]:
    """Return the values of each option of a strategy, the default first."""
    return dict(plugins.load(STRATEGIES, strategy).options)


def networks() -> list[NetworkEntry]:
    """Return the trained networks; torch is imported, and each network built, to count what it has.

    Those of a library that is not installed are left out.
    """
    from edgenas.cost.counts import FLOAT_BYTES, CountCost  # numpy, which a list of names can do without
    from edgenas.workflows.pretrained import known_networks

    rows, macs, params = [], CountCost("macs"), CountCost("params")
    for found in known_networks():
        space = found.space((3, found.side, found.side), found.classes)
        graph = space.graph(space.whole)
        rows.append(
            NetworkEntry(
                found.name,
                found.side,
                params(graph) * FLOAT_BYTES / 1e6,
                macs(graph) / 1e6,
                found.licence,
                found.mean,
                found.std,
                found.is_here,
                found.source,
                found.hint,
            )
        )
    return rows


def presets() -> list[Entry]:
    """Return the presets, and the settings that they stand for."""
    return [Entry(name, preset.description, settings=dict(preset.settings)) for name, preset in PRESETS.items()]


def tables() -> list[TableEntry]:
    """Return this user's latency tables, and those that come with edgenas."""
    rows = []
    for file in table_files():
        try:
            table = read_table(file)
        except EdgeNASError as error:  # one damaged table must not hide the others
            rows.append(TableEntry(file.parent.name, str(file), str(error)))
            continue
        header = {name: table.header.get(name, "") for name in ("runtime", "version", "threads", "precision", "date")}
        rows.append(
            TableEntry(
                table_name(table),
                str(file),
                ops=len(table.ops),
                nets=len(table.nets),
                adapted=table.header.get("adapted"),
                adapted_margin=table.adapted_margin,
                repeat_error=float(table.header.get("repeat_error", "nan")),
                **header,
            )
        )
    return rows
