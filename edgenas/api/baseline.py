"""What trained networks take as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenas.api.arguments import settings_of
from edgenas.errors import UsageError
from edgenas.system.progress import make_reporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import resolve

if TYPE_CHECKING:
    from edgenas.workflows.whole_networks import Baselines


def baseline(
    data: str | os.PathLike[str] | None = None,
    budget_ms: float | Mapping[str, float] | None = None,
    *,
    train: bool = False,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    fit: str | None = None,
    flip: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int | None = None,
    download: bool | None = None,
    device: str | None = None,
    precision: str | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    wait_minutes: float | None = None,
    seed: int | None = None,
    train_device: str | None = None,
    validation_share: float | None = None,
    strict: bool | None = None,
    final_epochs: int | None = None,
    int8: bool | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool | None = None,
    progress: bool = False,
) -> Baselines:
    """Return what each trained network takes at each resolution, and whether it fits a budget as it is.

    What is None is decided as by `edgenas baseline`, whose flags have the same names.

    Args:
        data: folder of images or name of a data set, as of `search`; without `train` only its classes are looked at.
        budget_ms: as of `search`.
        train: also fine-tune the best of those that fit; `result` is what a search would return.
        pretrained, weights: the only network to look at, as of `search`; default: all that are known.
        data_root: folder or file of the data set, where `data` is a name.
        image_size: largest side in pixels; default: the network's own.
        fit, flip, cache, cache_size: how photos are read, as of `search`.
        download: allow weights and data to be downloaded.
        device: device, by its latency table; default: this machine, where what is near the budget is measured.
        precision, runtime, threads: conditions.
        wait_minutes: minutes that a measurement waits for gaps on a busy machine.
        seed: seed of everything random.
        train_device, validation_share, strict, final_epochs, int8, output, resume: of the run that `train` makes, as
            of `search`.
        progress: whether stderr shows what is under way.

    Raises:
        UsageError: there is no budget or no network, or a setting of a run is given without `train`.
        BudgetError: with `train`, no network whose weights are here fits.
        EdgeNASError: see errors.py.

    >>> import edgenas
    >>> found = edgenas.baseline(budget_ms=2, pretrained="torchvision:mobilenet_v2", device="amd-epyc-zen4")
    >>> [row.resolution for row in found.rows if row.fits] == [row.resolution for row in found.rows if row.high_ms <= 2]
    True
    """
    named, given = settings_of(locals(), "train")  # while `locals` holds the arguments alone
    from edgenas.workflows.baseline import baseline as run
    from edgenas.workflows.baseline_train import refuse_without_training, train_baseline
    from edgenas.workflows.whole_networks import Baselines

    if given.data is not None:
        raise UsageError("data: give the folder of the images, or a name; `edgenas.search` takes objects")
    reporter = make_reporter(quiet=not progress)
    if not train:
        refuse_without_training(named)
        return Baselines(tuple(run(resolve(named), reporter)))
    configure_threads()
    config = resolve(named)
    rows = () if config.resume else tuple(run(config, reporter))
    return Baselines(rows, train_baseline(config, rows, reporter))
