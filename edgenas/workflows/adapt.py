"""`edgenas adapt`: the tables of a new device from a few measured ops and networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgenas.devices.ingest import read_results, tables
from edgenas.devices.kit import read_manifest
from edgenas.devices.source_devices import check_replaceable, source_tables
from edgenas.errors import UsageError
from edgenas.latency.registry import own_tables, table_path
from edgenas.latency.table import LatencyTable, write_table
from edgenas.latency.transfer_table import adapted_table
from edgenas.workflows.config import Config
from edgenas.workflows.scope import check_scope, scope_of


def adapt(
    results: Path,
    *,
    known: Sequence[str] = ("all",),
    precisions: Sequence[str] = ("fp32", "int8"),
    kit: Path | None = None,
    out: Path | None = None,
    config: Config | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results, and write tables of all that tables of source devices hold of its space.

    Args:
        results: what the kit wrote on the device.
        known: source devices, as `edgenas list devices` names them, or table files; `all` for every one that has enough
            rows in common.
        precisions: of the tables.
        kit: the kit, to check that nothing of it was changed.
        out: folder of the tables; by default this user's.
        config: may name the space and the images that the kit is of; one of your own must be named.

    Raises:
        TableError: the results cannot be trusted, or lie where a table of more measured rows is.
        NoisyMachine: too few clean samples.
        UsageError: no table of a source device is of use, too few rows were measured, or the kit is of another
            space than `config` names. Nothing is written then.
    """
    read = read_results(results, read_manifest(kit) if kit else None)
    check_scope(config or Config(), read.manifest)
    scope = scope_of(read.manifest)
    written = []
    for table in tables(read):
        precision, path = table.header["precision"], table_path(out or own_tables(), table)
        if precision in precisions:
            # A table that was measured whole is worth more than this prediction, and is not replaced by it.
            check_replaceable(path, table)
            written.append((path, adapted_table(source_tables(known, scope, precision, table), table)))
    if not written:
        raise UsageError(f"{results}: nothing was measured in {' or '.join(precisions)}; give another --precision")
    # Not before all of them are made: an error in one precision leaves no table of the other behind.
    for path, table in written:
        write_table(path, table)
    return written
