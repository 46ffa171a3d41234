"""The bundle of the chosen finalist: what is known of it, golden inputs, and golden pictures."""

from __future__ import annotations

import numpy as np

from edgenas.data.base import Data
from edgenas.data.view import View
from edgenas.errors import ExportError
from edgenas.exporters.bundle import verify_bundle, write_bundle
from edgenas.exporters.golden_pictures import drawn, reduced
from edgenas.exporters.input_steps import InputSteps
from edgenas.exporters.metadata import Measured, ModelMetadata
from edgenas.graph.ops import Shape
from edgenas.system import plugins
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Figure, TestReport
from edgenas.workflows.stages.deliver import Chosen, limits
from edgenas.workflows.stages.files import finalist_files, inputs, logits
from edgenas.workflows.task import Priced

GOLDEN_IMAGES = 16  # validation images in the bundle, with the logits that the model must give for them
OWN_PICTURES = 4  # of the validation split, as files in the bundle: a bundle is shipped, and pictures are private


def bundle(chosen: Chosen, tested: TestReport, ctx: Context) -> None:
    """Write the bundle into the run folder, and check it as whoever receives it will.

    Raises:
        ExportError: a file is not what was written, or a model gives other outputs than its golden ones.
    """
    priced, finalist, number = chosen.priced, chosen.finalist, chosen.number
    data, space, device = priced.data, priced.space, priced.task.device
    network, accuracies = finalist.network, tested.of(number)
    model, int8 = finalist_files(ctx.folder.path, number)
    golden = inputs(data.validation, GOLDEN_IMAGES, network)
    steps = input_steps(data, network.graph.input.shape)
    images = levels(golden, steps) if steps.rounds else data.validation.images(np.arange(len(golden)))
    figures = chosen.verdict.figures
    latency, low, high, *_ = priced.costs
    prediction = priced.problem.preview([finalist.arch])[0]
    metadata = ModelMetadata(
        input=steps,
        default=chosen.verdict.default,
        reason=chosen.verdict.reason or "it is the only one",
        fp32=_measured(figures["fp32"], accuracies.onnx_test_accuracy),
        int8=_measured(figures["int8"], accuracies.int8_test_accuracy) if "int8" in figures else None,
        budget_ms=priced.task.budget_ms,
        limits=limits(priced, prediction, number, ctx),
        predicted_ms=(prediction[latency.metric], prediction[low.metric], prediction[high.metric]),
        device=device.name,
        runtime=device.runtime,
        runtime_version=_runtime_version(priced),
        threads=figures["fp32"].threads or device.threads,  # as measured: more than there are cores are capped
        data=data.name,
        test_images=tested.images,
        met_budget=chosen.verdict.met,
        by_class=accuracies.by_class[chosen.verdict.default],
        network={"space": space.name, "arch": space.code(finalist.arch), **space.values(finalist.arch)},
    )
    write_bundle(
        ctx.folder.path,
        model=model,
        int8=int8,
        metadata=metadata,
        labels=data.classes,
        golden_images=images,
        golden_inputs=golden,
        golden_outputs=logits(network, golden),
        pictures=golden_files(data, steps),
    )
    if problems := verify_bundle(ctx.folder.path):
        raise ExportError(f"{ctx.folder.path}: the bundle is not to be delivered: {problems[0]}; go on with --resume")


def input_steps(data: Data, shape: Shape) -> InputSteps:
    """Return how pictures of a data set become a network's input.

    Images that lie in arrays are resized in floats, whatever their shape, as `preprocess` does.

    Args:
        data: the data set.
        shape: of the input, (C, H, W).
    """
    (picture,) = data.validation.pictures([0])
    if picture.file is not None:
        return InputSteps(shape, data.mean, data.std, data.view)
    _, height, width = data.shape
    return InputSteps(shape, data.mean, data.std, View("crop" if height == width else "squash"), rounds=False)


def golden_files(data: Data, steps: InputSteps) -> list[bytes]:
    """Return files of golden pictures: drawn ones, and a few of the validation split; none where no file is a picture.

    Args:
        data: the data set.
        steps: of the model.
    """
    if not steps.takes_pictures:
        return []
    found = data.validation.pictures(np.arange(min(OWN_PICTURES, len(data.validation))))
    own = [reduced(picture.pixels, is_photo=picture.file is not None) for picture in found]
    return [*drawn(steps.view.white), *own]


def levels(inputs: np.ndarray, steps: InputSteps) -> np.ndarray:
    """Return the squares uint8 (n, C, H, W) that inputs were made of, which is exact where those were rounded."""
    mean, std = (np.reshape(values, (-1, 1, 1)) for values in (steps.mean, steps.std))
    squares: np.ndarray = np.rint((inputs * std + mean) * 255).astype(np.uint8)
    return squares


def _measured(figure: Figure, accuracy: float | None) -> Measured:
    return Measured(figure.ms, figure.p90_ms, figure.repeat_error, float(accuracy or 0.0), figure.clean)


def _runtime_version(priced: Priced) -> str:
    """The version of the runtime here, or that which the device's table was measured with."""
    device = priced.task.device
    if not device.is_here:
        return priced.table.header["version"]
    return str(plugins.load("runtimes", device.runtime).version())
