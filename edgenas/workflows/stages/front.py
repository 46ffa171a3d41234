"""The Pareto front that a run shows, and what its trials dominate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from edgenas.exploration.objective import Objective
from edgenas.exploration.pareto import hypervolume, non_dominated
from edgenas.exploration.study import Study
from edgenas.system.metric import Metric

Point = TypeVar("Point", bound=Mapping[str, Any])


class Volume(NamedTuple):
    """What the feasible trials dominate, as a share of the box from `reference_point` to quality 1 at no cost."""

    hypervolume: float
    reference_point: dict[str, float]


def front_with(points: Sequence[Point], delivered: Point | None, objective: Objective) -> list[Point]:
    """Return the points that none beats in quality and every limited metric, the best quality first.

    Args:
        points: a Pareto front.
        delivered: one more point, or one of these; None adds none.
        objective: says which metrics count.
    """
    every = [*points, *([] if delivered is None or delivered in points else [delivered])]
    costs = [[-p[objective.quality], *(p[metric] for metric in objective.budgets)] for p in every]
    kept = [point for point, is_kept in zip(every, non_dominated(costs), strict=True) if is_kept]
    return sorted(kept, key=lambda point: -point[objective.quality])  # equal ones keep their order


def volume(study: Study) -> Volume:
    """Return the hypervolume of the feasible trials in quality and the budgeted metrics, bounded by the worst of each.

    It is a share of the box from there to quality 1 at no cost, so runs in other units compare. A metric that is the
    same for all of them is left out; without any other it is 0.
    """
    quality, trials = study.objective.quality, study.candidates()
    # Limits of inherited weights are none that a person has asked for.
    own = [metric for metric in study.objective.budgets if not Metric.parse(metric).trained]
    budgeted = [m for m in own if len({trial.metrics[m] for trial in trials}) > 1]
    if not budgeted:
        return Volume(0.0, {})
    # Quality is negated, as `hypervolume` minimises: its box ends at -1, which is quality 1.
    points = np.array([[-trial.metrics[quality], *(trial.metrics[m] for m in budgeted)] for trial in trials])
    worst = points.max(axis=0)
    box = (1 + worst[0]) * float(np.prod(worst[1:]))
    reference = dict(zip([quality, *budgeted], [-worst[0], *worst[1:]], strict=True))
    return Volume(hypervolume(points, worst) / box if box > 0 else 0.0, {m: float(x) for m, x in reference.items()})
