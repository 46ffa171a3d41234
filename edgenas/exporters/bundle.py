"""The folder that an app takes: models, manifest, golden examples, labels and a model card.

Golden pictures stand there as files, pixels and inputs, so that an app finds the stage in which it differs.
It is complete when manifest.json is there, which is written last and holds the hash of every other file. A flipped byte
in the weights still loads and runs: the hashes find it. The golden outputs find a runtime that computes otherwise.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.storage.npz_file import read_npz
from edgenas.errors import EdgeNASError, EnvironmentFault
from edgenas.exporters.golden_pictures import (
    INPUT_TOLERANCE,
    PICTURES,
    PIXELS_TOLERANCE,
    differing_stage,
    stages,
)
from edgenas.exporters.input_steps import OF_ARRAYS, STEPS, read_steps
from edgenas.exporters.metadata import MODELS, ModelMetadata, Precision
from edgenas.exporters.model_card import model_card, one_line
from edgenas.exporters.onnx import OUTPUT
from edgenas.exporters.session import outputs
from edgenas.system.file_index import forget, write_kept
from edgenas.system.records import Json, parsed_object

Array = np.ndarray[Any, Any]

SCHEMA = 1  # of manifest.json: raised when a reader of today could not read it
MANIFEST, GOLDEN = "manifest.json", "golden.npz"
GOLDEN_OUTPUTS = {"model.onnx": "output", "model.int8.onnx": "int8_output"}  # each model's array in golden.npz
# Largest difference from a golden output on another machine, as a share of the largest output (of 1, where that is
# smaller). A rounding that falls the other way moves an int8 activation by a whole step.
TOLERANCES: dict[Precision, float] = {"fp32": 1e-3, "int8": 5e-2}
PACKAGES = ("edgenas", "torch", "onnx", "onnxruntime", "numpy")  # whose versions stand in the manifest


def write_bundle(
    folder: Path,
    *,
    model: bytes,
    int8: bytes | None,
    metadata: ModelMetadata,
    labels: Sequence[str],
    golden_images: Array,
    golden_inputs: Array,
    golden_outputs: Array,
    pictures: Sequence[bytes] = (),
) -> None:
    """Write the bundle, each file whole or not at all, the manifest last.

    Args:
        folder: made if it is not there.
        model: the float model's file.
        int8: the int8 model's file, if there is one; its golden outputs are computed here.
        metadata: what is known of the models.
        labels: names of the classes.
        golden_images: uint8 (n, C, H, W), of any size.
        golden_inputs: what preprocessing makes of them, float32 (n, *metadata.input.shape).
        golden_outputs: the trained network's for these inputs, (n, classes).
        pictures: files, which the bundle holds with what each stage makes of them.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    files = {"model.onnx": model}
    golden = {"images": golden_images, "input": golden_inputs, "output": golden_outputs}
    if int8 is not None:
        files["model.int8.onnx"] = int8
        golden["int8_output"] = outputs(int8, golden_inputs)
    files[GOLDEN] = _npz(golden)
    if pictures:
        files[PICTURES] = _npz(_staged(pictures, metadata, files))
    files["labels.txt"] = "".join(f"{one_line(label)}\n" for label in labels).encode()
    files["MODEL_CARD.md"] = model_card(metadata, labels).encode()
    hashes = {name: _sha256(data) for name, data in files.items()}
    # Last, as files are written in this order: with the manifest the bundle is complete.
    files[MANIFEST] = _json(_manifest(metadata, labels, hashes, len(pictures)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in {"model.int8.onnx", PICTURES} - files.keys():
            forget(folder / name)  # of an earlier bundle here
        for name, data in files.items():
            write_kept(folder / name, data)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the bundle {folder} ({error}); make room or choose another") from error


def _staged(pictures: Sequence[bytes], metadata: ModelMetadata, models: Mapping[str, bytes]) -> dict[str, Array]:
    """Return the pictures at every stage, with the outputs of the models that there are."""
    found = stages(pictures, metadata.input)
    outs = {key: outputs(models[file], found["input"]) for file, key in GOLDEN_OUTPUTS.items() if file in models}
    return found | outs


def _npz(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # takes them for its own flag
    return buffer.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(_finite(value), allow_nan=False, indent=2, sort_keys=True) + "\n").encode()


def _finite(value: Any) -> Any:
    """Return `value` with null for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _manifest(metadata: ModelMetadata, labels: Sequence[str], hashes: Mapping[str, str], pictures: int) -> Json:
    channels, height, width = metadata.input.shape
    tolerance = {"pixels": PIXELS_TOLERANCE, "input": INPUT_TOLERANCE}
    golden = {"file": PICTURES, "number": pictures, "tolerance_of_255": tolerance}
    models = {
        MODELS[precision]: asdict(measured) | {"precision": precision, "golden_tolerance": TOLERANCES[precision]}
        for precision, measured in metadata.delivered.items()
    }
    return {
        "schema": SCHEMA,
        "default": {"file": MODELS[metadata.default], "reason": metadata.reason},
        "models": models,
        "predicted_ms": list(metadata.predicted_ms),
        "met_budget": metadata.met_budget,
        "measured_on" if metadata.is_measured else "not_measured_on": {
            "device": metadata.device,
            "runtime": metadata.runtime,
            "runtime_version": metadata.runtime_version,
            "threads": metadata.threads,
            "budget_ms": metadata.budget_ms,
            "limits": [dict(limit) for limit in metadata.limits],
            "data": metadata.data,
            "test_images": metadata.test_images,
        },
        "input": {
            "name": "input",
            "shape": [1, channels, height, width],
            "layout": "NCHW",
            "dtype": "float32",
            "channels": {1: "grey", 3: "RGB"}.get(channels, "as in the data"),
            "steps": metadata.input.words() if metadata.input.rounds else OF_ARRAYS,
            STEPS: metadata.input.to_json(),
            "resize": {"height": height, "width": width, "interpolation": "bilinear", "antialias": True},
            "range": [0, 1],
            "normalisation": {"mean": list(metadata.input.mean), "std": list(metadata.input.std)},
        },
        **({"pictures": golden} if pictures else {}),
        "output": {
            "name": OUTPUT,
            "shape": [1, len(labels)],
            "dtype": "float32",
            "meaning": "logits, one per label; softmax makes them shares",
        },
        "labels": list(labels),
        "network": dict(metadata.network),
        "sha256": dict(hashes),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def verify_bundle(folder: Path) -> list[str]:
    """Return what is wrong with a bundle, one line each: nothing if hashes and golden outputs are the manifest's.

    No model is loaded before all hashes agree.
    """
    try:
        manifest = parsed_object((folder / MANIFEST).read_bytes())
        hashes = {str(name): str(expected) for name, expected in manifest["sha256"].items()}
        tolerances = {str(name): float(model["golden_tolerance"]) for name, model in manifest["models"].items()}
        needed = {GOLDEN, str(manifest["default"]["file"]), *tolerances}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return [f"{MANIFEST}: missing, or not the manifest of a bundle"]
    problems = [f"{name}: the manifest has no hash for it" for name in sorted(needed - hashes.keys())]
    problems += [problem for name, expected in hashes.items() if (problem := _hash_problem(folder, name, expected))]
    if problems:
        return problems
    checks = [(name, _golden_problem(folder, GOLDEN, name, tolerance)) for name, tolerance in tolerances.items()]
    if PICTURES in hashes:
        checks.append((PICTURES, _picture_problem(folder, manifest)))
        checks += [(name, _golden_problem(folder, PICTURES, name, tolerance)) for name, tolerance in tolerances.items()]
    return [f"{name}: {problem}" for name, problem in checks if problem]


def _hash_problem(folder: Path, name: str, expected: str) -> str | None:
    # A manifest that somebody else wrote may name a path out of the folder.
    if Path(name).name != name:
        return f"{name!r}: not a file of the bundle"
    try:
        found = _sha256((folder / name).read_bytes())
    except OSError as error:
        return f"{name}: {error.strerror}"
    return None if found == expected else f"{name}: altered, its SHA-256 is not the manifest's"


def _picture_problem(folder: Path, manifest: Mapping[str, Any]) -> str | None:
    try:
        return differing_stage(read_npz(folder / PICTURES), read_steps(manifest["input"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"no golden pictures to compare ({error})"


def _golden_problem(folder: Path, file: str, name: str, tolerance: float) -> str | None:
    """Return what is wrong with the outputs of model `name` for the inputs in `file`."""
    try:
        golden = read_npz(folder / file)
        inputs, expected = golden["input"], golden[GOLDEN_OUTPUTS[name]]
        found = outputs((folder / name).read_bytes(), inputs)
    except (EdgeNASError, OSError, ValueError, KeyError) as error:
        return f"no golden output to compare ({error})"
    if found.shape != expected.shape:
        return f"gives {found.shape}, its golden output is {expected.shape}"
    difference = float(np.abs(found - expected).max())
    limit = tolerance * max(1.0, float(np.abs(expected).max()))
    if difference <= limit:
        return None
    return f"{difference:.2g} off its golden output in {file}, at most {limit:.2g} is right"
