"""The same images under another normalisation: that which a trained network was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from edgenas.data.base import Data, Split
from edgenas.errors import UsageError


def normalised(data: Data, mean: Sequence[float], std: Sequence[float]) -> Data:
    """Return a data set whose batches are (x - mean) / std, of x in 0..1.

    Args:
        data: any whose stores keep mean and deviation as fields of those names, as those of edgenas do.
        mean: one per channel.
        std: one per channel.

    Raises:
        UsageError: the images have another number of channels, or their store another normalisation of its own.
    """
    if data.shape[0] != len(mean):
        kind = "grey" if data.shape[0] == 1 else f"of {data.shape[0]} channels"
        raise UsageError(f"{data.name}: its images are {kind}, the trained network takes {len(mean)} channels")
    mean, std = tuple(mean), tuple(std)
    stores: dict[int, Any] = {}

    def part(split: Split) -> Split:
        store: Any = split.store
        if not is_dataclass(store) or not {"mean", "std"} <= {field.name for field in fields(store)}:
            raise UsageError(
                f"{data.name}: its {type(store).__name__} has no fields mean and std, which the trained network's "
                f"normalisation would be put in; normalise by {mean} and {std} there"
            )
        # The splits share a store, and go on sharing one.
        changed = stores.setdefault(id(store), replace(store, mean=mean, std=std))  # type: ignore[type-var]
        return replace(split, store=changed)

    train, validation, held_out = map(part, (data.train, data.validation, data.held_out))
    return replace(data, mean=mean, std=std, train=train, validation=validation, held_out=held_out)
