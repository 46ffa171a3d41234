"""A finalist's files: exported, quantised, checked against the network on real images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from edgenas.data.base import Data, Split
from edgenas.errors import ExportError
from edgenas.exporters.by_class import ByClass, by_class
from edgenas.exporters.metadata import Precision
from edgenas.exporters.onnx import to_bytes, to_onnx
from edgenas.exporters.parity import check_parity, check_private
from edgenas.exporters.quantize import collapse, quantize
from edgenas.exporters.session import outputs
from edgenas.nn.network import Network
from edgenas.runtimes.host import needs_reduce_range
from edgenas.system.file_index import State, read_kept, state_of, write_atomically, write_kept
from edgenas.workflows.stages.artefacts import Exported, ExportedFile
from edgenas.workflows.stages.finalists import Finalist
from edgenas.workflows.task import Task

# Validation images on which a file must agree with its network, and training images that set the ranges of int8.
CHECKED_IMAGES, CALIBRATION_IMAGES = 256, 128


def onnx_file(data: Data, network: Network, rejected: Path, *, dynamic_batch: bool = False) -> bytes:
    """Return a network as ONNX, checked against PyTorch on real images.

    Args:
        data: whose validation images it is checked on.
        network: trained.
        rejected: where the file is kept if it fails the check.
        dynamic_batch: whether it takes any number of images at once.

    Raises:
        ExportError: it differs from the network, or tells about this machine.
    """
    model = to_bytes(to_onnx(network.graph, network.folded(), batch=None if dynamic_batch else 1))
    try:
        check_parity(model, lambda x: logits(network, x), inputs(data.validation, CHECKED_IMAGES, network))
        check_private(model)
    except ExportError:
        # Kept for whoever looks into it, under a name that nothing takes for a model.
        write_atomically(rejected, model)
        raise
    return model


def export_finalist(task: Task, finalist: Finalist, number: int, folder: Path) -> Exported:
    """Write `finalist-N.onnx` and, if it is of use, `finalist-N.int8.onnx`; return their sizes and accuracies.

    Args:
        task: with the images.
        finalist: trained.
        number: N.
        folder: of the run.

    Raises:
        ExportError: the file differs from the network; it is kept as `finalist-N.onnx.rejected`.
    """
    path = finalist_path(folder, number, "fp32")
    model = onnx_file(task.data, finalist.network, path.with_name(f"{path.name}.rejected"))
    int8, reason = _quantised(task, finalist, model)
    write_kept(path, model)
    files = {"fp32": ExportedFile(finalist.scores.accuracy, len(model))}
    if int8 is not None:
        write_kept(finalist_path(folder, number, "int8"), int8)
        data = task.data
        accuracy = file_by_class(int8, data.validation, finalist.network, len(data.classes)).accuracy
        files["int8"] = ExportedFile(accuracy, len(int8))
    return Exported(files, reason)


def finalist_path(folder: Path, number: int, precision: Precision) -> Path:
    """Return where a file of finalist `number` is kept."""
    return folder / f"finalist-{number}{'.int8' * (precision == 'int8')}.onnx"


def finalist_files(folder: Path, number: int) -> tuple[bytes, bytes | None]:
    """Return the exported finalist, and its int8 model if there is one."""
    int8 = finalist_path(folder, number, "int8")
    model = read_kept(finalist_path(folder, number, "fp32"))
    return model, None if state_of(int8) is State.NEW else read_kept(int8)


def file_by_class(model: bytes, split: Split, network: Network, classes: int) -> ByClass:
    """Return the figures by class of the file itself, in the runtime, on a whole split.

    Args:
        model: the file.
        split: of at least one image.
        network: that the file was made of.
        classes: how many the data set has.
    """
    return _by_class(lambda x: outputs(model, x), split, network, classes)


def network_by_class(network: Network, split: Split, classes: int) -> ByClass:
    """Return the figures by class of a network, as `file_by_class` does for its file."""
    return _by_class(lambda x: logits(network, x), split, network, classes)


def inputs(split: Split, count: int, network: Network) -> np.ndarray:
    """Return the first `count` images of a split as evaluation shows them to the network: (count, C, H, W) float32."""
    x = split.inputs(np.arange(min(count, len(split))), network.graph.input.shape[1])
    return np.ascontiguousarray(x.cpu().numpy())


def logits(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the logits (n, classes) of the network for inputs (n, C, H, W)."""
    network.eval()
    with torch.no_grad():
        device = next(network.parameters()).device
        found: np.ndarray = network(torch.from_numpy(x).to(device)).float().cpu().numpy()
    return found


def _quantised(task: Task, finalist: Finalist, model: bytes) -> tuple[bytes | None, str]:
    """The int8 model, or None and the reason why there is none."""
    if not task.config.int8:
        return None, "int8 was not asked for"
    data, network = task.data, finalist.network
    # Training images: those of validation judge the result, and may not make it.
    images = inputs(data.train, CALIBRATION_IMAGES, network)
    try:
        # Without VNNI, sums of full 8-bit products saturate; a reduced range loses less than that.
        int8 = quantize(model, (image[None] for image in images), reduce_range=needs_reduce_range())
        check_private(int8)
    except ExportError as error:  # no reason to end a run: fp32 is delivered
        return None, str(error)
    probe = inputs(data.validation, CHECKED_IMAGES, network)
    reason = collapse(outputs(model, probe), outputs(int8, probe))
    return (None, reason) if reason else (int8, "")


def _by_class(run: Callable[[np.ndarray], np.ndarray], split: Split, network: Network, classes: int) -> ByClass:
    found = [(y, run(x).argmax(1)) for x, y in _batches(split, network)]
    true, predicted = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return by_class(true, predicted, classes)


def _batches(split: Split, network: Network) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for x, y in split.batches(256, size=network.graph.input.shape[1]):
        yield np.ascontiguousarray(x.cpu().numpy()), y.cpu().numpy()
