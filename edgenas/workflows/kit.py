"""`edgenas kit`: what measures ops, networks or finalists on a device that is not at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices.confirm import ROUNDS, finalist_probes
from edgenas.devices.kit import write_kit
from edgenas.devices.page import files as page_files
from edgenas.devices.probes import probes, reduced_probes
from edgenas.devices.source_devices import names_of, source_tables
from edgenas.errors import EnvironmentFault, UsageError
from edgenas.exporters.metadata import MODELS
from edgenas.graph.ops import Shape
from edgenas.spaces.build import SpaceMaker, build_space
from edgenas.system.progress import Reporter
from edgenas.system.records import Json
from edgenas.workflows.config import Config, read_run
from edgenas.workflows.pretrained import space_source
from edgenas.workflows.probes import general_probes, space_probes
from edgenas.workflows.scope import scope_of

# Networks that the correction is fitted on, as an interval from fewer than 100 counts as approximate, and networks that
# test the finished table.
KIT_NETS, KIT_TESTS = 100, 50


@dataclass(frozen=True)
class KitOptions:
    """What a kit measures.

    Args:
        shape, classes: of the images, (C, H, W), and how many classes they have.
        only: options (as texts) that are kept, by choice; the fewer, the shorter the measurement.
        nets: whole networks that the correction is fitted on.
        tests: whole networks that test the table.
        precisions: fp32, int8 or both.
        general: ops of all kinds and sizes, and networks of all usual blocks, rather than a space's.
        space: what builds the space, instead of the configuration's name.
    """

    shape: Shape
    classes: int
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    nets: int = KIT_NETS
    tests: int = KIT_TESTS
    precisions: Sequence[str] = ("fp32", "int8")
    general: bool = False
    space: SpaceMaker | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what is no precision."""
        unknown = [name for name in self.precisions if name not in MODELS]
        if unknown or not self.precisions:
            raise UsageError(f"precisions: {', '.join(unknown) or 'none'}; give some of {', '.join(MODELS)}")

    def facts(self, config: Config) -> dict[str, Any]:
        """Return what a kit's manifest says of its space."""
        facts: dict[str, Any] = {"general": self.general, "seed": config.seed}
        if not self.general:
            spec = build_space(self.space or space_source(config), self.shape, self.classes).spec
            facts |= {"space": spec, "only": {name: list(values) for name, values in self.only.items()}}
        return facts


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
    facts = options.facts(config)
    if options.general:
        nodes, sorted_nets = general_probes(config.seed, options.nets + options.tests)
        # Shuffled before they are split: those that are fitted on and those that test must be of one kind.
        drawn = [sorted_nets[i] for i in rng.permutation(len(sorted_nets))]
    else:
        space = build_space(options.space or space_source(config), options.shape, options.classes)
        only = {name: space.options_named(name, values) for name, values in options.only.items()}
        nodes, drawn = space_probes(space.restrict(only), options.nets + options.tests, rng)
    made = probes(nodes, drawn[: options.nets], drawn[options.nets :], options.precisions, rng)
    with reporter.stage(f"make probes of {len(nodes)} ops and {len(drawn)} networks") as progress:
        # The reference and the pairs of int8 are probes as well: `done` may exceed this.
        total = len(options.precisions) * (len(nodes) + len(drawn))
        files = _page(reporter) if page else {}
        return write_kit(out, made, facts, files, lambda done, kind: progress(min(done, total), total, kind))


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
    facts = options.facts(config)
    scope = scope_of(facts)
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
