"""Networks of torchvision with the weights that it has for them: `torchvision:mobilenet_v3_large`.

They lie in torch's own cache, or are downloaded into it when that is allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgenas.errors import EnvironmentFault, UnknownName
from edgenas.pretrained.base import Pretrained, Weights

NETWORKS = (
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("efficientnet_b0", "mnasnet1_0", "regnet_y_400mf", "resnet18", "resnet50"),
)
# Of those that have a smaller network of their family among them.
SMALLER = {"mobilenet_v3_large": "mobilenet_v3_small", "resnet50": "resnet18"}


def variants() -> tuple[str, ...]:
    """Return the networks that are listed; others of torchvision work if edgenas can express them."""
    return NETWORKS


def build(variant: str, *, download: bool = False, weights: Path | None = None) -> Pretrained:
    """Return a network of torchvision with its newest weights of ImageNet.

    Args:
        variant: as torchvision names it.
        download: whether its weights may be downloaded.
        weights: has no meaning here.

    Raises:
        UnknownName: torchvision has no such network.
    """
    from torchvision import models

    try:
        enum = models.get_model_weights(variant)
    except ValueError as error:
        raise UnknownName(f"torchvision: no network {variant!r}; there are {', '.join(NETWORKS)}") from error
    newest = enum.DEFAULT
    file = Path(torch.hub.get_dir()) / "checkpoints" / newest.url.rpartition("/")[2]
    preset = newest.transforms()

    def module() -> nn.Module:
        made: nn.Module = models.get_model(variant, weights=None)
        return made

    def load() -> Weights:
        if not file.is_file() and not download:
            raise EnvironmentFault(
                f"torchvision:{variant}: its weights are not in {file.parent}; allow the download with --download, or "
                f"put {newest.url} there"
            )
        found: Any = newest.get_state_dict(progress=False, check_hash=True)
        return dict(found)

    return Pretrained(
        name=f"torchvision:{variant}",
        module=module,
        weights=load,
        is_here=file.is_file(),
        source=newest.url,
        hint="--download",
        licence="BSD-3-Clause",
        side=int(preset.crop_size[0]),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        smaller=f"torchvision:{SMALLER[variant]}" if variant in SMALLER else "",
    )
