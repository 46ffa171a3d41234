"""Settings of one training, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How a network or a supernet is trained."""

    epochs: int
    batch_size: int = 128
    optimizer: str = "adamw"  # sgd needs its rate tuned per data set; adamw's transfers
    learning_rate: float = 5e-3  # highest; falls along a cosine to zero
    weight_decay: float = 0.02  # on kernels only: decayed scales and biases gain nothing
    momentum: float = 0.9  # of sgd
    warm_up: float = 0.05  # share of all steps over which the rate rises
    label_smoothing: float = 0.05
    clip: float = 5.0  # largest norm of the gradient; a rare bad batch must not undo an epoch


def batch_size_for(images: int) -> int:
    """64 for small sets, so that an epoch still has steps enough; 128 else, which cores and cards use better."""
    return 64 if images < 10_000 else 128


def rate(settings: Settings, step: int, steps: int) -> float:
    """Learning rate of `step` of `steps`: linear warm-up, then half a cosine (arXiv:1608.03983, without restarts)."""
    warm_up = max(1, round(settings.warm_up * steps))
    if step < warm_up:
        return settings.learning_rate * (step + 1) / warm_up
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
