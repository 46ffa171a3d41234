"""Latency: predict architectures, time ONNX files, and measure a table of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch
from edgenas.graph.ops import Shape
from edgenas.system.progress import make_reporter
from edgenas.workflows.config import Config, make_config
from edgenas.workflows.named import name_plugins
from edgenas.workflows.values import checked_number

if TYPE_CHECKING:
    from edgenas.latency.table import LatencyTable
    from edgenas.runtimes.bench import Bench
    from edgenas.workflows.given import SpaceLike
    from edgenas.workflows.predict import Prediction

# Images (C, H, W) and classes of the default data set: without settings, all commands speak of the same space.
DIGITS_SHAPE, DIGITS_CLASSES = (1, 32, 32), 10


def predict(
    archs: str | Sequence[str | Arch] | None = None,
    *,
    samples: int | None = None,
    space: SpaceLike = "mbconv",
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool | None = None,
    shape: Shape | None = None,
    classes: int | None = None,
    device: str | None = None,
    table: str | os.PathLike[str] | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    estimate_missing: bool | None = None,
) -> list[Prediction]:
    """Predict latency, size and memory of architectures; nothing is trained or measured.

    Args:
        archs: codes of architectures, one or several, what papers on the space write, or what trials hold.
        samples: number of random architectures, where no codes are given.
        space: a name, a class of spaces, or a function of shape and number of classes.
        pretrained, weights: a trained network that is the space instead, as of `search`.
        data, image_size: where the images are that say the classes, and the side in pixels that they get.
        download: allow the weights of a trained network to be downloaded.
        shape: of the images, (C, H, W); default: 1x32x32, as digits, or what the trained network takes.
        classes: how many classes they have; default: 10, or those of the trained network.
        device: by its latency table in `edgenas list devices`; default: this machine.
        table: file of a latency table, instead of a device.
        runtime, threads: conditions here.
        seed: of the random architectures.
        estimate_missing: price ops that the table lacks from their counts; default: where the table holds networks of
            this space, of images as large or larger.

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

    if (archs is None) == (samples is None):
        raise UsageError("say which architectures: archs, or samples=N, one of them")
    named = {"pretrained": pretrained, "weights": weights, "data": data, "image_size": image_size, "download": download}
    conditions = {"device": device, "runtime": runtime, "threads": threads, "seed": seed}
    config, maker, size = config_and_space(space, shape, classes, **named, **conditions)
    built = build_space(maker or config.space, *size)
    count = None if samples is None else int(checked_number("samples", samples, int, 1, 10**7))
    # A text alone is one code, not one for each letter; trials hold architectures as tuples.
    several = [archs] if isinstance(archs, str) else archs or []
    codes = [arch if isinstance(arch, str) else built.code(tuple(arch)) for arch in several]
    file = None if table is None else Path(table)
    return list(run(config, built, archs=codes or None, samples=count, table=file, estimate_missing=estimate_missing))


def bench(
    models: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    threads: int = 1,
    runtime: str = "onnxruntime",
    seconds: float = 3.0,
    wait_minutes: float = 2.0,
    progress: bool = False,
) -> list[Bench]:
    """Time ONNX files on this machine, in a process of their own, in the same rounds.

    Of a bundle the models are measured as its manifest says, and what is found is written into result, manifest and
    card; the model that the budget is for comes back with `met_budget`.

    Args:
        models: a file that anybody made, or several; or one run folder of a search.
        threads: of the runtime.
        runtime: a name from `edgenas list runtimes`, or one of your own; a bundle's own must be named, too.
        seconds: of measuring, per file.
        wait_minutes: how long a busy machine is waited for, with a bundle.
        progress: whether stderr shows what is under way, with a bundle.

    Raises:
        DataError: a file is not a single-file ONNX model that the runtime can load and run.
        NoisyMachine: too few clean samples.

    >>> import edgenas, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> _ = edgenas.train("120", "digits", space="edgenas.testing.tiny", final_epochs=1, output=folder)
    >>> model = edgenas.export(folder, folder + "/mine.onnx")
    >>> [(found.model, found.ms > 0) for found in edgenas.bench([model], seconds=1)]
    [('mine.onnx', True)]
    """
    from edgenas.workflows.bench import bench as run
    from edgenas.workflows.bench import bench_bundle

    several = [models] if isinstance(models, str | os.PathLike) else models
    seconds = checked_number("seconds", seconds, float, 0.1, 3600)
    paths = [Path(model) for model in several]
    name_plugins({"runtime": runtime})
    if len(paths) == 1 and paths[0].is_dir():
        wait_minutes = checked_number("wait_minutes", wait_minutes, float, 0.0, 10**4)
        reporter = make_reporter(quiet=not progress)
        return bench_bundle(paths[0], reporter, seconds=seconds, wait_minutes=wait_minutes)
    return run(paths, threads=threads, runtime=runtime, seconds=seconds)


def profile(
    *,
    space: SpaceLike = "mbconv",
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool | None = None,
    shape: Shape | None = None,
    classes: int | None = None,
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
        pretrained, weights: a trained network that is the space instead, as of `search`.
        data, image_size: where the images are that say the classes, and the side in pixels that they get.
        download: allow the weights of a trained network to be downloaded.
        shape: of the images, (C, H, W); default: 1x32x32, as digits, or what the trained network takes.
        classes: how many classes they have; default: 10, or those of the trained network.
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

    if seconds is not None:
        seconds = checked_number("seconds", seconds, float, 0.1, 86_400)
    named = {"pretrained": pretrained, "weights": weights, "data": data, "image_size": image_size, "download": download}
    conditions = {"runtime": runtime, "threads": threads, "seed": seed}
    config, maker, size = config_and_space(space, shape, classes, **named, **conditions)
    file = None if out is None else Path(out)
    reporter = make_reporter(quiet=not progress)
    return run(
        config, reporter, shape=size[0], classes=size[1], seconds=seconds, out=file, general=general, space=maker
    )


def config_of(**values: Any) -> Config:
    """Return the configuration of the settings that were given; those that are None have the defaults of `Config`."""
    given = {name: value for name, value in values.items() if value is not None}
    name_plugins(given)
    return make_config(given)


def config_and_space(
    space: SpaceLike, shape: Shape | None, classes: int | None, **values: Any
) -> tuple[Config, Any, tuple[Shape, int]]:
    """Return the configuration of these settings, what builds the space, and the images that it is for.

    Args:
        space: a name, or what builds a space.
        shape: (C, H, W), if it is given.
        classes: if they are given.
        values: further settings; None stands for what was not given.
    """
    from edgenas.workflows.pretrained import input_of, space_source

    # Where there is something that builds the space, nobody reads the name that the configuration keeps.
    named = {"space": space} if isinstance(space, str) else {}
    config = config_of(**named, **values)
    size = input_of(config, shape, classes, (DIGITS_SHAPE, DIGITS_CLASSES))
    source = space_source(config) if isinstance(space, str) else space
    return config, None if isinstance(source, str) else source, size
