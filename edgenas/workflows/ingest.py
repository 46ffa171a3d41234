"""`edgenas ingest`: a device's results as latency tables."""

from __future__ import annotations

from pathlib import Path

from edgenas.devices.ingest import read_results, tables
from edgenas.devices.kit import read_manifest
from edgenas.errors import UsageError
from edgenas.latency.registry import own_tables, table_path
from edgenas.latency.table import LatencyTable, write_table
from edgenas.workflows.config import Config
from edgenas.workflows.scope import check_scope


def ingest(
    results: Path, *, kit: Path | None = None, out: Path | None = None, config: Config | None = None
) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results file and write a table for each precision in it; return the files with their tables.

    Args:
        results: what the kit wrote on the device.
        kit: the kit, to check that nothing of it was changed.
        out: folder of the tables; by default this user's.
        config: may name the space and the images that the kit is of; one of your own must be named.

    Raises:
        TableError: the results cannot be trusted.
        NoisyMachine: too few clean samples; nothing is written.
        UsageError: the kit is of another space than `config` names; or it was one of finalists, whose results `confirm`
            takes, or of few probes, for `adapt`.
    """
    read = read_results(results, read_manifest(kit) if kit else None)
    if read.manifest.get("bundle"):
        raise UsageError(f"{results}: measured finalists of a search; say whose, with --bundle and the run's folder")
    if read.manifest.get("known"):  # of a kit that `reduced_kit` chose; its few rows would replace an adapted table
        raise UsageError(f"{results}: a few probes of a space, which make no table by themselves; run `edgenas adapt`")
    check_scope(config or Config(), read.manifest)
    # All tables are made before one is written: results that fail in one precision leave nothing behind.
    written = [(table_path(out or own_tables(), table), table) for table in tables(read)]
    for path, table in written:
        write_table(path, table)
    return written
