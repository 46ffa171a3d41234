"""Worker processes that make something of each picture, where there are enough pictures to be worth their start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

WORTH_WORKERS = 256  # pictures; fewer are made before worker processes have started
MOST_WORKERS = 8  # more decode faster than one device trains, and each holds a few hundred MB


def loaded(
    dataset: Dataset[Any],
    batches: Sequence[list[Any]],
    collate: Callable[[list[Any]], Any],
    *,
    pin_memory: bool = False,
) -> Iterator[Any]:
    """Yield what `collate` makes of each batch, in order.

    Args:
        dataset: makes one item of each key; pickled to workers.
        batches: keys of each batch.
        collate: called in the worker that made the items.
        pin_memory: whether tensors are put where a GPU copies them from while it computes.
    """
    busy = sum(map(len, batches)) >= WORTH_WORKERS
    workers = min(MOST_WORKERS, torch.get_num_threads()) if busy else 0
    return iter(
        DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # else it draws from the global one, which resuming would have to restore
        )
    )
