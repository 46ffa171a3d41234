"""EfficientNet-Lite1, trained on ImageNet at 240 pixels; its weights come with the extra `lite`."""

from __future__ import annotations

from pathlib import Path

from edgenas.pretrained.base import Pretrained
from edgenas.pretrained.families.efficientnet_lite import pretrained


def variants() -> tuple[str, ...]:
    """Return that there is one network."""
    return ("",)


def build(variant: str, *, download: bool = False, weights: Path | None = None) -> Pretrained:
    """Return the network; the arguments change nothing: it has no variants, and its weights are in a package."""
    return pretrained(1, width=1.0, depth=1.1, side=240)
