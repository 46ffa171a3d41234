"""Networks of timm with the weights that it has for them: `timm:mobilenetv3_large_100`. Needs the extra `timm`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from edgenas.errors import EnvironmentFault, UnknownName
from edgenas.pretrained.base import Pretrained, Weights

NETWORKS = (
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "tf_efficientnet_lite0",
    "efficientnet_lite0",
    "resnet18",
)
FILE = "model.safetensors"  # of a network's place on the Hugging Face hub


def variants() -> tuple[str, ...]:
    """Return some networks that edgenas can express; others of timm work if it can."""
    return NETWORKS


def build(variant: str, *, download: bool = False, weights: Path | None = None) -> Pretrained:
    """Return a network of timm with its default weights.

    Args:
        variant: as timm names it, with a tag or without.
        download: whether its weights may be downloaded.
        weights: has no meaning here.

    Raises:
        EnvironmentFault: timm is not installed.
        UnknownName: it has no such network.
    """
    try:
        import timm
    except ImportError as error:
        raise EnvironmentFault(f"timm:{variant}: timm is not installed; run pip install 'edgenas[timm]'") from error
    if not timm.is_model(variant):
        raise UnknownName(f"timm: no network {variant!r}; `timm.list_models()` has them all")
    facts = timm.get_pretrained_cfg(variant)

    def module() -> nn.Module:
        made: nn.Module = timm.create_model(variant, pretrained=False)
        return made

    def load() -> Weights:
        if not download and not _is_cached(facts):
            raise EnvironmentFault(f"timm:{variant}: its weights are not here; allow the download with --download")
        return dict(timm.create_model(variant, pretrained=True).state_dict())

    return Pretrained(
        name=f"timm:{variant}",
        module=module,
        weights=load,
        is_here=_is_cached(facts),
        source=str(facts.hf_hub_id or facts.url or ""),
        hint="--download",
        licence=str(facts.license or "unknown"),
        side=int(facts.input_size[1]),
        mean=tuple(facts.mean),
        std=tuple(facts.std),
    )


def _is_cached(facts: Any) -> bool:
    """Tell whether the hub's cache on this machine has the weights."""
    if not facts.hf_hub_id:
        return False
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(facts.hf_hub_id, FILE), str)
