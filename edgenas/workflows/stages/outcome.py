"""What a run says in the end: the result and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from edgenas.exploration.study import Study
from edgenas.exporters.metadata import MODELS
from edgenas.graph.graph import Arch
from edgenas.system import distributed
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.context import Context
from edgenas.workflows.result import Result
from edgenas.workflows.stages.artefacts import Bounds, Report, TestReport
from edgenas.workflows.stages.bundle import bundle
from edgenas.workflows.stages.controls import trained_controls
from edgenas.workflows.stages.deliver import Chosen, limits, test
from edgenas.workflows.stages.finalists import Finalist
from edgenas.workflows.stages.front import front_with, volume
from edgenas.workflows.stages.notes import notes_of
from edgenas.workflows.task import Priced

Row = dict[str, Any]  # of the front: metrics by name, and the code


def finish(chosen: Chosen, trained: Sequence[Finalist], study: Study, ctx: Context) -> Result:
    """Open the test split, write the bundle and the result, and return this.

    Args:
        chosen: what is delivered.
        trained: all finalists, by number.
        study: with the trials of the search.
        ctx: with the folder.
    """
    priced, folder = chosen.priced, ctx.folder
    with ctx.stage("bundle", "test and bundle"):
        # The test split is opened once. What another device measures may choose another finalist later, so that all of
        # them are tested now.
        opened = {chosen.number: chosen.finalist} if priced.task.device.is_here else dict(enumerate(trained))
        tested = folder.artefact("test", TestReport, partial(test, priced, opened, ctx), again=True)
        distributed.first(partial(bundle, chosen, tested, ctx))
        bounds = read_artefact(folder.path, "bounds", Bounds)
        front, delivered = front_of(chosen, study)
        folder.artefact("report", Report, partial(report, chosen, bounds, tested, front), again=True)
        found = folder.artefact(
            "result",
            Result,
            partial(result, chosen, trained, study, bounds, tested, front, delivered, ctx),
            again=True,
        )
    return found.at(folder.path)


def front_of(chosen: Chosen, study: Study) -> tuple[list[Row], Row | None]:
    """Return the front that is shown, and the row of the delivered network, if its score compares.

    A finalist that was no trial but grown from one joins the front, if none of it is better in all.
    """
    priced, finalist = chosen.priced, chosen.finalist
    points = [_point(chosen.searched, trial.arch, trial.metrics) for trial in study.front()]
    delivered = next((point for point in points if point["arch"] == finalist.code), None)
    if delivered is None and chosen.searched is priced:  # another network has no score that compares
        # By the evaluator, as the trials, and not by its own training: points of the front must compare.
        row = next(row for row in chosen.selection.candidates if row.arch == finalist.code)
        delivered = _point(priced, finalist.arch, priced.problem.preview([finalist.arch])[0] | row.scores)
    return front_with(points, delivered, study.objective), delivered


def report(chosen: Chosen, bounds: Bounds, tested: TestReport, front: Sequence[Row]) -> Report:
    """Return what is to be noted beside the result, and how many images it stands on."""
    classes = tested.of(chosen.number).by_class[chosen.verdict.default]
    notes = [*classes.warnings(chosen.priced.task.data.classes), *notes_of(chosen, bounds, front)]
    return Report(tuple(notes), {"validation": chosen.finalist.scores.images, "test": tested.images})


def result(
    chosen: Chosen,
    trained: Sequence[Finalist],
    study: Study,
    bounds: Bounds,
    tested: TestReport,
    front: list[Row],
    delivered: Row | None,
    ctx: Context,
) -> Result:
    """Return the result."""
    priced, finalist = chosen.priced, chosen.finalist
    config, task, space, arch = priced.config, priced.task, priced.space, finalist.arch
    latency, low, high, macs, params, peak = priced.costs
    metrics = priced.problem.preview([arch])[0]
    verdict, accuracies = chosen.verdict, tested.of(chosen.number)
    figure, int8 = verdict.figures[task.device.precision], verdict.figures.get("int8")
    file, classes = MODELS[verdict.default], accuracies.by_class[verdict.default]
    return Result(
        met_budget=verdict.met,
        budget_ms=task.budget_ms,
        device=task.device.name,
        runtime=task.device.runtime,
        threads=figure.threads or task.device.threads,
        precision=task.device.precision,
        predicted_ms=metrics[latency.metric],
        predicted_low_ms=metrics[low.metric],
        predicted_high_ms=metrics[high.metric],
        measured_ms=figure.ms,
        measured_p90_ms=figure.p90_ms,
        repeat_error=figure.repeat_error,
        largest_ms=bounds.largest_ms,
        smallest_ms=bounds.smallest_ms,
        validation_accuracy=finalist.scores.accuracy,
        test_accuracy=accuracies.test_accuracy,
        onnx_test_accuracy=accuracies.onnx_test_accuracy,
        int8_test_accuracy=accuracies.int8_test_accuracy,
        int8_measured_ms=None if int8 is None else int8.ms,
        macs=int(metrics[macs.metric]),
        params=int(metrics[params.metric]),
        peak_bytes=int(metrics[peak.metric]),
        file_bytes=(ctx.folder.path / file).stat().st_size,
        limits=limits(priced, metrics, chosen.number, ctx),
        space=space.name,
        arch=space.code(arch),
        genotype=published if (published := space.published(arch)) != space.code(arch) else None,
        choices=space.values(arch),
        strategy=config.strategy,
        evaluator=str(config.evaluator),
        data=config.data,
        seed=config.seed,
        trials=len(study.trials),
        feasible_trials=sum(trial.feasible for trial in study.trials),
        **volume(study)._asdict(),
        test_reads=tested.test_reads,
        seconds=dict(ctx.folder.seconds),
        file=file,
        bundle=".",  # no file in the folder names its path, so it can be moved; `Result.at` fills it in
        front=front,
        source=task.inherited.name if task.inherited else None,
        balanced_accuracy=classes.balanced_accuracy,
        recall=dict(zip(task.data.classes, classes.recall, strict=True)),
        confusion=None if classes.confusion is None else [list(row) for row in classes.confusion],
        measurement=None if figure.ms is None else "unclean" if verdict.met is None else "clean",
        delivered=delivered,
        controls=trained_controls(chosen.selection, trained),
    )


def _point(priced: Priced, arch: Arch, metrics: Mapping[str, float]) -> Row:
    """A row of the front, with every metric that is limited."""
    objective = priced.problem.objective
    names = dict.fromkeys(("accuracy", objective.quality, "macs", "params", *objective.budgets))
    shown = {name: metrics[name] for name in names}
    return {"latency_ms": metrics[priced.costs.latency.metric], **shown, "arch": priced.space.code(arch)}
