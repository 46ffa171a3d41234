"""EfficientNet-Lite2, trained on ImageNet at 260 pixels."""

from __future__ import annotations

from edgenas.pretrained.base import Pretrained
from edgenas.pretrained.families.efficientnet_lite import pretrained


def build(name: str) -> Pretrained:
    """Return the network; it has no variants, so that `name` is empty."""
    return pretrained(2, width=1.1, depth=1.2, side=260)
