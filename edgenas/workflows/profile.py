"""`edgenas profile`: a latency table of this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgenas.devices import this_host
from edgenas.graph.ops import Shape
from edgenas.latency.table import LatencyTable, write_table
from edgenas.spaces.build import SpaceMaker, build_space
from edgenas.system.progress import Reporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import Config
from edgenas.workflows.noise import describe_noise
from edgenas.workflows.pretrained import space_source
from edgenas.workflows.probes import general_probes, space_probes
from edgenas.workflows.stages.profile import PATIENCE

PROFILE_NETS, GENERAL_NETS = 60, 40  # whole networks behind a table's correction


def profile(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    seconds: float | None = None,
    out: Path | None = None,
    general: bool = False,
    space: SpaceMaker | None = None,
) -> tuple[Path, LatencyTable]:
    """Measure all ops of a space on this machine, and whole networks for the correction.

    Args:
        config: names the space, the runtime, the threads and the seed.
        reporter: who is told of stages and notices.
        shape, classes: of the images, (C, H, W), and how many classes they have.
        seconds: time to take; by default as much as it needs.
        out: the table's file; by default this machine's own.
        general: measure ops of all kinds and sizes instead, and networks of all usual blocks, to predict files that
            edgenas did not make.
        space: what builds the space, instead of the configuration's name.

    Raises:
        NoisyMachine: the machine is too busy to time on; nothing is written.
    """
    configure_threads()
    rng = np.random.default_rng(config.seed)
    if general:
        nodes, nets = general_probes(config.seed, GENERAL_NETS)
    else:
        nodes, nets = space_probes(build_space(space or space_source(config), shape, classes), PROFILE_NETS, rng)
    # The cache grows from run to run. A file of one's own is a measurement by itself, and begins empty.
    path = out or this_host.cached_table_path(config.runtime, config.threads)
    table = this_host.cached_table(config.runtime, config.threads) if out is None else None
    table = table or this_host.empty_table(config.runtime, config.threads)
    missing = sum(node.key not in table.ops for node in nodes)
    due = {node.key for node in nodes} - table.ops.keys()

    with reporter.stage(f"profile {missing} ops and {len(nets)} networks") as progress:
        table = this_host.extend_table(
            table,
            nodes,
            nets,
            seconds=seconds or this_host.SECONDS_EACH * (missing + len(nets)),
            rng=rng,
            patience=1 if seconds else PATIENCE,  # who says how long means it, on a busy machine, too
            look=lambda timings: reporter.log(describe_noise(timings)),
            progress=progress,
        )
    if lost := len(due - table.ops.keys()):
        reporter.log(f"{lost} ops had no clean sample and are left out; profile again when less runs beside it")
    write_table(path, table)
    return path, table
