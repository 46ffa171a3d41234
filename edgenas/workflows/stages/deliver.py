"""From trained finalists to a bundle: export, quantise, measure in a fresh process, open the test split once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.base import Split, preprocess
from edgenas.devices.this_host import SLOWED, TRIES
from edgenas.errors import ExportError
from edgenas.exporters.bundle import write_bundle
from edgenas.exporters.metadata import Facts, Measured, Precision
from edgenas.exporters.onnx import to_bytes, to_onnx
from edgenas.exporters.parity import check, check_private
from edgenas.exporters.quantize import collapse, quantize
from edgenas.exporters.session import outputs
from edgenas.graph.graph import Arch
from edgenas.nn.auxiliary import network_state
from edgenas.nn.network import Network
from edgenas.runtimes.bench import Bench, bench_in_fresh_process, met
from edgenas.runtimes.host import needs_reduce_range
from edgenas.system import plugins
from edgenas.system.checkpoint import load
from edgenas.system.run_folder import write_atomically
from edgenas.training.train import evaluate
from edgenas.workflows.run import MB, Run
from edgenas.workflows.stages.finalists import Finalist

CHECKED_IMAGES, CALIBRATION_IMAGES, GOLDEN_IMAGES = 256, 128, 16
INT8_MAY_LOSE = 0.005  # of validation accuracy, to be the default model
BENCH_SECONDS = 3.0
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
NOT_TIMED = {"ms": None, "p90_ms": None, "repeat_error": None, "threads": None}


def export(run: Run, network: Network, number: int, *, dynamic_batch: bool = False) -> bytes:
    """Finalist `number` as ONNX, checked against PyTorch on real images.

    Raises:
        ExportError: it differs, or tells about this machine; the file is kept as `.rejected`.
    """
    model = to_bytes(to_onnx(network.graph, network.folded(), batch=None if dynamic_batch else 1))
    try:
        check(model, lambda x: _logits(network, x), _inputs(run, run.data.validation, CHECKED_IMAGES, network))
        check_private(model)
    except ExportError:
        write_atomically(run.folder.path / f"finalist-{number}.onnx.rejected", model)
        raise
    return model


def export_trained(run: Run, arch: Arch, number: int, dynamic_batch: bool) -> bytes:
    """A finalist of a run that is over, from its checkpoint."""
    network = Network(run.space.graph(arch))
    network.load_state_dict(network_state(load(run.folder.path / f"finalist-{number}.pt")["module"]))
    return export(run, network.eval(), number, dynamic_batch=dynamic_batch)


def quantised(run: Run, finalist: Finalist, model: bytes) -> tuple[bytes | None, str]:
    """The int8 twin, or None and the reason why there is none."""
    if not run.config.int8:
        return None, "int8 was not asked for"
    images = _inputs(run, run.data.train, CALIBRATION_IMAGES, finalist.network)
    try:
        int8 = quantize(model, (image[None] for image in images), reduce_range=needs_reduce_range())
        check_private(int8)
    except ExportError as error:
        return None, str(error)
    probe = _inputs(run, run.data.validation, CHECKED_IMAGES, finalist.network)
    reason = collapse(outputs(model, probe), outputs(int8, probe))
    return (None, reason) if reason else (int8, "")


def exported(run: Run, finalist: Finalist, number: int) -> dict[str, Any]:
    """Write `finalist-N.onnx` and, if it is of use, `finalist-N.int8.onnx`; their sizes and accuracies."""
    model = export(run, finalist.network, number)
    int8, reason = quantised(run, finalist, model)
    write_atomically(model_path(run.folder.path, number, "fp32"), model)
    accuracy = None
    if int8 is not None:
        write_atomically(model_path(run.folder.path, number, "int8"), int8)
        accuracy = _onnx_accuracy(run, int8, run.data.validation, finalist.network)
    return {
        "accuracy": {"fp32": finalist.scores.accuracy, "int8": accuracy},
        "file_bytes": {"fp32": len(model), "int8": int8 and len(int8)},
        "reason": reason,
    }


def model_path(folder: Path, number: int, precision: Precision) -> Path:
    """Where finalist `number` is kept."""
    return folder / f"finalist-{number}{'.int8' * (precision == 'int8')}.onnx"


def measure(run: Run, number: int) -> dict[str, dict[str, Any]]:
    """Timings of a finalist's files by precision, in a fresh process on this machine."""
    paths = {p: path for p in PRECISIONS if (path := model_path(run.folder.path, number, p)).exists()}
    return {p: asdict(timing) for p, timing in zip(paths, _timed(run, list(paths.values())), strict=True)}


def judged(run: Run, exported: Mapping[str, Any], timings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Whether a finalist meets the budget, in the precision that this is for, and which file is the default.

    `met` is None where there are no timings; the fields of a timing then are None too. A file that is larger than the
    limit misses the budget whatever its timings, and `too_large` is its bytes.
    """
    accuracy, budget_ms = exported["accuracy"], run.config.budget_ms
    assert budget_ms is not None
    rows: dict[str, dict[str, Any]] = {
        p: {**NOT_TIMED, **timings.get(p, {})} for p in PRECISIONS if accuracy[p] is not None
    }
    most_bytes = np.inf if run.config.max_file_mb is None else MB * run.config.max_file_mb
    fits = {p: exported["file_bytes"][p] <= most_bytes for p in rows}
    value: dict[str, Any] = {"int8": None, **rows, "met": False, "too_large": None}
    value |= {"default": run.precision, "reason": exported["reason"]}
    if run.precision in rows:
        row = rows[run.precision]
        value["met"] = None if row["ms"] is None else met(row["ms"], row["repeat_error"], budget_ms)
        if not fits[run.precision]:
            value |= {"met": False, "too_large": exported["file_bytes"][run.precision]}
    if run.precision == "int8":
        value["reason"] = exported["reason"] or "the budget is for int8"
    elif "int8" in rows and "int8" in timings:
        fp32, int8 = rows["fp32"], rows["int8"]
        lost = accuracy["fp32"] - accuracy["int8"]
        faster = int8["ms"] * (1 + int8["repeat_error"]) < fp32["ms"]
        is_met = met(int8["ms"], int8["repeat_error"], budget_ms)
        is_better = faster and lost <= INT8_MAY_LOSE and is_met and fits["int8"]
        value["default"] = "int8" if is_better else "fp32"
        value["reason"] = (
            f"int8 is {fp32['ms'] / int8['ms']:.2f} times as fast as fp32 and its validation accuracy "
            f"{-100 * lost:+.2f} points"
        )
    elif "int8" in rows:
        value["reason"] = "it is what the budget is for; how fast int8 is there was not measured"
    return value


def _timed(run: Run, paths: list[Path]) -> list[Bench]:
    """Timings of files in a fresh process; taken again while the reference says that a neighbour has the machine."""
    found = []
    for _ in range(TRIES):
        timings = bench_in_fresh_process(
            paths, threads=run.config.threads, runtime=run.config.runtime, seconds=BENCH_SECONDS, progress=run.tell
        )
        found.append(timings)
        if timings[0].reference_ms <= SLOWED * run.table.reference_ms:
            return timings
    return min(found, key=lambda timings: timings[0].reference_ms)


def test(run: Run, finalists: Mapping[int, Finalist]) -> dict[str, Any]:
    """Open the test split, once, for these finalists and their int8 twins."""
    split = run.data.test()
    rows = {}
    for number, finalist in finalists.items():
        network = finalist.network
        batches = split.batches(256, size=network.graph.input.shape[1])
        model, int8 = _files(run, number)
        rows[str(number)] = {
            "test_accuracy": evaluate(network, batches).accuracy,
            "onnx_test_accuracy": _onnx_accuracy(run, model, split, network),
            "int8_test_accuracy": None if int8 is None else _onnx_accuracy(run, int8, split, network),
        }
    return {"images": len(split), "test_reads": run.data.test_reads, "finalists": rows}


def limits(run: Run, metrics: Mapping[str, float], number: int) -> list[dict[str, Any]]:
    """Each limit beside the latency on the run's device, and what the delivered network uses of it.

    A latency is predicted, with its interval; a file's size is that of the file in the precision of the budget.
    """
    rows = []
    for limit in run.limits[1:]:
        row: dict[str, Any] = {"metric": limit.metric, "allowed": limit.bound, "used": metrics[limit.metric]}
        if limit.metric == "file_bytes":
            row["used"] = model_path(run.folder.path, number, run.precision).stat().st_size
        if limit.metric.startswith("latency_high_ms@"):
            name = limit.metric.partition("@")[2]
            low, row["used"] = (metrics[f"{metric}@{name}"] for metric in ("latency_low_ms", "latency_ms"))
            row |= {"metric": f"latency_ms@{name}", "low": low, "high": metrics[limit.metric]}
        rows.append(row)
    return rows


def bundle(
    run: Run, finalist: Finalist, number: int, judged: Mapping[str, Any], test_images: int, tested: Mapping[str, Any]
) -> None:
    """Write the bundle into the run folder."""
    network = finalist.network
    model, int8 = _files(run, number)
    images = run.data.validation.images(np.arange(min(GOLDEN_IMAGES, len(run.data.validation))))
    golden = _preprocessed(run, images, network)
    fp32, twin = judged["fp32"], judged["int8"]
    latency, low, high, *_ = run.costs
    prediction = run.problem.preview([finalist.arch])[0]
    assert run.config.budget_ms is not None
    facts = Facts(
        shape=network.graph.input.shape,
        mean=run.data.mean,
        std=run.data.std,
        default=judged["default"],
        reason=judged["reason"] or "it is the only one",
        fp32=Measured(fp32["ms"], fp32["p90_ms"], fp32["repeat_error"], tested["onnx_test_accuracy"]),
        int8=twin and Measured(twin["ms"], twin["p90_ms"], twin["repeat_error"], tested["int8_test_accuracy"]),
        budget_ms=run.config.budget_ms,
        limits=limits(run, prediction, number),
        predicted_ms=(prediction[latency.metric], prediction[low.metric], prediction[high.metric]),
        device=run.device,
        runtime=run.config.runtime,
        runtime_version=_runtime_version(run),
        threads=fp32["threads"] or run.config.threads,
        data=run.data.name,
        test_images=test_images,
        network={"space": run.space.name, "arch": run.space.code(finalist.arch), **run.space.values(finalist.arch)},
    )
    write_bundle(
        run.folder.path,
        model=model,
        int8=int8,
        facts=facts,
        labels=run.data.classes,
        golden_images=images,
        golden_inputs=golden,
        golden_outputs=_logits(network, golden),
    )


def _runtime_version(run: Run) -> str:
    """Of the runtime here, or that which the device's table was measured with."""
    return str(plugins.load("runtimes", run.config.runtime).version() if run.is_here else run.table.header["version"])


def _files(run: Run, number: int) -> tuple[bytes, bytes | None]:
    """The exported finalist and its int8 twin."""
    int8 = model_path(run.folder.path, number, "int8")
    model = model_path(run.folder.path, number, "fp32").read_bytes()
    return model, int8.read_bytes() if int8.exists() else None


def _inputs(run: Run, split: Split, count: int, network: Network) -> np.ndarray:
    """The first `count` images of a split, preprocessed for the network: (count, C, H, W) float32."""
    return _preprocessed(run, split.images(np.arange(min(count, len(split)))), network)


def _preprocessed(run: Run, images: np.ndarray, network: Network) -> np.ndarray:
    x = preprocess(images, network.graph.input.shape[1], run.data.mean, run.data.std)
    return np.ascontiguousarray(x.numpy())


def _logits(network: Network, x: np.ndarray) -> np.ndarray:
    import torch

    network.eval()
    with torch.no_grad():
        device = next(network.parameters()).device
        logits: np.ndarray = network(torch.from_numpy(x).to(device)).float().cpu().numpy()
    return logits


def _onnx_accuracy(run: Run, model: bytes, split: Split, network: Network) -> float:
    """Top-1 accuracy of the file itself, in the runtime, on a whole split."""
    correct = 0
    for x, y in _batches(split, network):
        correct += int((outputs(model, x).argmax(1) == y).sum())
    return correct / len(split)


def _batches(split: Split, network: Network) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for x, y in split.batches(256, size=network.graph.input.shape[1]):
        yield np.ascontiguousarray(x.cpu().numpy()), y.cpu().numpy()
