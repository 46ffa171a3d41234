"""From trained finalists to the one to deliver: choose by what was measured, open the test split once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.errors import BudgetError
from edgenas.exploration.objective import in_words, standard_errors_below
from edgenas.exporters.by_class import ByClass
from edgenas.system import text
from edgenas.system.metric import Metric
from edgenas.system.run_folder import is_kept, read_artefact
from edgenas.training.train import evaluate
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import (
    CONFIRMED,
    Confirmed,
    Exported,
    Figure,
    Folds,
    Measurement,
    Selection,
    TestedFinalist,
    TestReport,
    Verdict,
)
from edgenas.workflows.stages.codes import of_code
from edgenas.workflows.stages.files import (
    export_finalist,
    file_by_class,
    finalist_files,
    finalist_path,
)
from edgenas.workflows.stages.finalists import Finalist
from edgenas.workflows.stages.folds import by_folds, need_folds
from edgenas.workflows.stages.verdict import PRECISIONS, measure, verdict
from edgenas.workflows.task import Priced


@dataclass(frozen=True)
class Chosen:
    """The finalist to deliver, and what is known of it.

    Args:
        number: of the finalist.
        finalist: the trained network.
        selection: the selection that it came from.
        verdict: what was measured of it.
        misses: better finalists that were measured above the budget; all of them if this one is too.
        priced: its own prices: those that it was chosen by, or in the space of a smaller network.
        searched: the prices that it was chosen by, which misses may have changed.
        folds: what decided instead of the validation split, if that is small.
    """

    number: int
    finalist: Finalist
    selection: Selection
    verdict: Verdict
    misses: int
    priced: Priced
    searched: Priced
    folds: Folds | None = None


def decisive_accuracies(
    priced: Priced, finalists: Mapping[int, Finalist], attempt: int, ctx: Context
) -> tuple[dict[int, float], Folds | None]:
    """Return the accuracies that decide among finalists, by number, and the folds that they are of, if any.

    They are those in the precision of the budget, as int8 loses more of one network's than of another's.

    Args:
        priced: the task, by the present prices.
        finalists: trained, by number.
        attempt: how many selections there were before.
        ctx: with the folder.
    """
    task, precision = priced.task, priced.task.device.precision
    folds = None
    if need_folds(task):
        codes = [finalist.code for finalist in finalists.values()]
        folds = ctx.folder.joint_artefact(f"folds-{attempt}", Folds, partial(by_folds, task, codes, ctx))
    found = {}
    for number, finalist in finalists.items():
        found[number] = folds.accuracy[finalist.code] if folds else finalist.scores.accuracy
        if precision == "int8":
            file = exported(priced, finalist, number, ctx).files.get(precision)
            found[number] = found[number] - finalist.scores.accuracy + file.validation_accuracy if file else 0.0
    return found, folds


def best_first(
    priced: Priced, finalists: Mapping[int, Finalist], accuracy: Mapping[int, float], folds: Folds | None
) -> list[int]:
    """Return the numbers of finalists, the most accurate first.

    Cuts of a teacher, which are all much alike, are seldom told apart by a few hundred images: among those of one
    standard error the mean cross-entropy decides, which tells a right answer that is sure from one that is not.

    Args:
        priced: the task.
        finalists: by number.
        accuracy: and folds, as `decisive_accuracies` gives them.
        folds: what decides, if the validation split is small.
    """
    if priced.task.teacher is None:
        return sorted(accuracy, key=lambda number: -accuracy[number])
    images = folds.images if folds else len(priced.data.validation)
    below = dict(zip(accuracy, standard_errors_below(list(accuracy.values()), images), strict=True))

    def loss(number: int) -> float:
        finalist = finalists[number]
        return folds.loss.get(finalist.code, 0.0) if folds else finalist.scores.loss

    return sorted(accuracy, key=lambda number: (below[number], loss(number), -accuracy[number]))


def exported(priced: Priced, finalist: Finalist, number: int, ctx: Context) -> Exported:
    """Return what exporting finalist `number` gave, exported now if it was not before."""
    with ctx.stage("export", f"export finalist {number + 1}"):
        make = partial(export_finalist, priced.task, finalist, number, ctx.folder.path)

        def files(made: Exported) -> list[Path]:
            return [
                finalist_path(ctx.folder.path, number, precision) for precision in PRECISIONS if precision in made.files
            ]

        return ctx.folder.artefact(f"exported-{number}", Exported, make, again=True, files=files)


def measured(priced: Priced, number: int, ctx: Context, turn: str = "") -> Measurement:
    """Return the latencies of the files of finalist `number`, measured now if they were not before, in this turn."""
    name = f"measured-{number}-{turn}" if turn else f"measured-{number}"
    with ctx.stage("measure", f"measure finalist {number + 1} in a fresh process"):
        return ctx.folder.artefact(name, Measurement, partial(measure, priced, number, ctx), again=True)


def none_met(priced: Priced, missed: Sequence[Verdict], predicted_ms: Sequence[float]) -> BudgetError:
    """Return the error that says by how much all finalists missed, and what was predicted of the closest."""
    if error := _all_too_large(priced, missed):
        return error
    precision = priced.task.device.precision
    figures = [(v.figures[precision], ms) for v, ms in zip(missed, predicted_ms, strict=True) if precision in v.figures]
    if not figures:
        return BudgetError(f"no finalist runs in {precision}: {missed[-1].reason}; search with a table of fp32")
    closest, expected_ms = min(figures, key=lambda pair: pair[0].ms or np.inf)
    return BudgetError(
        f"none of {len(missed)} finalists met {in_words(priced.task.limits[:1])}: the closest was predicted "
        f"{expected_ms:.3f} ms, measured {closest.ms:.3f} ms "
        f"(repeat error {closest.repeat_error:.1%}); raise the budget"
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
    if is_kept(path, CONFIRMED):
        known = read_artefact(path, CONFIRMED, Confirmed).finalists
    verdicts = [verdict(priced.task, files, known.get(str(number), {})) for number, files in enumerate(made)]
    usable = [number for number, files in enumerate(made) if precision in files.files]
    if not usable:
        raise BudgetError(f"no finalist runs in int8: {made[0].reason}; search with the device's table of fp32")
    if error := _all_too_large(priced, [verdicts[number] for number in usable]):
        raise error
    usable = [number for number in usable if not verdicts[number].too_large]
    by_number = dict(enumerate(finalists))
    accuracy, folds = decisive_accuracies(priced, by_number, 0, ctx)
    ranked = [number for number in best_first(priced, by_number, accuracy, folds) if number in usable]
    within = [number for number in ranked if verdicts[number].met is not False]
    number = within[0] if within else min(ranked, key=lambda i: verdicts[i].figures[precision].ms or np.inf)
    misses = ranked.index(number) if within else len(ranked)
    own, _ = of_code(priced, finalists[number].code)
    return Chosen(number, finalists[number], selection, verdicts[number], misses, own, priced, folds)


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
        files = zip(PRECISIONS, finalist_files(ctx.folder.path, number), strict=True)
        classes = len(priced.data.classes)
        found: dict[str, ByClass] = {
            name: file_by_class(file, split, network, classes) for name, file in files if file is not None
        }
        rows[str(number)] = TestedFinalist(
            test_accuracy=evaluate(network, batches).accuracy,
            onnx_test_accuracy=found["fp32"].accuracy,
            int8_test_accuracy=found["int8"].accuracy if "int8" in found else None,
            by_class=found,
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
