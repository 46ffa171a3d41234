"""What the commands about other devices do, as functions: kits that are measured there, and what comes back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.errors import EnvironmentFault, NoisyMachine, TableError, UsageError
from edgenas.graph.ops import Shape
from edgenas.spaces.base import build_space
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import CONFIG
from edgenas.workflows.api import general_probes, search, space_probes
from edgenas.workflows.config import Config
from edgenas.workflows.result import Result

if TYPE_CHECKING:
    from edgenas.devices.source_devices import Scope
    from edgenas.latency.table import LatencyTable


def kit(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    only: Mapping[str, Sequence[str]],
    nets: int,
    tests: int,
    precisions: Sequence[str],
    out: Path,
    general: bool = False,
    page: bool = True,
) -> dict[str, Any]:
    """Write the device kit of a space, narrowed to the options in `only` (texts, by choice); returns its manifest.

    `general` as in `profile`. With `page` it also runs in browsers; where onnxruntime-web is not to be had, a notice
    says why it does not.

    Raises:
        UsageError: the space has no such choice or option.
    """
    from edgenas.devices.kit import write_kit
    from edgenas.devices.probes import probes

    rng = np.random.default_rng(config.seed)
    facts: dict[str, Any] = {"general": general, "seed": config.seed}
    if general:
        nodes, sorted_nets = general_probes(config.seed, nets + tests)
        drawn = [sorted_nets[i] for i in rng.permutation(len(sorted_nets))]
    else:
        space = build_space(config.space, shape, classes)
        space = space.restrict({name: space.options_named(name, values) for name, values in only.items()})
        nodes, drawn = space_probes(space, nets + tests, rng)
        facts |= {"space": space.spec, "only": {name: list(values) for name, values in only.items()}}
    made = probes(nodes, drawn[:nets], drawn[nets:], precisions, rng)
    with reporter.stage(f"make probes of {len(nodes)} ops and {len(drawn)} networks") as tell:
        total = len(precisions) * (len(nodes) + len(drawn))
        files = _page(reporter) if page else {}
        return write_kit(out, made, facts, files, lambda done, kind: tell(min(done, total), total, kind))


def bundle_kit(run_folder: Path, reporter: Reporter, *, out: Path, page: bool = True) -> dict[str, Any]:
    """Write a kit that measures the finalists of a run on the device that it was for; returns its manifest.

    Raises:
        UsageError: the run has no finished finalists.
    """
    from edgenas.devices.confirm import SLOTS, finalist_probes
    from edgenas.devices.kit import write_kit

    probes = list(finalist_probes(run_folder))
    return write_kit(out, probes, {"bundle": True, "slots": SLOTS}, _page(reporter) if page else {})


def settle(results: Path, run_folder: Path, reporter: Reporter, *, kit: Path | None = None) -> Result:
    """Take what `bundle_kit` measured on a device into the run that searched for it, and deliver by it.

    Raises:
        TableError: the results cannot be trusted, or are of other models, another device or runtime.
        NoisyMachine: a figure repeats too badly; measure again.
    """
    from edgenas.devices.confirm import finalist_timings
    from edgenas.devices.ingest import read_results
    from edgenas.devices.kit import read_manifest
    from edgenas.latency.table import read_table
    from edgenas.workflows import pipeline
    from edgenas.workflows.config import resolve

    if not (run_folder / CONFIG).exists():
        raise UsageError(f"--bundle {run_folder}: there is no run of a search")
    found = read_results(results, read_manifest(kit) if kit else None)
    config = resolve({"resume": True, "output": str(run_folder)})
    if config.device is None:
        raise UsageError(f"{run_folder}: searched for this machine, where its models were measured already")
    pipeline.settle(run_folder, finalist_timings(found, run_folder, read_table(run_folder / "table.csv")))
    return search(config, reporter)


def few_kit(
    config: Config,
    reporter: Reporter,
    *,
    shape: Shape,
    classes: int,
    only: Mapping[str, Sequence[str]],
    count: int,
    known: Sequence[str],
    precisions: Sequence[str],
    out: Path,
    general: bool = False,
    page: bool = True,
) -> dict[str, Any]:
    """Write a kit as `kit` does, of the `count` ops and networks that tell most about a new device, for `adapt`.

    `known` names the devices they are chosen by, as in `adapt`.

    Raises:
        UsageError: the space has no such choice or option; no known table is of use.
    """
    from edgenas.devices.kit import write_kit
    from edgenas.devices.probes import few_probes
    from edgenas.devices.source_devices import known_tables
    from edgenas.latency.registry import table_name

    facts: dict[str, Any] = {"general": general, "seed": config.seed}
    if not general:
        spec = build_space(config.space, shape, classes).spec
        facts |= {"space": spec, "only": {name: list(values) for name, values in only.items()}}
    scope = _scope(facts)
    with reporter.stage(f"choose {count} probes"):
        tables = {precision: known_tables(known, scope, precision) for precision in precisions}
        chosen = {precision: scope.choose(tables[precision], count) for precision in precisions}
    facts["known"] = {precision: [table_name(table) for table in tables[precision]] for precision in precisions}
    made = few_probes(chosen, np.random.default_rng(config.seed))
    with reporter.stage("make probes"):
        return write_kit(out, made, facts, _page(reporter) if page else {})


def _scope(manifest: Mapping[str, Any]) -> Scope:
    """What a kit is about, by its manifest."""
    from edgenas.devices.general_probes import general_ops, general_space
    from edgenas.devices.source_devices import Scope
    from edgenas.spaces.base import parse_spec
    from edgenas.workflows.stages.profile import distinct_nodes

    try:
        if manifest["general"]:
            return Scope({node.key: node for node in general_ops(seed=manifest["seed"])}, general_space())
        space = parse_spec(manifest["space"])
        only = {name: space.options_named(name, values) for name, values in manifest["only"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TableError(f"the kit does not say what it is of ({error}); make another with `edgenas kit`") from error
    space = space.restrict(only)
    return Scope({node.key: node for node in distinct_nodes(space)}, space)


def _page(reporter: Reporter) -> Mapping[str, bytes]:
    from edgenas.devices.page import files

    try:
        return files()
    except EnvironmentFault as error:
        reporter.say(f"the kit will not run in browsers: {error}")
        return {}


def ingest(results: Path, *, kit: Path | None = None, out: Path | None = None) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results file and write a table for each precision in it, into folder `out` or the user's own.

    Raises:
        TableError: the results cannot be trusted.
        NoisyMachine: too few clean samples; nothing is written.
    """
    from edgenas.devices.ingest import read_results, tables
    from edgenas.devices.kit import read_manifest
    from edgenas.latency.registry import own_tables, table_path
    from edgenas.latency.table import write_table

    read = read_results(results, read_manifest(kit) if kit else None)
    if read.manifest.get("bundle"):
        raise UsageError(f"{results}: measured finalists of a search; say whose, with --bundle and the run's folder")
    found = tables(read)
    written = [(table_path(out or own_tables(), table), table) for table in found]
    for path, table in written:
        write_table(path, table)
    return written


def profile_over_ssh(
    config: Config,
    reporter: Reporter,
    *,
    host: str,
    python: str = "python3",
    name: str | None = None,
    shape: Shape,
    classes: int,
    only: Mapping[str, Sequence[str]],
    nets: int,
    tests: int,
    precisions: Sequence[str],
    out: Path | None = None,
    general: bool = False,
) -> list[tuple[Path, LatencyTable]]:
    """Measure a kit, see `kit`, on the device that ssh reaches as `host`, and write its tables, see `ingest`.

    `python` there has numpy and onnxruntime; `name` is the device's in tables. Broken off, the same call goes on.

    Raises:
        EnvironmentFault: no connection, or something is missing there.
        NoisyMachine: the device is too busy to time on; nothing is written.
    """
    from edgenas.devices.ssh import Remote

    remote = Remote(host, python, reporter)
    remote.check()
    with tempfile.TemporaryDirectory() as folder:
        archive, results = Path(folder) / "kit.zip", Path(folder) / "results.jsonl"
        manifest = kit(
            config,
            reporter,
            shape=shape,
            classes=classes,
            only=only,
            nets=nets,
            tests=tests,
            precisions=precisions,
            out=archive,
            general=general,
            page=False,
        )
        there = f"edgenas-kit-{manifest['kit'][:16]}"
        remote.copy(archive, there)
        remote.measure(there, results, threads=config.threads, name=name)
        try:
            written = ingest(results, kit=archive, out=out)
        except (NoisyMachine, TableError):
            remote.remove(there)  # whole, and of no use: the next time begins anew
            raise
        remote.remove(there)
    return written


def adapt(
    results: Path,
    *,
    known: Sequence[str],
    precisions: Sequence[str],
    kit: Path | None = None,
    out: Path | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results as `ingest` does, and write tables of all that tables of `known` devices hold of its space.

    `known` are names, files or `all`, see `known_tables`.

    Raises:
        TableError: the results cannot be trusted, or lie where a table of more measured rows is.
        NoisyMachine: too few clean samples.
        UsageError: no known table is of use, or too few rows were measured. Nothing is written then.
    """
    from edgenas.devices.ingest import read_results, tables
    from edgenas.devices.kit import read_manifest
    from edgenas.devices.source_devices import check_replaceable, known_tables
    from edgenas.latency.registry import own_tables, table_path
    from edgenas.latency.table import write_table
    from edgenas.latency.transfer_table import adapted_table

    read = read_results(results, read_manifest(kit) if kit else None)
    scope = _scope(read.manifest)
    written = []
    for table in tables(read):
        precision, path = table.header["precision"], table_path(out or own_tables(), table)
        if precision in precisions:
            check_replaceable(path, table)
            written.append((path, adapted_table(known_tables(known, scope, precision, table), table)))
    if not written:
        raise UsageError(f"{results}: nothing was measured in {' or '.join(precisions)}; give another --precision")
    for path, table in written:
        write_table(path, table)
    return written
