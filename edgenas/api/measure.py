"""Latency: measure devices, predict architectures and files, and list what there is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.graph.ops import Shape
from edgenas.system.progress import make_reporter
from edgenas.workflows.config import make_config

if TYPE_CHECKING:
    from edgenas.latency.table import LatencyTable
    from edgenas.runtimes.bench import Bench
    from edgenas.system.run_folder import Json
    from edgenas.workflows.given import SpaceLike
    from edgenas.workflows.predict import Prediction
    from edgenas.workflows.result import Result

DIGITS_SHAPE, DIGITS_CLASSES = (1, 32, 32), 10


def predict(
    archs: Sequence[str] | None = None,
    *,
    samples: int | None = None,
    space: SpaceLike = "mbconv",
    shape: Shape = DIGITS_SHAPE,
    classes: int = DIGITS_CLASSES,
    device: str | None = None,
    table: str | os.PathLike[str] | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    estimate_missing: bool = False,
) -> list[Prediction]:
    """Predict latency, size and memory of architectures; nothing is trained or measured.

    Args:
        archs: codes of architectures, or what papers on the space write.
        samples: number of random architectures, where no codes are given.
        space: a name, a class of spaces, or a function of shape and number of classes.
        shape: of the images, (C, H, W).
        classes: how many classes they have.
        device: by its latency table in `edgenas list devices`; default: this machine.
        table: file of a latency table, instead of a device.
        runtime, threads: conditions here.
        seed: of the random architectures.
        estimate_missing: price ops that the table lacks from their counts.

    Raises:
        MissingOps: the table lacks ops, and estimates are not allowed.
        UsageError: a code is not of this space.

    >>> import edgenas
    >>> fast, *_ = sorted(
    ...     edgenas.predict(samples=5, device="amd-epyc-zen4", estimate_missing=True), key=lambda row: row.latency_ms
    ... )
    >>> fast.low_ms < fast.latency_ms < fast.high_ms
    True
    """
    from edgenas.spaces.build import build_space
    from edgenas.workflows.predict import predict as run

    config = make_config(_given(device=device, runtime=runtime, threads=threads, seed=seed))
    built = build_space(space, shape, classes)
    file = None if table is None else Path(table)
    return list(run(config, built, archs=archs, samples=samples, table=file, estimate_missing=estimate_missing))


def bench(
    models: Sequence[str | os.PathLike[str]],
    *,
    threads: int = 1,
    runtime: str = "onnxruntime",
    seconds: float = 3.0,
) -> list[Bench]:
    """Time ONNX files on this machine, in a process of their own, in the same rounds.

    Args:
        models: files that anybody made.
        threads: of the runtime.
        runtime: a name from `edgenas list runtimes`.
        seconds: of measuring, per file.

    Raises:
        DataError: a file is not a single-file ONNX model that the runtime can load and run.
        NoisyMachine: too few clean samples.

    >>> import edgenas, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> arch = edgenas.predict(samples=1, device="amd-epyc-zen4", estimate_missing=True)[0].arch
    >>> _ = edgenas.train(arch, "digits", final_epochs=1, output=folder)
    >>> model = edgenas.export(folder, folder + "/mine.onnx")
    >>> [(found.model, found.ms > 0) for found in edgenas.bench([model], seconds=1)]
    [('mine.onnx', True)]
    """
    from edgenas.workflows.bench import bench as run

    return run([Path(model) for model in models], threads=threads, runtime=runtime, seconds=seconds)


def profile(
    *,
    space: SpaceLike = "mbconv",
    shape: Shape = DIGITS_SHAPE,
    classes: int = DIGITS_CLASSES,
    general: bool = False,
    runtime: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> tuple[Path, LatencyTable]:
    """Measure a latency table of this machine; return its file and the table.

    Args:
        space: a name, a class of spaces, or a function of shape and number of classes.
        shape: of the images, (C, H, W).
        classes: how many classes they have.
        general: measure ops of all kinds and sizes instead, to predict files that edgenas did not make.
        runtime, threads: conditions.
        seed: of the networks that are measured.
        seconds: time to take; by default as much as it needs.
        out: the file; by default this machine's own.
        progress: whether stderr shows what is under way.

    Raises:
        NoisyMachine: the machine is too busy to time on; nothing is written.

    >>> import edgenas, tempfile
    >>> path, table = edgenas.profile(space=edgenas.testing.Tiny, out=tempfile.mkdtemp() + "/here.csv", seconds=2)
    >>> path.name, len(table.ops) > 5
    ('here.csv', True)
    """
    from edgenas.workflows.profile import profile as run

    config, maker = _config_and_maker(space, runtime=runtime, threads=threads, seed=seed)
    file = None if out is None else Path(out)
    reporter = make_reporter(quiet=not progress)
    return run(config, reporter, shape=shape, classes=classes, seconds=seconds, out=file, general=general, space=maker)


def kit(
    out: str | os.PathLike[str],
    *,
    space: SpaceLike = "mbconv",
    shape: Shape = DIGITS_SHAPE,
    classes: int = DIGITS_CLASSES,
    only: Mapping[str, Sequence[str]] | None = None,
    nets: int = 100,
    tests: int = 50,
    precisions: Sequence[str] = ("fp32", "int8"),
    general: bool = False,
    probes: int | None = None,
    sources: Sequence[str] = ("all",),
    bundle: str | os.PathLike[str] | None = None,
    page: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Json:
    """Write a kit that measures a device which is not at hand; return its manifest.

    Args:
        out: the zip to write.
        space: a name, a class of spaces, or a function of shape and number of classes.
        shape: of the images, (C, H, W).
        classes: how many classes they have.
        only: options (as texts) that are kept, by choice.
        nets, tests: whole networks that the correction is fitted on, and that test the table.
        precisions: fp32, int8 or both.
        general: ops of all kinds and sizes rather than a space's.
        probes: only so many ops and networks, those that tell most, for `adapt`.
        sources: devices that these are chosen by.
        bundle: instead, the folder of a run whose finalists are to be measured.
        page: whether the kit also runs in browsers.
        seed: of the networks.
        progress: whether stderr shows what is under way.

    Raises:
        UsageError: the space has no such choice or option; the run has no finalists.

    >>> import edgenas, tempfile
    >>> out = tempfile.mkdtemp() + "/kit.zip"
    >>> manifest = edgenas.kit(out, space=edgenas.testing.Tiny, nets=8, tests=0, precisions=["fp32"], page=False)
    >>> manifest["space"]
    'edgenas.testing 1x32x32 10'
    """
    from edgenas.workflows.kit import KitOptions, finalists_kit, reduced_kit
    from edgenas.workflows.kit import kit as run

    reporter, path = make_reporter(quiet=not progress), Path(out)
    if bundle is not None:
        return finalists_kit(Path(bundle), reporter, out=path, page=page)
    config, maker = _config_and_maker(space, seed=seed)
    options = KitOptions(shape, classes, dict(only or {}), nets, tests, tuple(precisions), general, maker)
    if probes is None:
        return run(config, reporter, options, out=path, page=page)
    return reduced_kit(config, reporter, options, count=probes, known=sources, out=path, page=page)


def ingest(
    results: str | os.PathLike[str],
    *,
    kit: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results file, and write a table for each precision in it; return the files with their tables.

    Args:
        results: what the kit wrote on the device.
        kit: the kit, to check that nothing of it was changed.
        out: folder of the tables; by default your own.

    Raises:
        TableError: the results cannot be trusted.
        NoisyMachine: too few clean samples; nothing is written.
    """
    from edgenas.workflows.ingest import ingest as run

    return run(Path(results), kit=_path(kit), out=_path(out))


def confirm(
    results: str | os.PathLike[str],
    run: str | os.PathLike[str],
    *,
    kit: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Result:
    """Take what a kit measured of a run's finalists on its device, and deliver by it, as `edgenas ingest --bundle`.

    Args:
        results: what the kit wrote on the device.
        run: folder of the run whose finalists they are.
        kit: the kit, to check that nothing of it was changed.
        progress: whether stderr shows what is under way.

    Raises:
        TableError: the results cannot be trusted, or are of other models, another device or runtime.
        NoisyMachine: a figure repeats too badly; measure again.
    """
    from edgenas.workflows.confirm import confirm as confirm_run

    return confirm_run(Path(results), Path(run), make_reporter(quiet=not progress), kit=_path(kit))


def adapt(
    results: str | os.PathLike[str],
    *,
    sources: Sequence[str] = ("all",),
    precisions: Sequence[str] = ("fp32", "int8"),
    kit: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Predict whole tables of a new device from a few probes; return the files with their tables.

    Args:
        results: what the kit wrote on the device.
        sources: devices whose tables are used, by name or file; `all` for every one of use.
        precisions: of the tables.
        kit: the kit, to check that nothing of it was changed.
        out: folder of the tables; by default your own.

    Raises:
        TableError: the results cannot be trusted.
        UsageError: no table of a source device is of use, or too few rows were measured.
    """
    from edgenas.workflows.adapt import adapt as run

    return run(Path(results), known=sources, precisions=precisions, kit=_path(kit), out=_path(out))


def _given(**values: Any) -> dict[str, Any]:
    """The settings that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _config_and_maker(space: SpaceLike, **values: Any) -> Any:
    """The configuration of these settings, and what builds the space if that is no name."""
    if isinstance(space, str):
        return make_config(_given(space=space, **values)), None
    return make_config(_given(**values)), space


def _path(file: str | os.PathLike[str] | None) -> Path | None:
    return None if file is None else Path(file)
