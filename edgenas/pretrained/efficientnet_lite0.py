"""EfficientNet-Lite0, trained on ImageNet at 224 pixels."""

from __future__ import annotations

from edgenas.pretrained.base import Pretrained
from edgenas.pretrained.families.efficientnet_lite import pretrained


def build(name: str) -> Pretrained:
    """Return the network; it has no variants, so that `name` is empty."""
    return pretrained(0, width=1.0, depth=1.0, side=224)
