"""`edgenas profile --ssh`: a latency table of a device that ssh reaches."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgenas.devices.ssh import Remote
from edgenas.errors import NoisyMachine, TableError
from edgenas.latency.table import LatencyTable
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.ingest import ingest
from edgenas.workflows.kit import kit
from edgenas.workflows.kit_content import KitOptions


def profile_over_ssh(
    config: Config,
    reporter: Reporter,
    options: KitOptions,
    *,
    host: str,
    python: str = "python3",
    name: str | None = None,
    out: Path | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Measure a kit on the device that ssh reaches, and write its tables. Broken off, the same call goes on.

    Args:
        config: names the space, the threads and the seed.
        reporter: who is told of stages and notices.
        options: what the kit measures.
        host: as ssh takes it.
        python: on the device; it has numpy and onnxruntime.
        name: of the device in tables; by default its own.
        out: folder of the tables; by default this user's.

    Raises:
        EnvironmentFault: no connection, or something is missing there.
        NoisyMachine: the device is too busy to time on; nothing is written.
    """
    remote = Remote(host, python, reporter)
    remote.check()
    with tempfile.TemporaryDirectory() as folder:
        archive, results = Path(folder) / "kit.zip", Path(folder) / "results.jsonl"
        manifest = kit(config, reporter, options, out=archive, page=False)
        # Named by the kit's hash: the same call finds what it has measured before, and another kit does not.
        there = f"edgenas-kit-{manifest['kit'][:16]}"
        remote.copy(archive, there)
        remote.measure(there, results, threads=config.threads, name=name)
        try:
            written = ingest(results, kit=archive, out=out)
        except (NoisyMachine, TableError):
            remote.remove(there)  # whole, and of no use: the next time begins from nothing
            raise
        remote.remove(there)
    return written
