"""From a search to a few trained networks: score again, measure, train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from edgenas.devices.this_host import time_graphs
from edgenas.errors import BudgetError
from edgenas.exploration.feasible import grow, networks, repair
from edgenas.exploration.objective import Metrics, in_words
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.latency.table import NetRow
from edgenas.nn.auxiliary import TrainedNetwork
from edgenas.nn.network import Network
from edgenas.runtimes.bench import met
from edgenas.runtimes.timing import MAX_REPEAT_ERROR
from edgenas.system import distributed
from edgenas.training.settings import RECIPES, Settings, batch_size_for, steps_of
from edgenas.training.train import Gradients, Scores, evaluate, regularised, supervised, train
from edgenas.workflows.run import Run

GROWN = 2  # larger variants of each of the best
# Of what stands for weights that were trained to the end. Where it has nearly their accuracy, one pass at three times
# the rate loses two points; where it has `FAR` less, one pass at that rate leaves three to gain.
REFINING_RATE, FAR, FAR_PASSES = 1.5e-3, 0.1, 3
REPAIRED = 8  # of each trained network whose weights are inherited, made to fit
ATTEMPTS = 4  # refits of the correction before giving up
SECONDS_EACH = 1.5
SAFE = 0.1  # of the budget, kept free by a finalist to fall back on where nothing can be measured yet
RESERVE = 0.02  # of the budget: two measurements of one network differ by up to 3 %, and the last one decides


@dataclass(frozen=True)
class Finalist:
    """A trained network on the validation split."""

    arch: Arch
    network: Network
    scores: Scores


def select(run: Run, study: Study, strategy: Strategy, earlier: int, excluded: Set[Arch]) -> dict[str, Any]:
    """Choose the finalists: architectures that were measured to meet the budget, best shared-weight accuracy first.

    Where the device is not this machine, those that the gate lets pass are taken unmeasured, and the last of them
    leaves a tenth of the budget free: a device is not always as fast as when its table was measured.

    Candidates are what the strategy recommends, the best trials, trained networks whose weights are inherited, made to
    fit if need be, and larger variants of these that still fit, all scored again on the final weights and the whole
    validation split. Those that are measured above the budget are recorded as misses and refit the correction; the next
    ones are tried. `earlier` counts the selections before this one, whose finalists all missed and are `excluded`.

    Raises:
        BudgetError: no candidate met the budget.
    """
    wanted = run.config.finalists
    tried: dict[Arch, dict[str, Any]] = {}
    accepted: list[Arch] = []
    for attempt in range(earlier, earlier + ATTEMPTS):
        scores = candidates(run, study, strategy, attempt)
        ranked = [arch for arch in by_rank(run, scores) if arch not in {*tried, *excluded}]
        if not run.is_here:
            ranked = _with_a_safe_one(run, ranked)
        for group in (ranked[i : i + 2 * wanted] for i in range(0, len(ranked), 2 * wanted)):
            rows = _measure(run, group, attempt)
            tried |= {arch: {**row, "accuracy": scores[arch]["accuracy"]} for arch, row in rows.items()}
            accepted += [arch for arch, row in rows.items() if row["met"] is not False]
            if len(accepted) >= wanted:
                break
        if accepted:
            break
        refit(run, {arch: row["measured_ms"] for arch, row in tried.items()})
    if not accepted:
        closest = min(tried.values(), key=lambda row: row["measured_ms"], default=None)
        figures = (
            closest
            and f"; the fastest was predicted {closest['predicted_ms']:.3f}, measured {closest['measured_ms']:.3f} ms"
        )
        raise BudgetError(f"no architecture was found within {in_words(run.limits)}{figures or ''}; raise the budget")
    measured = [{**row, "arch": run.space.code(arch)} for arch, row in tried.items()]
    codes = [run.space.code(arch) for arch in accepted[:wanted]]
    return {"finalists": codes, "measured": measured, "notes": list(strategy.notes)}


def candidates(run: Run, study: Study, strategy: Strategy, attempt: int) -> dict[Arch, Metrics]:
    """Feasible architectures under the present correction, with their final scores; no network twice."""
    wanted = run.config.finalists
    rng = run.rng(f"candidates {attempt}")
    best = [trial.arch for trial in study.best(4 * wanted)]
    trained = run.inherited.finalists if run.inherited else ()
    near = [repair(run.problem, arch, rng) for arch in trained for _ in range(REPAIRED)]
    proposed = [*filter(None, near), *strategy.recommend(study, 2 * wanted), *best]
    if attempt:
        proposed = [arch for arch in (repair(run.problem, a, rng) for a in proposed) if arch is not None]
    proposed = [arch for arch, fits in zip(proposed, run.problem.feasible(proposed), strict=True) if fits]
    proposed += [grow(run.problem, arch, rng) for arch in proposed[:wanted] for _ in range(GROWN)]
    unique = dict(zip(networks(run.space, proposed), proposed, strict=True))
    known = {trial.arch: trial.metrics for trial in study.candidates()} if run.own_weights else {}
    scores = {}
    for i, arch in enumerate(unique.values()):
        scores[arch] = known.get(arch) or run.evaluator.final(arch)
        run.tell(i + 1, len(unique), "scoring again")
    return scores


def by_rank(run: Run, scores: Mapping[Arch, Metrics]) -> list[Arch]:
    """Best accuracy first; among those that the validation split cannot tell apart, the larger network.

    Shared weights favour small networks, which they train more; what fills the budget gains more from its own training.
    So the last of several finalists is the largest network.
    """
    best = max((metrics["accuracy"] for metrics in scores.values()), default=0.0)
    standard_error = max(np.sqrt(best * (1 - best) / len(run.data.validation)), 1e-9)
    macs = dict(zip(scores, run.costs.macs.many(run.space, list(scores)), strict=True))
    ranked = sorted(
        scores, key=lambda arch: (int((best - scores[arch]["accuracy"]) / standard_error), -macs[arch], arch)
    )
    largest = max(ranked, key=lambda arch: macs[arch], default=None)
    return ranked if largest is None else _with_last(ranked, largest, run.config.finalists)


def _with_last(ranked: list[Arch], arch: Arch, finalists: int) -> list[Arch]:
    """The same, with this one as the last of the first `finalists`, if these are several and lack it."""
    last = finalists - 1
    if not last or arch in ranked[: last + 1]:
        return ranked
    others = [a for a in ranked if a != arch]
    return [*others[:last], arch, *others[last:]]


def _with_a_safe_one(run: Run, ranked: list[Arch]) -> list[Arch]:
    """The same, with the first that keeps clear of the budget among the finalists, if there are to be several."""
    assert run.config.budget_ms is not None
    gate_ms = run.costs.gate.many(run.space, ranked)
    safe = [arch for arch, ms in zip(ranked, gate_ms, strict=True) if ms <= (1 - SAFE) * run.config.budget_ms]
    first = set(ranked[: run.config.finalists])
    return ranked if not safe or first & {*safe} else _with_last(ranked, safe[0], run.config.finalists)


def _measure(run: Run, archs: Sequence[Arch], attempt: int) -> dict[Arch, dict[str, Any]]:
    """Time architectures with random weights, in one interleaved run: latency does not depend on the weights.

    What is not measured is None.
    """
    predicted = run.problem.preview(list(archs))
    rows: dict[Arch, dict[str, Any]] = {
        arch: {
            "predicted_ms": metrics[run.costs.latency.metric],
            "measured_ms": None,
            "repeat_error": None,
            "met": None,
        }
        for arch, metrics in zip(archs, predicted, strict=True)
    }
    if not run.is_here:
        return rows
    graphs = {run.space.code(arch): run.space.graph(arch) for arch in archs}
    timings = time_graphs(
        graphs,
        run.config.runtime,
        run.config.threads,
        seconds=SECONDS_EACH * len(graphs),
        rng=run.rng(f"measure {attempt}"),
        precision=run.precision,
        quiet_ms=run.table.reference_ms,
        max_repeat_error=MAX_REPEAT_ERROR,
        progress=run.tell,
    )
    assert run.config.budget_ms is not None
    for arch, row in rows.items():
        t = timings[run.space.code(arch)]
        is_met = met(t.ms * (1 + RESERVE), t.repeat_error, run.config.budget_ms)
        row |= {"measured_ms": t.ms, "repeat_error": t.repeat_error, "met": is_met}
    return rows


def refit(run: Run, measured_ms: Mapping[Arch, float]) -> None:
    """Let the misses teach the correction: they join the networks it is fitted on."""
    nets = [NetRow(run.space.spec, run.space.code(arch), ms, ms, 1) for arch, ms in measured_ms.items()]
    run.set_table(run.table.extended({}, nets))


def final_settings(run: Run) -> Settings:
    """Those of the run's recipe; the quick one is long enough for shared weights to become a network's own."""
    config, images = run.config, len(run.data.train)
    recipe = RECIPES[config.recipe] or Settings(config.seeing(8_000, 6, images), batch_size_for(images))
    return replace(recipe, epochs=config.final_epochs or recipe.epochs, ghost_batch=config.ghost_batch)


def _refining(run: Run, network: Network) -> Settings:
    """`final_settings`, of which less where there is no recipe and the weights come from ones trained to the end."""
    settings, trained = final_settings(run), run.inherited.finalists if run.inherited else {}
    if not trained or RECIPES[run.config.recipe]:
        return settings
    best = next(iter(trained.values()))
    far = _scores(run, best).accuracy - _scores(run, network).accuracy > FAR
    passes = FAR_PASSES if far else 1
    epochs = run.config.final_epochs or run.config.seeing(passes * 8_000, passes, len(run.data.train))
    return replace(settings, epochs=epochs, learning_rate=settings.learning_rate if far else REFINING_RATE)


def train_finalist(run: Run, arch: Arch, number: int) -> Finalist:
    """Train one finalist from the evaluator's weights on the training split, and score it on validation.

    One that was trained to the end in the run whose weights are used is taken as it is, unless epochs are asked for.
    """
    network = run.inherited.finalists.get(arch) if run.inherited and not run.config.final_epochs else None
    if network is None:
        network = run.evaluator.network(arch)
        settings = _refining(run, network)
        module, gradients = _trained(run, network, settings)
        train(
            module,
            gradients,
            run.data.train,
            settings,
            size=network.graph.input.shape[1],
            seed=run.config.seed,
            context=run.surroundings(f"finalist-{number}", {"arch": run.space.code(arch), "epochs": settings.epochs}),
        )
    scores = _scores(run, network)
    network.eval()
    return Finalist(arch, network, scores)


def _scores(run: Run, network: Network) -> Scores:
    """Of a network on the validation split."""
    batches = run.data.validation.batches(256, size=network.graph.input.shape[1])
    return distributed.first(lambda: evaluate(network, batches))


def _trained(run: Run, network: Network, settings: Settings) -> tuple[nn.Module, Gradients]:
    """What is trained: the network, or the network with what only its training has."""
    if not (settings.auxiliary or settings.drop_path):
        return network, supervised(network, settings)
    reads, seed = run.space.auxiliary if settings.auxiliary else None, run.config.seed
    module = TrainedNetwork(network, reads, torch.Generator().manual_seed(seed)).to(run.torch_device)
    return module, regularised(module, settings, steps=steps_of(settings, len(run.data.train)), seed=seed)
