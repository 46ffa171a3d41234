"""Few photos: cuts of a trained network compared by k folds, where a validation split of fifty tells nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from edgenas.data.base import Data, Split, stratified_split, subset
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.nn.network import fresh_network
from edgenas.nn.supernet import Supernet
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.system.run_folder import read_artefact
from edgenas.training.distillation import Teacher
from edgenas.training.settings import Settings
from edgenas.workflows.context import Context
from edgenas.workflows.source_run import SOURCE
from edgenas.workflows.stages.artefacts import IMPORTANCE, Folds, Importance
from edgenas.workflows.stages.codes import BEHIND, fresh, is_member, task_of
from edgenas.workflows.stages.finalists import final_settings, fine_tuned
from edgenas.workflows.stages.teacher import cuts_of
from edgenas.workflows.task import Task

FEW = 500  # images of training and validation together, below which folds decide
FOLDS = 3
# Of the whole network's training: of each network there are as many as folds, and a teacher for each fold.
LENGTH = 0.25


def need_folds(task: Task) -> bool:
    """Tell whether finalists are chosen by folds: they are cuts of a teacher, images are few, and time is not."""
    if task.teacher is None or task.config.minutes is not None:
        return False
    return len(task.data.train) + len(task.data.validation) < FEW and _joined(task.data) is not None


def by_folds(task: Task, codes: Sequence[str], ctx: Context) -> Folds:
    """Return how many of all images of training and validation each network is right about, when it has not seen them.

    For each fold the whole network is fine-tuned on the others, from the weights that it came with: a teacher that had
    seen an image would tell its cuts about it. They are cut as in the run, trained on the same folds, each for a
    quarter of the epochs of the whole network.

    Args:
        task: with a teacher.
        codes: of the networks.
        ctx: with the folder, which holds the importance of the channels; keeps checkpoints and figures.
    """
    run = ctx.folder.path  # one that uses the weights of another keeps what it needs of it in a folder of its own
    kept = run if (run / f"{IMPORTANCE}.json").exists() else run / SOURCE
    importance = read_artefact(kept, IMPORTANCE, Importance)
    original, whole = _space(task).original, _space(task).whole
    right, loss = dict.fromkeys(codes, 0.0), dict.fromkeys(codes, 0.0)
    images = 0
    for number, data in enumerate(folds(task), start=1):
        name, title = f"fold-{number}", f"fold {number} of {FOLDS}"
        own = replace(task, data=data, space=original, teacher=None)
        short = _short(final_settings(own))
        with ctx.stage("folds", f"{title}: fine-tune the whole network"):
            teacher = fresh_network(original, whole, task.config.seed, task.torch_device)
            fine_tuned(own, ctx, teacher, f"{name}-teacher", whole, short)
        own = replace(own, space=cuts_of(original, teacher, importance, own), teacher=Teacher(teacher))
        supernet = Supernet(own.space).to(task.torch_device).to(memory_format=torch.channels_last)
        evaluator = SupernetEvaluator(supernet, data, teacher=own.teacher)
        for code in codes:
            its, arch = task_of(own, code)
            with ctx.stage("folds", f"{title}: train {code}"):
                network = (fresh(its) if is_member(code) else evaluator).network(arch)
                file = f"{name}-{code.replace(BEHIND, '-')}"
                settings = _short(final_settings(its)) if is_member(code) else short
                scores = fine_tuned(its, ctx, network, file, arch, settings)
            right[code] += scores.accuracy * scores.images
            loss[code] += scores.loss * scores.images
        images += len(data.validation)
    accuracy, mean_loss = ({code: sum_ / images for code, sum_ in sums.items()} for sums in (right, loss))
    return Folds(FOLDS, images, accuracy, mean_loss)


def _short(settings: Settings) -> Settings:
    return replace(settings, epochs=max(1, round(LENGTH * settings.epochs)))


def folds(task: Task) -> Iterator[Data]:
    """Yield the images of training and validation, each part of them as the validation split once."""
    both = _joined(task.data)
    assert both is not None
    parts = stratified_split(both.labels.numpy(), [1 / FOLDS] * FOLDS, task.config.seed, task.data.classes)
    for number, part in enumerate(parts):
        others = np.concatenate([rows for i, rows in enumerate(parts) if i != number])
        yield replace(task.data, train=subset(both, others), validation=replace(subset(both, part), balance=False))


def _joined(data: Data) -> Split | None:
    """Training and validation as one split; None where they lie in different stores, or a class is too small."""
    train, validation = data.train, data.validation
    if train.store is not validation.store:
        return None
    rows, labels = np.concatenate([train.rows, validation.rows]), torch.cat([train.labels, validation.labels])
    return replace(train, rows=rows, labels=labels) if int(torch.bincount(labels).min()) >= FOLDS else None


def _space(task: Task) -> PretrainedSpace:
    assert isinstance(task.space, PretrainedSpace)
    return task.space
