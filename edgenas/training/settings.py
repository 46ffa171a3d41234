"""Settings of one training, each with its reason, and named recipes for long ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


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
    cutout: float = 0.0  # side of the square that each training image loses, as a share of the image's
    auxiliary: float = 0.0  # weight of the loss of a second classifier halfway, where the space names a place for it
    drop_path: float = 0.0  # probability, in the end, that a branch of a sum is left out; it rises from zero
    # Batch norm goes by the statistics that it has, and learns scale and shift: of trained weights, they are of more
    # images than a batch or an epoch of a few hundred photos.
    frozen_statistics: bool = False
    ghost_batch: int | None = None  # images that batch norm sees at once; None: all that a process has of a batch


# For final training; None takes epochs and batch size from the size of the data set.
RECIPES: dict[str, Settings | None] = {
    "quick": None,
    # adamw with what long training adds: stronger decay and smoothing, as there is time to overfit (arXiv:2110.00476)
    "300": Settings(300, learning_rate=3e-3, weight_decay=0.05, label_smoothing=0.1, cutout=0.5),
    # DARTS (arXiv:1806.09055), section 3.3 and its code, so that accuracies compare with published ones; the rate
    # follows the cosine from the first step, and cutout is 16 of 32 pixels
    "darts600": Settings(
        600,
        batch_size=96,
        optimizer="sgd",
        learning_rate=0.025,
        weight_decay=3e-4,
        warm_up=0.0,
        label_smoothing=0.0,
        cutout=0.5,
        auxiliary=0.4,
        drop_path=0.2,
    ),
}


def batch_size_for(images: int) -> int:
    """Return the default batch size for a training set of `images`.

    A small set gets smaller batches, so that an epoch still has steps enough; cores and cards use larger ones better.
    """
    return 64 if images < 10_000 else 128


def fine_tuning(images: int) -> Settings:
    """Return the settings of a network whose weights are trained already, all but its last layer being kept near them.

    Batches are small, for a few hundred photos still to give steps enough; so batch norm keeps its statistics.

    Args:
        images: of the training set.
    """
    settings = Settings(epochs_for(12_000, 4, images), 32 if images < 10_000 else 64, frozen_statistics=True)
    return gentle(settings)


def gentle(settings: Settings) -> Settings:
    """Return the settings with a rate that trained weights survive, a fifth of that of fresh ones, without clips."""
    return replace(settings, learning_rate=1e-3, label_smoothing=0.1, clip=math.inf)


def epochs_for(images: int, at_least: int, train_images: int) -> int:
    """Return the epochs after which a training has seen `images` images: `at_least` of them, however large the set.

    Args:
        images: how many images are to be seen, each as often as it comes.
        at_least: the fewest epochs.
        train_images: the images of one epoch.
    """
    return max(at_least, math.ceil(images / train_images))


def steps_of(settings: Settings, images: int) -> int:
    """Return the steps of a whole training; images that do not fill a batch are left out, unless there is no other.

    Args:
        settings: of the training.
        images: of the training set.
    """
    return max(1, images // settings.batch_size) * settings.epochs


def rate(settings: Settings, step: int, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine (arXiv:1608.03983, without restarts).

    Args:
        settings: of the training; the rate is at most its `learning_rate`.
        step: the first one is 0.
        steps: of the whole training.
    """
    warm_up = max(1, round(settings.warm_up * steps))
    if step < warm_up:
        return settings.learning_rate * (step + 1) / warm_up
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
