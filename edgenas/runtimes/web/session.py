"""A model in an engine, as runtimes' Session; and the functions of a runtime plugin, for any engine."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.errors import DataError, EnvironmentFault, UsageError
from edgenas.runtimes import host
from edgenas.runtimes.base import Array, Port, Ports, Round
from edgenas.runtimes.web.assets import PACKAGE, assets
from edgenas.runtimes.web.channel import Message
from edgenas.runtimes.web.engine import Place, Pool

_numbers = itertools.count()  # of model files: sessions in one folder must not share a name


class WebSession:
    """One model, its fixed random inputs, and its timing, all inside an engine."""

    def __init__(self, pool: Pool, model: Path | bytes, threads: int) -> None:
        """Load `model` into an engine of `pool`.

        Raises:
            DataError: the model cannot be loaded, or has an input of a type that cannot be made up.
            UsageError: `threads` is below 1.
            EnvironmentFault: no engine can be started, or it stopped.
        """
        if threads < 1:
            raise UsageError(f"threads: {threads} is not a number of threads; give 1 or more")
        content, label = _content(model)
        self._place: Place | None = pool.place(host.capped_threads(threads), len(content))
        self._bytes = len(content)
        reply = _load(self._place, content, label)
        self._id = reply["id"]
        self._ports = Ports(_ports(reply["inputs"]), _ports(reply["outputs"]))
        self._place.loaded_bytes += self._bytes

    def describe(self) -> Ports:
        """Return the model's inputs and outputs."""
        return self._ports

    def run(self, x: Array | None = None) -> list[Array]:
        """Return all outputs; `x` replaces the first input, of the shape and dtype that `describe` tells.

        Raises:
            DataError: the model fails to run on it.
            EnvironmentFault: the engine stopped.
        """
        fed = "its own inputs" if x is None else f"an input {tuple(x.shape)} {x.dtype}"
        reply = self._ask({"do": "run", "input": None if x is None else _packed(x)}, f"does not run on {fed}")
        return [_unpacked(output) for output in reply["outputs"]]

    def rounds(self, n: int, ms: float) -> list[Round]:
        """Let the engine time `n` rounds of about `ms` milliseconds.

        Raises:
            DataError: the model fails to run.
            EnvironmentFault: the engine stopped.
        """
        reply = self._ask({"do": "rounds", "n": n, "ms": ms}, "does not run on its own inputs")
        return [
            Round(math.nan if r["ms"] is None else r["ms"], r["runs"], r["clean_share"], r["disturbed_ms"])
            for r in reply["rounds"]
        ]

    def close(self) -> None:
        """Free the model."""
        place, self._place = self._place, None
        if place is not None and place.engine.working:
            place.loaded_bytes -= self._bytes
            place.engine.ask({"do": "free", "id": self._id})

    def _ask(self, command: Mapping[str, Any], failure: str) -> Message:
        if self._place is None:
            raise UsageError("the session is closed; open the model again")
        return _ask(self._place, {**command, "id": self._id}, f"the model {failure}")


class WebRuntime:
    """The functions of a runtime plugin whose models run in the engines of one pool."""

    def __init__(self, name: str, executable: Callable[[], str], pool: Pool) -> None:
        """Make a plugin.

        Args:
            name: how tables call the runtime.
            executable: finds the program that engines run in, or raises EnvironmentFault.
            pool: where sessions get their engine.
        """
        self.name, self._executable, self._pool = name, executable, pool

    def version(self) -> str:
        """Return the version of the npm package, which is fetched if need be.

        Raises:
            EnvironmentFault: the engine's program or the package is not to be had.
        """
        self._executable()
        return assets().version

    def open(self, model: Path | bytes, threads: int = 1) -> WebSession:
        """Open an ONNX file, or its bytes, on at most `threads` threads.

        Raises:
            DataError: the model cannot be loaded, or has an input of a type that cannot be made up.
            UsageError: `threads` is below 1.
            EnvironmentFault: the engine's program or the npm package is not to be had, or the engine stopped.
        """
        return WebSession(self._pool, model, threads)

    def host(self, threads: int = 1) -> dict[str, str | int | float]:
        """Return the machine's facts, the engine's, and the runtime's."""
        facts = host.host(threads)
        told = self._pool.place(int(facts["threads"])).engine.ask({"do": "facts"})
        runtime = {"runtime": self.name, "version": assets().version, "provider": "wasm"}
        return facts | runtime | {"simd": "on", "optimisation": "all"} | told


def _content(model: Path | bytes) -> tuple[bytes, str]:
    if isinstance(model, bytes):
        return model, "the model"
    try:
        return model.read_bytes(), str(model)
    except OSError as error:
        raise UsageError(f"{model}: cannot be read ({error.strerror}); give the path of an ONNX file") from error


def _ports(values: Sequence[Mapping[str, Any]]) -> tuple[Port, ...]:
    return tuple(Port(value["name"], tuple(value["shape"]), value["dtype"]) for value in values)


def _load(place: Place, content: bytes, label: str) -> Message:
    """Load a model, which travels as a file of a folder that the engine reads."""
    file = place.engine.folder / f"{next(_numbers)}.onnx"
    try:
        file.write_bytes(content)
    except OSError as error:
        raise EnvironmentFault(f"{file}: cannot be written ({error.strerror}); free some space there") from error
    try:
        return _ask(place, {"do": "load", "file": file.name}, f"{PACKAGE} cannot load {label}")
    finally:
        file.unlink(missing_ok=True)


def _ask(place: Place, command: Mapping[str, Any], failure: str) -> Message:
    """Return the engine's reply; raise its error as ours.

    An engine that broke off in the middle of a run is not used again: its heap may be damaged.
    """
    reply = place.engine.ask(command)
    if "error" not in reply:
        return reply
    if reply["broken"]:
        place.engine.stop()
    raise DataError(f"{failure}: {' '.join(reply['error'].split())[:200]}")


def _packed(x: Array) -> Message:
    # The channel carries JSON, in which numbers would be longer than their bytes in base64.
    data = base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()
    return {"type": str(x.dtype), "dims": list(x.shape), "data": data}


def _unpacked(output: Mapping[str, Any]) -> Array:
    # A copy, since `frombuffer` gives a view that cannot be written.
    return np.frombuffer(base64.b64decode(output["data"]), np.dtype(output["type"])).reshape(output["dims"]).copy()
