"""`edgenas kit`: what measures ops, networks or finalists on a device that is not at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgenas.devices.confirm import ROUNDS, finalist_probes
from edgenas.devices.kit import write_kit
from edgenas.devices.page import files as page_files
from edgenas.devices.probes import probes, reduced_probes
from edgenas.devices.source_devices import names_of, source_tables
from edgenas.errors import EnvironmentFault
from edgenas.system.progress import Reporter
from edgenas.system.records import Json
from edgenas.workflows.config import Config, read_run
from edgenas.workflows.kit_content import KitOptions, content
from edgenas.workflows.scope import scope_of


def kit(config: Config, reporter: Reporter, options: KitOptions, *, out: Path, page: bool = True) -> Json:
    """Write the device kit of a space, narrowed to the options in `only`; return its manifest.

    Args:
        config: names the space and the seed.
        reporter: who is told of stages and notices.
        options: what the kit measures.
        out: the zip to write.
        page: whether it also runs in browsers; where onnxruntime-web is not to be had, a notice says why it does not.

    Raises:
        UsageError: the space has no such choice or option.
    """
    rng = np.random.default_rng(config.seed)
    space = options.built(config)
    facts = options.facts(config, space)
    nodes, nets, tests, chosen = content(config, options, space, rng)
    # Networks of megabytes: their random weights would fill the kit.
    repeated = bool(chosen) or config.pretrained is not None
    made = probes(nodes, nets, tests, options.precisions, rng, repeated=repeated)
    with reporter.stage(f"make probes of {len(nodes)} ops and {len(nets) + len(tests)} networks") as progress:
        # The reference and the pairs of int8 are probes as well: `done` may exceed this.
        total = len(options.precisions) * (len(nodes) + len(nets) + len(tests))
        files = _page(reporter) if page else {}
        return write_kit(out, made, facts | chosen, files, lambda done, kind: progress(min(done, total), total, kind))


def reduced_kit(
    config: Config,
    reporter: Reporter,
    options: KitOptions,
    *,
    count: int,
    known: Sequence[str],
    out: Path,
    page: bool = True,
) -> Json:
    """Write a kit of the ops and networks that tell most about a new device, for `adapt`; return its manifest.

    Args:
        config: names the space and the seed.
        reporter: who is told of stages and notices.
        options: what the kit measures.
        count: of ops and networks together.
        known: devices that they are chosen by, as in `adapt`.
        out: the zip to write.
        page: whether it also runs in browsers.

    Raises:
        UsageError: the space has no such choice or option; no table of a source device is of use.
    """
    space = options.built(config)
    facts = options.facts(config, space)
    scope = scope_of(facts, space)
    with reporter.stage(f"choose {count} probes"):
        tables = {precision: source_tables(known, scope, precision) for precision in options.precisions}
        chosen = {precision: scope.choose(tables[precision], count) for precision in options.precisions}
    facts["known"] = {p: names_of(tables[p]) for p in options.precisions}
    made = reduced_probes(chosen, np.random.default_rng(config.seed))
    with reporter.stage("make probes"):
        return write_kit(out, made, facts, _page(reporter) if page else {})


def finalists_kit(run_folder: Path, reporter: Reporter, *, out: Path, page: bool = True) -> Json:
    """Write a kit that measures the finalists of a run on the device that it was for; return its manifest.

    Args:
        run_folder: of the run.
        reporter: who is told of notices.
        out: the zip to write.
        page: whether it also runs in browsers.

    Raises:
        UsageError: the run has no finished finalists.
    """
    read_run(run_folder)
    made = list(finalist_probes(run_folder))
    return write_kit(out, made, {"bundle": True, "slots": ROUNDS}, _page(reporter) if page else {})


def _page(reporter: Reporter) -> Mapping[str, bytes]:
    """Return the files by which a kit runs in browsers; none, and a notice, where onnxruntime-web is not to be had."""
    try:
        return page_files()
    except EnvironmentFault as error:
        reporter.log(f"the kit will not run in browsers: {error}")
        return {}
