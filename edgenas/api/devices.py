"""Devices that are not at hand: kits, and what they measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.api.measure import config_and_space, config_of
from edgenas.graph.ops import Shape
from edgenas.spaces.build import build_space
from edgenas.system.progress import make_reporter
from edgenas.workflows.config import Config

if TYPE_CHECKING:
    from edgenas.latency.table import LatencyTable
    from edgenas.system.records import Json
    from edgenas.workflows.given import SpaceLike


def kit(
    out: str | os.PathLike[str],
    *,
    space: SpaceLike = "mbconv",
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool | None = None,
    shape: Shape | None = None,
    classes: int | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    ops: int | None = None,
    nets: int | None = None,
    tests: int | None = None,
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
        pretrained, weights: a trained network that is the space instead, as of `search`.
        data, image_size: where the images are that say the classes, and the side in pixels that they get.
        download: allow the weights of a trained network to be downloaded.
        shape: of the images, (C, H, W); default: 1x32x32, as digits, or what the trained network takes.
        classes: how many classes they have; default: 10, or those of the trained network.
        only: options (as texts) that are kept, by choice.
        ops: of a larger space only so many ops, those that tell most; default: all, of a trained network 250.
        nets, tests: whole networks that the correction is fitted on, and that test the table; default: 100 and 50, of a
            trained network 50 and 10.
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
    'edgenas.testing.tiny 1x32x32 10'
    """
    from edgenas.workflows.kit import finalists_kit, reduced_kit
    from edgenas.workflows.kit import kit as run
    from edgenas.workflows.kit_content import KitOptions

    reporter, path = make_reporter(quiet=not progress), Path(out)
    if bundle is not None:
        # The run says all the rest: its finalists are the probes.
        return finalists_kit(Path(bundle), reporter, out=path, page=page)
    named = {"pretrained": pretrained, "weights": weights, "data": data, "image_size": image_size, "download": download}
    config, maker, size = config_and_space(space, shape, classes, **named, seed=seed)
    options = KitOptions(*size, dict(only or {}), nets, tests, tuple(precisions), general, maker, ops)
    if probes is None:
        return run(config, reporter, options, out=path, page=page)
    return reduced_kit(config, reporter, options, count=probes, known=sources, out=path, page=page)


def ingest(
    results: str | os.PathLike[str],
    *,
    kit: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    space: SpaceLike | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Check a kit's results file, and write a table for each precision in it; return the files with their tables.

    A table whose test networks are predicted badly says so in `table.header["doubt"]`.

    Args:
        results: what the kit wrote on the device.
        kit: the kit, to check that nothing of it was changed.
        out: folder of the tables; by default your own.
        space, pretrained, weights, data, image_size: what the kit is of, to check it; one of your own must be named.
        download: allow the weights of a trained network to be downloaded.

    Raises:
        TableError: the results cannot be trusted.
        NoisyMachine: too few clean samples; nothing is written.

    A kit, measured on this machine as it is on any other, by its `run.py`:

    >>> import edgenas, shutil, subprocess, sys, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> of_tiny = {"space": edgenas.testing.Tiny, "precisions": ["fp32"], "page": False}
    >>> _ = edgenas.kit(folder + "/kit.zip", nets=8, tests=0, **of_tiny)
    >>> shutil.unpack_archive(folder + "/kit.zip", folder)
    >>> run = [sys.executable, "run.py", "--name=toy", "--out=results.jsonl"]
    >>> _ = subprocess.run(run, cwd=folder, check=True, capture_output=True)
    >>> [(path, table)] = edgenas.ingest(folder + "/results.jsonl", kit=folder + "/kit.zip", out=folder)
    >>> path.parent.name, table.device, len(table.ops) > 5
    ('toy', 'toy', True)
    """
    from edgenas.workflows.ingest import ingest as run

    config = _scope(space, pretrained=pretrained, weights=weights, data=data, image_size=image_size, download=download)
    return run(Path(results), kit=_path(kit), out=_path(out), config=config)


def adapt(
    results: str | os.PathLike[str],
    *,
    sources: Sequence[str] = ("all",),
    precisions: Sequence[str] = ("fp32", "int8"),
    kit: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    space: SpaceLike | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool | None = None,
) -> list[tuple[Path, LatencyTable]]:
    """Predict whole tables of a new device from a few probes; return the files with their tables.

    Args:
        results: what the kit wrote on the device.
        sources: devices whose tables are used, by name or file; `all` for every one of use.
        precisions: of the tables.
        kit: the kit, to check that nothing of it was changed.
        out: folder of the tables; by default your own.
        space, pretrained, weights, data, image_size: what the kit is of, to check it; one of your own must be named.
        download: allow the weights of a trained network to be downloaded.

    Raises:
        TableError: the results cannot be trusted.
        UsageError: no table of a source device is of use, or too few rows were measured.

    A table of `toy` is measured, then that of `other` is predicted from four of its ops and networks:

    >>> import edgenas, shutil, subprocess, sys, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> def measured(kit, name):
    ...     shutil.unpack_archive(kit, f"{folder}/{name}")
    ...     run = [sys.executable, "run.py", f"--name={name}", "--out=results.jsonl"]
    ...     subprocess.run(run, cwd=f"{folder}/{name}", check=True, capture_output=True)
    ...     return f"{folder}/{name}/results.jsonl"
    >>> of_tiny = {"space": edgenas.testing.Tiny, "precisions": ["fp32"], "page": False}
    >>> _ = edgenas.kit(folder + "/whole.zip", nets=8, tests=0, **of_tiny)
    >>> [(toy, _)] = edgenas.ingest(measured(folder + "/whole.zip", "toy"), out=folder)
    >>> _ = edgenas.kit(folder + "/few.zip", probes=4, sources=[str(toy)], **of_tiny)
    >>> [(path, table)] = edgenas.adapt(
    ...     measured(folder + "/few.zip", "other"), sources=[str(toy)], precisions=["fp32"], out=folder
    ... )
    >>> table.device, 0 < table.adapted_margin
    ('other', True)
    """
    from edgenas.workflows.adapt import adapt as run

    config = _scope(space, pretrained=pretrained, weights=weights, data=data, image_size=image_size, download=download)
    return run(Path(results), known=sources, precisions=precisions, kit=_path(kit), out=_path(out), config=config)


def _path(file: str | os.PathLike[str] | None) -> Path | None:
    return None if file is None else Path(file)


def _scope(space: SpaceLike | None, **named: Any) -> Config:
    """Return the configuration of what a kit is said to be of; None stands for what was not given."""
    if space is not None and not isinstance(space, str):
        config, maker, (shape, classes) = config_and_space(space, None, None, **named)
        build_space(maker, shape, classes)  # known by its name from here on
        return config
    return config_of(space=space, **named)
