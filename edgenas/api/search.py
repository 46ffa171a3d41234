"""Searches: find, and find again on trained weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.api.arguments import resolved, settings_of
from edgenas.system.progress import make_reporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import resolve

if TYPE_CHECKING:
    from edgenas.workflows.given import DataLike, SpaceLike, StrategyLike
    from edgenas.workflows.result import Result


def search(
    data: DataLike | None = None,
    budget_ms: float | Mapping[str, float] | None = None,
    *,
    space: SpaceLike | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    teacher: str | None = None,
    strategy: StrategyLike | None = None,
    max_params: float | None = None,
    max_memory_mb: float | None = None,
    max_file_mb: float | None = None,
    data_root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    fit: str | None = None,
    flip: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int | None = None,
    preset: str | None = None,
    evaluator: str | None = None,
    options: Mapping[str, str] | None = None,
    scores: str | os.PathLike[str] | None = None,
    scores_name: str | None = None,
    reward: str | None = None,
    seed: int | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool | None = None,
    reuse: str | os.PathLike[str] | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    prune: bool | None = None,
    workers: int | None = None,
    ray: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    runtime: str | None = None,
    wait_minutes: float | None = None,
    train_device: str | None = None,
    shape_choices: int | None = None,
    finalists: int | None = None,
    controls: str | None = None,
    supernet_epochs: int | None = None,
    search_epochs: int | None = None,
    final_epochs: int | None = None,
    recipe: str | None = None,
    ghost_batch: int | None = None,
    scratch_epochs: int | None = None,
    validation_share: float | None = None,
    int8: bool | None = None,
    download: bool | None = None,
    strict: bool | None = None,
    progress: bool = False,
) -> Result:
    """Find, train, measure and bundle a model.

    What is None is decided as by `edgenas search`, whose flags have the same names.

    Args:
        data: a folder with a folder per class, an .npz file, a name from `edgenas list data`, two arrays (images,
            labels), or an `edgenas.Data`.
        budget_ms: latency that the model must meet on this machine, or on `device`, in ms; or budgets by device, of
            which `here` is this machine.
        space: a name, a class of spaces, or a function of shape and number of classes.
        pretrained: trained network that is the space: efficientnet-lite0, torchvision:NAME, timm:NAME, or
            package.module:function of your own.
        weights: file with the weights of a network of your own: safetensors or a state dict.
        teacher: a larger trained network, whose soft labels are learned; default: that of `pretrained`.
        strategy: a name, a class of strategies, or a function of a problem and a generator of random numbers.
        max_params: parameters that the model may have, for example 1e6.
        max_memory_mb: memory for activations, in 10^6 bytes.
        max_file_mb: size of the model's file, in 10^6 bytes.
        data_root: folder or file of the data set, where `data` is a name.
        image_size: side in pixels that images of a folder are resized to.
        fit: how a photo becomes a square: crop (its middle), squash (all of it, distorted) or pad (all of it, between
            grey bars); default: crop, or squash where a crop would hide more than 30 % of the photos.
        flip: mirror photos left to right in training; default: yes, unless classes are named left and right.
        cache: folder for decoded photos, which later runs use too; default: edgenas-cache beside the run folder, or
            ~/.cache/edgenas where that would be among the photos.
        cache_size: short side of decoded photos in pixels; default: 5/3 of the image size.
        preset: known system: its strategy, evaluator and reward, where they are not given.
        evaluator: how architectures are scored: supernet (shared weights), scratch or tabular; default: the strategy's
            own.
        options: values of the strategy's options by name; `edgenas list strategies` shows them.
        scores: npz file of known accuracies, for the evaluator tabular.
        scores_name: which accuracies of that file; default: the only ones.
        reward: reward form: hard, soft, absolute; default: the strategy's.
        seed: seed of everything random.
        output: run folder; default: runs/<date>-<time>.
        resume: go on with the run in `output` where it was interrupted.
        reuse: run folder whose profile, narrowed space and supernet are taken over.
        trials: architectures to try.
        minutes: the whole run ends after about this time: its stages get shares of what is left.
        batch: architectures asked for at a time.
        prune: drop options that no good architecture has, before and during the search.
        workers: trials that run at once on this machine; scratch only.
        ray: Ray cluster to run trials on: host:port, ray://host:port or auto; scratch only.
        device: device, by its latency table in `edgenas list devices`; default: this machine.
        precision: of the model that the budget is for: fp32 or int8; default: that of the device's table, fp32 here.
        threads: threads of the runtime on the device.
        runtime: runtime that the latency is of.
        wait_minutes: minutes that a measurement waits for gaps on a busy machine, all of a run twice as long; then the
            search goes on with a wider interval.
        train_device: where networks are trained: auto, cpu, cuda.
        shape_choices: combinations of shape choices (width, resolution) to keep.
        finalists: architectures that are trained to the end.
        controls: what needed no search and is trained beside them, where cuts of a trained network are searched:
            ladder, all or none.
        supernet_epochs: default: as many as see 6,000 images, at least 2.
        search_epochs: of a strategy that trains weights; default: as many as its number of images takes, at least 4.
        final_epochs: default: as many as see 8,000 images, at least 6; with `specialize` at least 1.
        recipe: training of finalists: quick, 300 or darts600 (epochs).
        ghost_batch: images that batch norm sees at once; with it, one process and several of torchrun train alike;
            default: all that a process has of a batch.
        scratch_epochs: default: as many as see 20,000 images, at least 1.
        validation_share: share of the training images kept for choosing.
        int8: also make and measure an int8 model.
        download: allow the data set to be downloaded.
        strict: stop at the first unreadable image.
        progress: whether stderr shows what is under way.

    Raises:
        UsageError: a setting that does not exist, or a value out of its range.
        DataError: the images cannot be used.
        BudgetError: no network meets the budget.
        EdgeNASError: see errors.py.

    >>> import edgenas, tempfile
    >>> quick = {"space": edgenas.testing.Tiny, "trials": 2, "supernet_epochs": 1, "finalists": 1, "final_epochs": 1}
    >>> folder = tempfile.mkdtemp()
    >>> result = edgenas.search("digits", budget_ms=0.05, device="amd-epyc-zen4", output=folder, **quick)
    >>> result.budget_ms, result.device, result.trials
    (0.05, 'amd-epyc-zen4', 2)
    >>> sorted(path.name for path in result.path.glob("model*.onnx"))[0]
    'model.int8.onnx'
    """
    # First of all, as `locals` must hold the arguments and nothing else. Workflows are imported when they are called:
    # torch comes with this one.
    named, given = settings_of(locals())
    configure_threads()
    from edgenas.workflows.search import search as run

    return run(resolved(named, given), make_reporter(quiet=not progress), given=given)


def specialize(
    run: str | os.PathLike[str],
    budget_ms: float | Mapping[str, float] | None = None,
    *,
    data: DataLike | None = None,
    space: SpaceLike | None = None,
    strategy: StrategyLike | None = None,
    device: str | None = None,
    precision: str | None = None,
    options: Mapping[str, str] | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    prune: bool | None = None,
    max_params: float | None = None,
    max_memory_mb: float | None = None,
    max_file_mb: float | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    wait_minutes: float | None = None,
    finalists: int | None = None,
    controls: str | None = None,
    final_epochs: int | None = None,
    int8: bool | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool | None = None,
    data_root: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    download: bool | None = None,
    train_device: str | None = None,
    progress: bool = False,
) -> Result:
    """Search for another budget, device or precision, on the weights that a search has trained.

    What is None is as it was in that run, or decided as by `edgenas specialize`.

    Args:
        run: folder of the search; it is only read.
        budget_ms: as of `search`.
        data, space: the objects that the search was given, if it was given objects; or where its images are now.
        strategy: as of `search`; one that trains no weights.
        max_params: parameters that the model may have, for example 1e6.
        max_memory_mb: memory for activations, in 10^6 bytes.
        max_file_mb: size of the model's file, in 10^6 bytes.
        data_root: folder or file of the data set, where `data` is a name.
        cache: folder for decoded photos, which later runs use too; default: edgenas-cache beside the run folder, or
            ~/.cache/edgenas where that would be among the photos.
        image_size, pretrained: if given, those of the search.
        weights: where the file of a network of your own is now.
        options: values of the strategy's options by name; `edgenas list strategies` shows them.
        output: run folder; default: runs/<date>-<time>.
        resume: go on with the run in `output` where it was interrupted.
        trials: architectures to try.
        minutes: the whole run ends after about this time: its stages get shares of what is left.
        batch: architectures asked for at a time.
        prune: drop options that no good architecture has, before and during the search.
        device: device, by its latency table in `edgenas list devices`; default: this machine.
        precision: of the model that the budget is for: fp32 or int8; default: that of the device's table, fp32 here.
        threads: threads of the runtime on the device.
        runtime: runtime that the latency is of.
        wait_minutes: minutes that a measurement waits for gaps on a busy machine, all of a run twice as long; then the
            search goes on with a wider interval.
        train_device: where networks are trained: auto, cpu, cuda.
        finalists: architectures that are trained to the end.
        controls: what needed no search and is trained beside them, where cuts of a trained network are searched:
            ladder, all or none.
        final_epochs: default: as many as see 8,000 images, at least 6; with `specialize` at least 1.
        int8: also make and measure an int8 model.
        download: allow the data set to be downloaded.
        progress: whether stderr shows what is under way.

    Raises:
        UsageError: there is no such run, or it shares no weights; a setting that cannot differ from it.
        BudgetError: no network that the weights were trained on meets the budget.
        EdgeNASError: see errors.py.

    >>> import edgenas, tempfile
    >>> quick = {"space": edgenas.testing.Tiny, "trials": 2, "finalists": 1, "final_epochs": 1, "int8": False}
    >>> device, folder = "amd-epyc-zen4", tempfile.mkdtemp()
    >>> first = edgenas.search("digits", budget_ms=0.05, device=device, supernet_epochs=1, output=folder, **quick)
    >>> second = edgenas.specialize(folder, budget_ms=0.02, device=device, output=tempfile.mkdtemp(), **quick)
    >>> second.budget_ms, second.predicted_high_ms <= 0.02
    (0.02, True)
    """
    named, given = settings_of(locals(), "run")  # while `locals` holds the arguments alone
    configure_threads()
    from edgenas.workflows.source_run import settings
    from edgenas.workflows.specialize import specialize as specialise

    source = Path(run)
    for name in ("data", "space"):  # the run itself says their names; objects only stand for them
        if getattr(given, name) is not None:
            named.pop(name)
    config = resolve(named) if resume else settings(source, named)
    return specialise(config, source, make_reporter(quiet=not progress), given=given)
