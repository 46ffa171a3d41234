"""onnxruntime-web in a page of headless Chromium: WebAssembly with SIMD, all graph optimisations, a 5 us clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.runtimes._web import chromium, session
from edgenas.runtimes._web.assets import assets
from edgenas.runtimes._web.engine import Pool

name = "onnxruntime-web-chromium"

_pool = Pool(chromium.ChromiumEngine)


def version() -> str:
    """Version of the npm package, which is fetched if need be.

    Raises:
        EnvironmentFault: Chromium or the package is not to be had.
    """
    chromium.executable()
    return assets().version


def open(model: Path | bytes, threads: int = 1) -> session.WebSession:
    """A session of an ONNX file, or of its bytes, on at most `threads` threads.

    Raises:
        DataError: the model cannot be loaded, or has an input of a type that cannot be made up.
        UsageError: `threads` is below 1.
        EnvironmentFault: Chromium or the npm package is not to be had, or Chromium stopped.
    """
    return session.WebSession(_pool, model, threads)


def describe(model: Path | bytes) -> dict[str, list[dict[str, Any]]]:
    """Name, shape (dynamic dimensions are 1) and dtype of each of `inputs` and `outputs`.

    Raises:
        DataError: the model cannot be loaded.
        EnvironmentFault: as `open`.
    """
    return session.describe(_pool, model)


def host(threads: int = 1) -> dict[str, str | int | float]:
    """The machine's facts, and this runtime's own."""
    return session.host(_pool, name, threads)
