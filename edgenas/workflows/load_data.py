"""The images of a run: read, or given, with what was decided about them said."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.errors import UsageError
from edgenas.system import plugins
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config, flag
from edgenas.workflows.given import Given

if TYPE_CHECKING:
    from edgenas.data.base import Data

CACHE = "edgenas-cache"  # folder beside the run's own, which all runs there share
PHOTO_SETTINGS = ("fit", "flip", "cache", "cache_size")


def load_data(config: Config, given: Given, device: str, reporter: Reporter) -> Data:
    """Return the data set, on the training device.

    Args:
        config: names the data set and its settings.
        given: data that stand for that name, if any.
        device: to train on, cpu or cuda.
        reporter: who is told what was decided about the images.

    Raises:
        UsageError: it does not come in the size that was asked for, or is no set of photographs where one is needed.
        DataError: it cannot be used.
    """
    from edgenas.data.found import listed
    from edgenas.data.report import report_of  # torch comes with it

    data = _read_data(config, given, device, reporter)
    _, height, width = data.shape
    if config.image_size not in (None, height):
        raise UsageError(
            f"--image-size {config.image_size}: {data.name} comes in {height} x {width} pixels; leave it out"
        )
    left_out = data.found.left_out
    for line in (report_of(data).line(), *([listed(left_out)] if left_out else []), *data.notices):
        reporter.log(f"{data.name}: {line}")
    return data


def _read_data(config: Config, given: Given, device: str, reporter: Reporter) -> Data:
    if given.data is not None:
        _refuse_photo_settings(config, "images that are given as arrays or as Data")
    if isinstance(given.data, tuple):
        from edgenas.data.from_arrays import from_arrays  # torch comes with it

        images, labels = given.data
        share = config.validation_share
        return from_arrays(images, labels, validation_share=share, seed=config.seed, device=device)
    if given.data is not None:
        return given.data
    build = plugins.load("data", config.data).build
    with _photo_options(config, build, reporter) as further:
        data: Data = build(
            root=Path(config.data_root).expanduser() if config.data_root else None,
            seed=config.seed,
            image_size=config.image_size,
            validation_share=config.validation_share,
            download=config.download,
            strict=config.strict,
            device=device,
            **further,
        )
    return data


@contextmanager
def _photo_options(config: Config, build: Callable[..., Data], reporter: Reporter) -> Iterator[Mapping[str, Any]]:
    """Give what a source of files takes beside the settings of all sources; other sources refuse it."""
    if "photos" not in inspect.signature(build).parameters:
        _refuse_photo_settings(config, f"the data set {config.data}")
        yield {}
        return
    from edgenas.data.storage.options import PhotoOptions

    with reporter.stage("read the pictures") as progress:
        yield {
            "photos": PhotoOptions(
                fit=config.fit,  # type: ignore[arg-type]  # Config has checked it
                flip=config.flip,
                cache=_cache(config),
                cache_size=config.cache_size,
                progress=progress,
                log=reporter.log,
            )
        }


def _cache(config: Config) -> Path:
    """Return where decoded pictures are kept: where the user says, else beside the run, or in the user's cache."""
    from edgenas.data.storage.options import user_cache

    if config.cache is not None:
        return Path(config.cache).expanduser()
    # Absolute, or the current folder as --output would have no parent. Runs without a name lie in `runs`.
    beside = Path(config.output or "runs/unnamed").expanduser().absolute().parent / CACHE
    root = os.path.realpath(Path(config.data_root).expanduser()) if config.data_root else None
    # Among the pictures it would be taken for one of their classes.
    return user_cache() if root and Path(os.path.realpath(beside)).is_relative_to(root) else beside


def _refuse_photo_settings(config: Config, what: str) -> None:
    for name in PHOTO_SETTINGS:
        if getattr(config, name) is not None:
            raise UsageError(f"{flag(name)} is for folders of photographs, and {what} has its own way; leave it out")
