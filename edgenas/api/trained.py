"""What follows a search: rank, train, export, confirm on its device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.api.arguments import beside_run, resolved, settings_of
from edgenas.system.progress import make_reporter
from edgenas.system.threads import configure_threads

if TYPE_CHECKING:
    from edgenas.workflows.given import DataLike, SpaceLike, StrategyLike
    from edgenas.workflows.ranking import Ranking
    from edgenas.workflows.result import Result
    from edgenas.workflows.train import Trained


def ranking(
    run: str | os.PathLike[str],
    *,
    networks: int = 16,
    epochs: int | None = None,
    data: DataLike | None = None,
    space: SpaceLike | None = None,
    data_root: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    download: bool | None = None,
    train_device: str | None = None,
    strategy: StrategyLike | None = None,
    evaluator: str | None = None,
    runtime: str | None = None,
    progress: bool = False,
) -> Ranking:
    """Check how a run's shared weights rank, beside networks that are trained by themselves.

    Args:
        run: folder of a search with shared weights.
        networks: how many, spread over the latencies within the budget.
        epochs: of each network by itself; by default those of the evaluator scratch.
        data, space: the objects that the search was given, if it was given objects; or where its images are now.
        data_root: where the data set is now.
        cache: folder for decoded photos; default: as the run had it.
        image_size, pretrained: if given, those of the search.
        weights: where the file of a network of your own is now.
        download: allow the data set to be downloaded.
        train_device: auto, cpu or cuda.
        strategy, evaluator, runtime: if given, those of the search; ones of your own must be named.
        progress: whether stderr shows what is under way.

    Raises:
        OwnCode: the run is of a plugin of your own that is not named.
        UsageError: the folder holds no run with trained shared weights.
        BudgetError: fewer than three networks are within the budget.

    >>> import edgenas, tempfile
    >>> quick = {"trials": 2, "supernet_epochs": 1, "finalists": 1, "final_epochs": 1, "int8": False}
    >>> space, folder = "edgenas.testing.tiny", tempfile.mkdtemp()
    >>> _ = edgenas.search("digits", budget_ms=0.05, space=space, device="amd-epyc-zen4", output=folder, **quick)
    >>> found = edgenas.ranking(folder, networks=3, epochs=1)
    >>> len(found.networks), -1 <= found.kendall <= 1
    (3, True)
    """
    given, moved = beside_run(locals(), "run", "networks", "epochs")  # while `locals` holds the arguments alone
    reporter = make_reporter(quiet=not progress)
    configure_threads()
    from edgenas.workflows.ranking import ranking as rank

    return rank(Path(run), reporter, networks=networks, epochs=epochs, given=given, moved=moved)


def train(
    arch: str | None = None,
    data: DataLike | None = None,
    *,
    space: SpaceLike | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    fit: str | None = None,
    flip: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int | None = None,
    download: bool | None = None,
    strict: bool | None = None,
    validation_share: float | None = None,
    final_epochs: int | None = None,
    recipe: str | None = None,
    ghost_batch: int | None = None,
    train_device: str | None = None,
    seed: int | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool | None = None,
    progress: bool = False,
) -> Trained:
    """Train one architecture, as a search trains its finalists: from fresh weights, or from those of `pretrained`.

    Args:
        arch: its code, as a result has it, or what papers on the space write.
        data: as of `search`.
        space, pretrained, weights: as of `search`.
        data_root: folder or file of the data set, where `data` is a name.
        image_size: side in pixels that images of a folder are resized to.
        fit: how a photo becomes a square: crop (its middle), squash (all of it, distorted) or pad (all of it, between
            grey bars); default: crop, or squash where a crop would hide more than 30 % of the photos.
        flip: mirror photos left to right in training; default: yes, unless classes are named left and right.
        cache: folder for decoded photos, which later runs use too; default: edgenas-cache beside the run folder, or
            ~/.cache/edgenas where that would be among the photos.
        cache_size: short side of decoded photos in pixels; default: 5/3 of the image size.
        seed: seed of everything random.
        output: run folder; default: runs/<date>-<time>.
        resume: go on with the run in `output` where it was interrupted; it knows its architecture.
        train_device: where networks are trained: auto, cpu, cuda.
        final_epochs: default: as many as see 8,000 images, at least 6; with `specialize` at least 1.
        recipe: training of finalists: quick, 300 or darts600 (epochs).
        ghost_batch: images that batch norm sees at once; with it, one process and several of torchrun train alike;
            default: all that a process has of a batch.
        validation_share: share of the training images kept for choosing.
        download: allow the data set to be downloaded.
        strict: stop at the first unreadable image.
        progress: whether stderr shows what is under way.

    Raises:
        UsageError: the space has no such architecture.
        DataError: the images cannot be used.

    >>> import edgenas, tempfile
    >>> trained = edgenas.train("120", "digits", space=edgenas.testing.Tiny, final_epochs=1, output=tempfile.mkdtemp())
    >>> trained.arch, trained.validation_images
    ('120', 179)
    """
    named, given = settings_of(locals(), "arch")  # while `locals` holds the arguments alone
    configure_threads()
    from edgenas.workflows.train import train as run

    return run(resolved(named, given), arch, make_reporter(quiet=not progress), given=given)


def export(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    arch: str | None = None,
    dynamic_batch: bool = False,
    data: DataLike | None = None,
    space: SpaceLike | None = None,
    data_root: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    download: bool | None = None,
    train_device: str | None = None,
    strategy: StrategyLike | None = None,
    evaluator: str | None = None,
    runtime: str | None = None,
    progress: bool = False,
) -> Path:
    """Write a trained network of a run as one ONNX file; return its path.

    Args:
        run: folder of `search` or `train`.
        out: the file to write.
        arch: code of one of the run's trained architectures; by default the one that it delivered.
        dynamic_batch: whether the model takes any number of images at once, rather than one.
        data, space: the objects that the run was given, if it was given objects; or where its images are now.
        data_root, cache, image_size, pretrained, weights, download, train_device: as of `ranking`.
        strategy, evaluator, runtime: as of `ranking`.
        progress: whether stderr shows what is under way.

    Raises:
        UsageError: the run has no such trained architecture.
        ExportError: the file differs from the network.

    >>> import edgenas, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> _ = edgenas.train("120", "digits", space="edgenas.testing.tiny", final_epochs=1, output=folder)
    >>> edgenas.export(folder, folder + "/mine.onnx").name
    'mine.onnx'
    """
    given, moved = beside_run(locals(), "run", "out", "arch", "dynamic_batch")
    reporter = make_reporter(quiet=not progress)
    configure_threads()
    from edgenas.workflows.export import export as run_export

    return run_export(
        Path(run), reporter, arch=arch, out=Path(out), dynamic_batch=dynamic_batch, given=given, moved=moved
    )


def confirm(
    results: str | os.PathLike[str],
    run: str | os.PathLike[str],
    *,
    kit: str | os.PathLike[str] | None = None,
    data: DataLike | None = None,
    space: SpaceLike | None = None,
    data_root: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    pretrained: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    download: bool | None = None,
    train_device: str | None = None,
    strategy: StrategyLike | None = None,
    evaluator: str | None = None,
    runtime: str | None = None,
    progress: bool = False,
) -> Result:
    """Take what a kit measured of a run's finalists on its device, and deliver by it, as `edgenas ingest --bundle`.

    Args:
        results: what the kit wrote on the device.
        run: folder of the run whose finalists they are.
        kit: the kit, to check that nothing of it was changed.
        data, space: the objects that the run was given, if it was given objects; or where its images are now.
        data_root, cache, image_size, pretrained, weights, download, train_device: as of `ranking`.
        strategy, evaluator, runtime: as of `ranking`.
        progress: whether stderr shows what is under way.

    Raises:
        OwnCode: the run is of a plugin of your own that is not named.
        TableError: the results cannot be trusted, or are of other models, another device or runtime.
        NoisyMachine: a figure repeats too badly; measure again.

    >>> import edgenas
    >>> edgenas.confirm("results.jsonl", "runs/nowhere")
    Traceback (most recent call last):
        ...
    edgenas.errors.UsageError: --bundle runs/nowhere: there is no run of a search
    """
    given, moved = beside_run(locals(), "results", "run", "kit")  # while `locals` holds the arguments alone
    from edgenas.workflows.confirm import confirm as confirm_run

    reporter = make_reporter(quiet=not progress)
    return confirm_run(
        Path(results), Path(run), reporter, kit=None if kit is None else Path(kit), given=given, moved=moved
    )
