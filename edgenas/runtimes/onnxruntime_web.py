"""onnxruntime-web in Node: WebAssembly with SIMD, all graph optimisations, one thread.

More threads need a page that is cross-origin isolated: see onnxruntime_web_chromium.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.runtimes._web import node, session
from edgenas.runtimes._web.assets import assets
from edgenas.runtimes._web.engine import Pool

name = "onnxruntime-web"

_pool = Pool(lambda threads: node.NodeEngine())


def version() -> str:
    """Version of the npm package, which is fetched if need be.

    Raises:
        EnvironmentFault: Node or the package is not to be had.
    """
    node.executable()
    return assets().version


def open(model: Path | bytes, threads: int = 1) -> session.WebSession:
    """A session of an ONNX file, or of its bytes, on one thread, however many are asked for.

    Raises:
        DataError: the model cannot be loaded, or has an input of a type that cannot be made up.
        UsageError: `threads` is below 1.
        EnvironmentFault: Node or the npm package is not to be had, or Node stopped.
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
