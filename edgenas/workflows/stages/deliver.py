"""From trained finalists to a bundle: choose by what was measured, open the test split once, write the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edgenas.errors import BudgetError
from edgenas.exploration.objective import in_words
from edgenas.exporters.bundle import write_bundle
from edgenas.exporters.metadata import Measured, ModelMetadata
from edgenas.system import plugins, text
from edgenas.system.metric import Metric
from edgenas.system.run_folder import read_artefact
from edgenas.training.train import evaluate
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import (
    Confirmed,
    Exported,
    Figure,
    Measurement,
    Selection,
    TestedFinalist,
    TestReport,
    Verdict,
)
from edgenas.workflows.stages.files import (
    export_finalist,
    file_accuracy,
    finalist_files,
    finalist_path,
    logits,
    preprocessed,
)
from edgenas.workflows.stages.finalists import Finalist
from edgenas.workflows.stages.verdict import measure, verdict
from edgenas.workflows.task import Priced

CONFIRMED = "confirmed"  # artefact: what a kit measured of the finalists on a device that is not this machine
GOLDEN_IMAGES = 16  # validation images in the bundle, with the logits that the model must give for them


@dataclass(frozen=True)
class Chosen:
    """The finalist to deliver, and what is known of it.

    Args:
        number: of the finalist.
        finalist: the trained network.
        selection: the selection that it came from.
        verdict: what was measured of it.
        misses: more accurate finalists that were measured above the budget; all of them if this one is too.
        priced: the prices that it was chosen by, which misses may have changed.
    """

    number: int
    finalist: Finalist
    selection: Selection
    verdict: Verdict
    misses: int
    priced: Priced


def exported(priced: Priced, finalist: Finalist, number: int, ctx: Context) -> Exported:
    """Return what exporting finalist `number` gave, exported now if it was not before."""
    with ctx.stage("export", f"export finalist {number + 1}"):
        make = partial(export_finalist, priced.task, finalist, number, ctx.folder.path)
        return ctx.folder.artefact(f"exported-{number}", Exported, make)


def measured(priced: Priced, number: int, ctx: Context) -> Measurement:
    """Return the latencies of the files of finalist `number`, measured now if they were not before."""
    with ctx.stage("measure", f"measure finalist {number + 1} in a fresh process"):
        return ctx.folder.artefact(f"measured-{number}", Measurement, partial(measure, priced, number, ctx))


def none_met(priced: Priced, missed: Sequence[Verdict]) -> BudgetError:
    """Return the error that says by how much all finalists missed."""
    if error := _all_too_large(priced, missed):
        return error
    precision = priced.task.device.precision
    figures = [v.figures[precision] for v in missed if precision in v.figures]
    if not figures:
        return BudgetError(f"no finalist runs in {precision}: {missed[-1].reason}; search with a table of fp32")
    closest = min(figures, key=lambda figure: figure.ms or np.inf)
    return BudgetError(
        f"none of {len(missed)} finalists met {in_words(priced.task.limits[:1])}: the closest was measured "
        f"{closest.ms:.3f} ms (repeat error {closest.repeat_error:.1%}); raise the budget"
    )


def choose_unmeasured(priced: Priced, finalists: Sequence[Finalist], selection: Selection, ctx: Context) -> Chosen:
    """Choose for a device whose measurements are to come, or have come into the artefact `confirmed`.

    Of finalists that all missed the fastest is delivered, as a miss.

    Args:
        priced: the prices that the finalists were chosen by.
        finalists: all that were trained, by number.
        selection: the selection that they came from.
        ctx: with the folder.

    Raises:
        BudgetError: the budget is for int8, and no finalist can be quantised; or all their files are too large.
    """
    precision = priced.task.device.precision
    made = [exported(priced, finalist, number, ctx) for number, finalist in enumerate(finalists)]
    path = ctx.folder.path
    # `edgenas ingest --bundle` writes it, and ends the run again by it.
    known: Mapping[str, Mapping[str, Figure]] = {}
    if (path / f"{CONFIRMED}.json").exists():
        known = read_artefact(path, CONFIRMED, Confirmed).finalists
    verdicts = [verdict(priced.task, files, known.get(str(number), {})) for number, files in enumerate(made)]
    usable = [number for number, files in enumerate(made) if precision in files.files]
    if not usable:
        raise BudgetError(f"no finalist runs in int8: {made[0].reason}; search with the device's table of fp32")
    if error := _all_too_large(priced, [verdicts[number] for number in usable]):
        raise error
    usable = [number for number in usable if not verdicts[number].too_large]
    # By the accuracy of the file: in int8 each has lost another part of its network's.
    ranked = sorted(usable, key=lambda i: -made[i].files[precision].validation_accuracy)
    within = [number for number in ranked if verdicts[number].met is not False]
    number = within[0] if within else min(ranked, key=lambda i: verdicts[i].figures[precision].ms or np.inf)
    misses = ranked.index(number) if within else len(ranked)
    return Chosen(number, finalists[number], selection, verdicts[number], misses, priced)


def _all_too_large(priced: Priced, verdicts: Sequence[Verdict]) -> BudgetError | None:
    """The error that every finalist's file is too large, if so."""
    sizes = [v.too_large for v in verdicts if v.too_large]
    if len(sizes) < len(verdicts):
        return None
    return BudgetError(
        f"none of {len(sizes)} finalists has a file of {priced.config.max_file_mb:g} MB or less: the smallest is "
        f"{text.size(min(sizes))}; raise --max-file-mb"
    )


def test(priced: Priced, finalists: Mapping[int, Finalist], ctx: Context) -> TestReport:
    """Open the test split, once, for these finalists and their int8 models."""
    split = priced.data.test()  # counted, and the report tells how often
    rows = {}
    for number, finalist in finalists.items():
        network = finalist.network
        batches = split.batches(256, size=network.graph.input.shape[1])
        model, int8 = finalist_files(ctx.folder.path, number)
        rows[str(number)] = TestedFinalist(
            test_accuracy=evaluate(network, batches).accuracy,
            onnx_test_accuracy=file_accuracy(model, split, network),
            int8_test_accuracy=None if int8 is None else file_accuracy(int8, split, network),
        )
    return TestReport(len(split), priced.data.test_reads, rows)


def limits(priced: Priced, metrics: Mapping[str, float], number: int, ctx: Context) -> list[dict[str, Any]]:
    """Return each limit beside the latency on the run's device, and what the delivered network uses of it.

    A latency is predicted, with its interval; a file's size is that of the file in the precision of the budget.

    Args:
        priced: with the limits.
        metrics: all costs of the delivered network.
        number: of the finalist.
        ctx: with the folder.
    """
    rows = []
    for limit in priced.task.limits[1:]:
        row: dict[str, Any] = {"metric": limit.metric, "allowed": limit.bound, "used": metrics[limit.metric]}
        if limit.metric == "file_bytes":
            row["used"] = finalist_path(ctx.folder.path, number, priced.task.device.precision).stat().st_size
        metric = Metric.parse(limit.metric)
        # Of a latency limit that comes with inherited weights only the high end is among the costs.
        if metric.quantity == "latency_high_ms" and not metric.trained:
            middle, low = (str(Metric(quantity, metric.table)) for quantity in ("latency_ms", "latency_low_ms"))
            row |= {"metric": middle, "used": metrics[middle], "low": metrics[low], "high": metrics[limit.metric]}
        rows.append(row)
    return rows


def bundle(chosen: Chosen, tested: TestReport, ctx: Context) -> None:
    """Write the bundle into the run folder."""
    priced, finalist, number = chosen.priced, chosen.finalist, chosen.number
    data, space, device = priced.data, priced.space, priced.task.device
    network, accuracies = finalist.network, tested.finalists[str(number)]
    model, int8 = finalist_files(ctx.folder.path, number)
    images = data.validation.images(np.arange(min(GOLDEN_IMAGES, len(data.validation))))
    golden = preprocessed(data, images, network)
    figures = chosen.verdict.figures
    latency, low, high, *_ = priced.costs
    prediction = priced.problem.preview([finalist.arch])[0]
    metadata = ModelMetadata(
        shape=network.graph.input.shape,
        mean=data.mean,
        std=data.std,
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
    )


def _measured(figure: Figure, accuracy: float | None) -> Measured:
    return Measured(figure.ms, figure.p90_ms, figure.repeat_error, float(accuracy or 0.0), figure.clean)


def _runtime_version(priced: Priced) -> str:
    """The version of the runtime here, or that which the device's table was measured with."""
    device = priced.task.device
    if not device.is_here:
        return priced.table.header["version"]
    return str(plugins.load("runtimes", device.runtime).version())
