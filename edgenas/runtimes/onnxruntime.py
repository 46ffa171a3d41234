"""ONNX Runtime on this machine's CPU: all graph optimisations, sequential, without spinning.

Standard library, numpy and onnxruntime only, in Python 3.9's syntax: this file also runs on devices.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.errors import DataError, UsageError
from edgenas.runtimes.base import Array, Port, Ports, Round
from edgenas.runtimes.host import capped_threads
from edgenas.runtimes.host import host as machine
from edgenas.runtimes.rounds import Gauges, gauges, timed_round

name = "onnxruntime"

PROVIDER = "CPUExecutionProvider"
# The seed of the made-up inputs: each session of a model is timed on the same ones.
SEED = 0
# The types that edgenas can feed, by the runtime's names for them.
DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
}


def version() -> str:
    """Return the version of the installed onnxruntime."""
    return str(_onnxruntime().__version__)


def open(model: Path | bytes, threads: int = 1) -> OnnxruntimeSession:
    """Open an ONNX model for running and timing.

    Args:
        model: a file, or its bytes.
        threads: the most that it may use; more than there are cores are capped.

    Raises:
        DataError: the model cannot be loaded, or has an input of a type that cannot be made up.
        UsageError: `threads` is below 1.
    """
    return OnnxruntimeSession(model, threads)


def fused(model: bytes) -> bytes:
    """Return the model as this runtime fuses it, before it takes the layout of one processor.

    Raises:
        DataError: the model cannot be loaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fused.onnx"
        _load(model, 1, fused_path=path)
        return path.read_bytes()


def host(threads: int = 1) -> dict[str, str | int | float]:
    """Return the machine's facts, and this runtime's own."""
    return machine(threads) | {
        "runtime": name,
        "version": version(),
        "provider": PROVIDER,
        "optimisation": "all",
        "spinning": "off",
    }


class OnnxruntimeSession:
    """One model, its fixed random inputs, and its timing; `threads` is what it really uses."""

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        """Load `model`; see `open`."""
        if threads < 1:
            raise UsageError(f"threads: {threads} is not a number of threads; give 1 or more")
        self.threads = capped_threads(threads)
        self._session: Any = _load(model, self.threads)
        self._inputs = _made_up_inputs(self._session)
        self._binding: Any = None
        self._gauges: Gauges | None = None

    def describe(self) -> Ports:
        """Return the model's inputs and outputs."""
        return Ports(_ports(self._session.get_inputs()), _ports(self._session.get_outputs()))

    def run(self, x: Array | None = None) -> list[Array]:
        """Return all outputs; `x` replaces the first input, of the shape and dtype that `describe` tells.

        Raises:
            DataError: the model fails to run on it.
        """
        feed = self._inputs if x is None else self._inputs | {next(iter(self._inputs)): x}
        try:
            return list(self._session.run(None, feed))
        except Exception as error:  # the runtime's exceptions share no base class
            raise DataError(f"the model does not run on {_shapes(feed)}: {_reason(error)}") from error

    def rounds(self, n: int, ms: float) -> list[Round]:
        """Time `n` rounds of about `ms` milliseconds on the fixed inputs, bound once: 4 us a run below `run`."""
        if self._binding is None:
            self._binding, self._gauges = self._bind(), gauges(self.threads)
        assert self._gauges is not None
        run, binding = self._session.run_with_iobinding, self._binding
        return [timed_round(lambda: run(binding), ms, self._gauges) for _ in range(n)]

    def close(self) -> None:
        """Free the model."""
        self._binding = self._session = None

    def _bind(self) -> Any:
        binding = self._session.io_binding()
        for input_name, array in self._inputs.items():
            binding.bind_cpu_input(input_name, array)
        for output in self._session.get_outputs():
            binding.bind_output(output.name)
        return binding


def _onnxruntime() -> Any:
    # It reports usage to its makers since 1.29, unless told before its first import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _ports(values: list[Any]) -> tuple[Port, ...]:
    return tuple(Port(v.name, tuple(_fixed(v.shape)), str(DTYPES.get(v.type, v.type))) for v in values)


def _load(model: Path | bytes, threads: int, fused_path: Path | None = None) -> Any:
    ort = _onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Threads that spin take the core from whatever else an app does, and a table's figures from an app that does not.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # fatal: what else it says is in its exceptions, which become our errors
    if fused_path:
        # The level above, `all`, also takes the layout of this processor, which would hide the ops.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = os.fspath(fused_path)
    label, source = ("the model", model) if isinstance(model, bytes) else (str(model), os.fspath(model))
    try:
        return ort.InferenceSession(source, options, providers=[PROVIDER])
    except Exception as error:  # the runtime's exceptions share no base class
        raise DataError(f"onnxruntime {ort.__version__} cannot load {label}: {_reason(error)}") from error


def _made_up_inputs(session: Any) -> dict[str, Array]:
    rng = np.random.default_rng(SEED)
    return {value.name: _made_up(value.name, value.type, _fixed(value.shape), rng) for value in session.get_inputs()}


def _made_up(label: str, kind: str, shape: list[int], rng: np.random.Generator) -> Array:
    """Draw normal floats, any byte, and zeros and ones for wider integers, which are often indices."""
    if kind not in DTYPES:
        raise DataError(f"input {label!r} is a {kind}; edgenas can feed {', '.join(DTYPES)}")
    dtype = DTYPES[kind]
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.itemsize == 1 and dtype.kind != "b":
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return rng.integers(0, 2, shape).astype(dtype)


def _fixed(shape: list[int | str | None]) -> list[int]:
    """Return the shape with 1 for every dynamic dimension."""
    return [size if isinstance(size, int) and size > 0 else 1 for size in shape]


def _shapes(feed: dict[str, Array]) -> str:
    return ", ".join(f"{label} {tuple(array.shape)} {array.dtype}" for label, array in feed.items())


def _reason(error: Exception) -> str:
    """Say in one line what went wrong, without the error's number and the runtime's own file and function."""
    # What is cut off tells of this machine and of the runtime's build, not of the model.
    line = " ".join(str(error).split()) or type(error).__name__
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?", "", line)
    return re.sub(r"^/\S+:\d+ \S+\(.*?\) ", "", line)[:200]
